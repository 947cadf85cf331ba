"""Programs for Windows: what lies in or behind one that is a file by itself (PE/COFF).

Self-extracting archives carry their archive behind the last section; droppers carry programs among
their data. The former is a member from its signature on, the latter as long as its own section
table says.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of, pieces
from mailward_archives.content import limit

_ARCHIVE = re.compile(
    rb"PK\x03\x04|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|MSCF\0\0\0\0|ISc\(|\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|BZh[1-9]1AY&SY"
    rb"|\xfd7zXZ\0|\x1f\x8b\x08|\xef\xbe\xad\xdeNullsoftInst|InstallShield\0"
)
_EXTENSIONS = {b"PK": "zip", b"Ra": "rar", b"7z": "7z", b"MS": "cab", b"IS": "cab", b"\xd0\xcf": "msi", b"BZ": "bz2"}
_MORE = {b"\xfd7": "xz", b"\x1f\x8b": "gz"}
_MZ = re.compile(rb"MZ")
_PROGRAM = b"PE\0\0"
_MOST_EMBEDDED = 100
_MOST_SECTIONS = 96


def program_end(data: Data, start: int) -> int:
    """Where the sections of the program at ``start`` end; 0 where none stands there."""
    try:
        (header,) = struct.unpack_from("<I", data, start + 60)
        at = start + int(header)
        if data[at : at + 4] != _PROGRAM:
            return 0
        (sections,) = struct.unpack_from("<H", data, at + 6)
        (optional,) = struct.unpack_from("<H", data, at + 20)
        at += 24 + int(optional)
        end = at + 40 * min(int(sections), _MOST_SECTIONS) - start
        for number in range(min(int(sections), _MOST_SECTIONS)):
            size, place = struct.unpack_from("<II", data, at + 40 * number + 16)
            end = max(end, int(place) + int(size)) if size else end
    except struct.error:
        return 0
    return min(start + end, len(data))


def overlay(data: Data) -> tuple[int, str] | None:
    """Where an archive begins behind the last section, and its extension."""
    start = program_end(data, 0)
    match = _ARCHIVE.search(data, start) if start else None
    if match is None:
        return None
    key = match[0][:2]
    return match.start(), _EXTENSIONS.get(key) or _MORE.get(key, "bin")


def programs(data: Data) -> Iterator[tuple[int, int]]:
    """Start and end of every program inside the content but the one that it is."""
    at = 1
    while (match := _MZ.search(data, at)) is not None:
        start = match.start()
        end = program_end(data, start)
        if end > start + 64:
            yield start, end
            at = end
        else:
            at = start + 2


def read_pe(part: Part) -> Iterator[Member | Finding] | None:
    """The archive behind a program and the programs inside it; None where there are none."""
    with data_of(part) as data:
        if overlay(data) is None and next(programs(data), None) is None:
            return None
    return _members(part)


def _members(part: Part) -> Iterator[Member | Finding]:
    with data_of(part) as data:
        archive = overlay(data)
        if archive is not None:
            yield Member(f"overlay.{archive[1]}", pieces(data, archive[0], len(data)))
        for number, (start, end) in enumerate(programs(data), 1):
            if number > _MOST_EMBEDDED:
                yield limit(part, "max_embedded", f"pe: more than {_MOST_EMBEDDED} programs inside one")
                return
            yield Member(f"embedded{number}.exe", pieces(data, start, end))
