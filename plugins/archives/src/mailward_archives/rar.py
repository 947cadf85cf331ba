"""RAR 3 and 5: what the main header says of the archive, and libarchive for the rest.

RAR 3: marker (7 bytes), then blocks of CRC (2), type (1), flags (2), size (2); type 0x73 is the main
header. RAR 5: marker (8 bytes), then blocks of CRC (4), and as variable integers size, type, flags;
type 1 is the main header, 4 says that all that follows is encrypted.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from mailward import Finding, Member, Part
from mailward_archives import libarchive
from mailward_archives.content import encrypted, multivolume

_RAR5 = b"Rar!\x1a\x07\x01\x00"
_HEAD_BYTES = 512
_MAIN_3, _VOLUME_3, _ENCRYPTED_3 = 0x73, 0x0001, 0x0080
_MAIN_5, _ENCRYPTION_5, _VOLUME_5 = 1, 4, 0x0001


@frozen
class Traits:
    """What the start of an archive says."""

    five: bool
    encrypted: bool = False
    volume: bool = False


def traits(head: bytes) -> Traits:
    """The traits of an archive by its first bytes; damaged ones say nothing."""
    if not head.startswith(_RAR5):
        flags = int.from_bytes(head[10:12], "little") if len(head) >= 12 and head[9] == _MAIN_3 else 0
        return Traits(False, bool(flags & _ENCRYPTED_3), bool(flags & _VOLUME_3))
    at, values = 12, list[int]()
    for _ in range(5):
        value, at = _number(head, at)
        values.append(value)
    _, kind, flags, *rest = values
    if kind == _ENCRYPTION_5:
        return Traits(True, encrypted=True)
    archive_flags = rest[1] if flags & 1 else rest[0]
    return Traits(True, volume=kind == _MAIN_5 and bool(archive_flags & _VOLUME_5))


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A variable integer: seven bits a byte, the least first, the top bit set on all but the last."""
    value, shift = 0, 0
    while at < len(data) and shift < 70:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            break
    return value, at


def read_rar(part: Part) -> Iterator[Member | Finding]:
    """The members, or that the archive is encrypted as a whole; that it is one volume of several."""
    found = traits(part.head(_HEAD_BYTES))
    if found.volume:
        yield multivolume(part, "rar: one volume of a set")
    if found.encrypted:
        yield encrypted(part, "rar: the list of files is encrypted")
        return
    yield from (libarchive.RAR5 if found.five else libarchive.RAR3)(part)
