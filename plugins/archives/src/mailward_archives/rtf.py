r"""RTF: the objects in ``\objdata`` (RTF 1.9.1, MS-OLEDS 2.2), found by a linear scan as Word reads it.

Hex digits count wherever they stand up to the end of the group; control words, blanks and groups
that are marked ``\*`` in between do not, and ``\bin`` switches to raw bytes: documents made to evade
scanners use all of that.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of
from mailward_archives.content import limit
from mailward_archives.ole10native import parse_package

_OBJECT = re.compile(rb"\\objdata(?![a-zA-Z])(?:-?\d++)?")
_TOKEN = re.compile(
    rb"(?P<open>\{)|(?P<close>\})|(?P<star>\\\*)|\\bin(?=\d)0*+(?P<bin>\d{0,9})(?!\d) ?|\\'[0-9a-fA-F]{2}"
    rb"|\\[a-zA-Z]++-?\d*+ ?|(?P<hex>[0-9a-fA-F]++)|\\.|[^{}\\0-9a-fA-F]++|\\",
    re.S,
)
_STORAGE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MOST_OBJECTS = 1000
_MOST_BYTES = 64 * 1024 * 1024
_EMBEDDED = 2


def read_rtf(part: Part) -> Iterator[Member | Finding] | None:
    """The objects of an RTF document; None where it has none."""
    with data_of(part) as data:
        if _OBJECT.search(data) is None:
            return None
    return _members(part)


def _members(part: Part) -> Iterator[Member | Finding]:
    with data_of(part) as data:
        for number, content in enumerate(objects(data), 1):
            if number > _MOST_OBJECTS:
                yield limit(part, "max_objects", f"rtf: more than {_MOST_OBJECTS} objects")
                return
            yield from taken_apart(bytes(content), f"object{number}")


def objects(data: Data) -> Iterator[bytes]:
    r"""The decoded content of every ``\objdata``, in order."""
    at = 0
    while (match := _OBJECT.search(data, at)) is not None:
        content, at = _decode(data, match.end())
        yield content


def _decode(data: Data, at: int) -> tuple[bytes, int]:
    """The bytes that the hex digits from ``at`` to the end of the group stand for, and where it ends."""
    out, pending = bytearray(), list[bytes]()
    depth, ignored, size = 0, 0, 0
    while (match := _TOKEN.match(data, at)) is not None:
        at = match.end()
        kind = match.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            if depth == 0:
                break
            if ignored == depth:
                ignored = 0
            depth -= 1
        elif kind == "star":
            ignored = ignored or depth
        elif ignored or kind is None:
            continue
        elif kind == "hex":
            pending.append(match["hex"])
            size += len(match["hex"])
        elif kind == "bin":
            out += _hex(pending)
            pending.clear()
            length = int(match["bin"] or 0)
            out += data[at : at + length]
            at += length
        if size > 2 * _MOST_BYTES:
            break
    out += _hex(pending)
    return bytes(out), at


def _hex(pending: list[bytes]) -> bytes:
    digits = b"".join(pending)
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))


def taken_apart(data: bytes, name: str) -> Iterator[Member]:
    """What an OLE 1 object holds: the file of a package, a compound file, or bytes of its own."""
    parsed = _native(data)
    if parsed is not None:
        start, size = parsed
        package = parse_package(data, start - 4)
        if package is not None:
            yield Member(package.name, (data[package.start : package.end],))
            return
        if size:
            yield Member(f"{name}.ole", (data[start : start + size],))
            return
    storage = data.find(_STORAGE)
    yield Member(f"{name}.ole" if storage >= 0 else name, (data[max(storage, 0) :],))


def _native(data: bytes) -> tuple[int, int] | None:
    """Where the native data of an embedded object stands (MS-OLEDS 2.2.5); None where the header is none."""
    try:
        _, kind = struct.unpack_from("<II", data)
        at = 8
        for _ in range(3):
            (length,) = struct.unpack_from("<I", data, at)
            at += 4 + int(length)
        (size,) = struct.unpack_from("<I", data, at)
    except struct.error:
        return None
    return (at + 4, int(size)) if kind == _EMBEDDED else None
