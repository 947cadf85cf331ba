"""RAR 3 and 5: what the main header says of the archive, and libarchive for the rest.

RAR 3: marker (7 bytes), then blocks of CRC (2), type (1), flags (2), size (2); type 0x73 is the main
header. RAR 5: marker (8 bytes), then blocks of CRC (4), and as variable integers size, type, flags;
type 1 is the main header, 4 says that all that follows is encrypted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from mailward import Finding, Member, Part
from mailward_archives import libarchive
from mailward_archives.buffer import Data, data_of, pieces
from mailward_archives.content import encrypted, multivolume, unopened
from mailward_archives.passwords import opened_note, unlocked
from mailward_archives.settings import ArchivesSettings

_RAR5 = b"Rar!\x1a\x07\x01\x00"
_HEAD_BYTES = 512
_MAIN_3, _VOLUME_3, _ENCRYPTED_3 = 0x73, 0x0001, 0x0080
_MAIN_5, _FILE_5, _ENCRYPTION_5, _VOLUME_5 = 1, 2, 4, 0x0001
_RECORD_ENCRYPTION = 1
_SERVICE_5, _STREAM = 3, "STM"
_SERVICE_3, _WITH_DATA_3, _LOCKED_3, _STORED_3, _NAME_AT_3 = 0x7A, 0x8000, 0x0004, b"\x30", 32
_STREAM_NAME = re.compile(rb"\x07:([^\0]{1,1000})", re.S)
_HEADER_MOST_BYTES = 2 * 1024 * 1024
_MOST_FILES = 5000


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
    at = 12
    values, at = _numbers(head, at, 5)
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


def locked(data: Data) -> tuple[str, ...]:
    """The names of the encrypted files in a RAR 5 archive, by their headers; as many as can be read."""
    found, at = list[str](), len(_RAR5)
    while at + 5 < len(data) and len(found) < _MOST_FILES:
        size, start = _number(data[at + 4 : at + 14], 0)
        head = data[at + 4 + start : min(at + 4 + start + size, at + _HEADER_MOST_BYTES)]
        if not head:
            break
        values, position = _numbers(head, 0, 2)
        kind, flags = values
        extra, position = _number(head, position) if flags & 1 else (0, position)
        packed, position = _number(head, position) if flags & 2 else (0, position)
        if kind == _FILE_5 and extra and _has_record(head[max(len(head) - extra, 0) :], _RECORD_ENCRYPTION):
            found.append(_file_name(head, position))
        at += 4 + start + size + packed
    return tuple(found)


def streams(data: Data) -> Iterator[tuple[str, bool, int, int]]:
    """Name, whether it is stored as it is, start and end of each alternate stream of a RAR 5 archive.

    The library passes over them; the program of that format writes them to the disk beside, or instead of, a file.
    """
    at = len(_RAR5)
    while True:
        size, start = _number(data[at + 4 : at + 14], 0)
        head = data[at + 4 + start : min(at + 4 + start + size, at + _HEADER_MOST_BYTES)]
        if not head:
            return
        (kind, flags), position = _numbers(head, 0, 2)
        extra, position = _number(head, position) if flags & 1 else (0, position)
        packed, position = _number(head, position) if flags & 2 else (0, position)
        begin = at + 4 + start + size
        if (
            kind == _SERVICE_5
            and _file_name(head, position) == _STREAM
            and not _has_record(head[max(len(head) - extra, 0) :], _RECORD_ENCRYPTION)
        ):
            yield _stream_name(head[max(len(head) - extra, 0) :]), _is_stored(head, position), begin, begin + packed
        at = begin + packed


def streams_3(data: Data) -> Iterator[tuple[str, bool, int, int]]:
    """The same of a RAR 3 archive, in which the names of streams are packed with them."""
    at = len(_RAR5) - 1
    while True:
        head = data[at : at + _HEAD_BYTES]
        if len(head) < 7:
            return
        kind, flags, size = head[2], int.from_bytes(head[3:5], "little"), int.from_bytes(head[5:7], "little")
        packed = int.from_bytes(head[7:11], "little") if flags & _WITH_DATA_3 else 0
        name = head[_NAME_AT_3 : _NAME_AT_3 + len(_STREAM)].decode("latin-1")
        begin = at + max(size, 7)
        if kind == _SERVICE_3 and name == _STREAM and not flags & _LOCKED_3:
            yield _STREAM, head[25:26] == _STORED_3, begin, begin + packed
        at = begin + packed


def _stream_name(extra: bytes) -> str:
    """The name of a stream, which stands behind a colon in a record of its own."""
    match = _STREAM_NAME.search(extra)
    return match[1].decode("utf-8", "replace") if match is not None else _STREAM


def _is_stored(head: bytes, at: int) -> bool:
    (flags, _, _), at = _numbers(head, at, 3)
    method, _ = _number(head, at + (4 if flags & 2 else 0) + (4 if flags & 4 else 0))
    return not method >> 7 & 7


def _stream_members(part: Part, five: bool) -> Iterator[Member | Finding]:
    with data_of(part) as data:
        for name, stored, begin, end in streams(data) if five else streams_3(data):
            if stored:
                yield Member(name, pieces(data, begin, end), size_hint=end - begin)
            else:
                yield unopened(part, "rar: a packed alternate stream, which is not read", name)


def _numbers(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    values = list[int]()
    for _ in range(count):
        value, at = _number(data, at)
        values.append(value)
    return values, at


def _has_record(extra: bytes, wanted: int) -> bool:
    """Whether the extra area of a header holds a record of this type."""
    at = 0
    while at < len(extra):
        size, start = _number(extra, at)
        kind, _ = _number(extra, start)
        if kind == wanted:
            return True
        at = max(start + size, at + 1)
    return False


def _file_name(head: bytes, at: int) -> str:
    """The name in a file header: behind flags, size, attributes, time, checksum, method, system."""
    (flags, _, _), at = _numbers(head, at, 3)
    at += (4 if flags & 2 else 0) + (4 if flags & 4 else 0)
    (_, _, length), at = _numbers(head, at, 3)
    return head[at : at + length].decode("utf-8", "replace")


def read_rar(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    """The members, or that the archive is encrypted as a whole; that it is one volume of several."""
    found = traits(part.head(_HEAD_BYTES))
    if found.volume:
        yield multivolume(part, "rar: one volume of a set")
    reader = unlocked(part, settings, "rar", "")
    if reader is not None:
        yield opened_note(part)
        yield from reader(part)
        return
    if found.encrypted:
        yield encrypted(part, "rar: the list of files is encrypted")
        return
    yield from _stream_members(part, found.five)
    if not found.five:
        yield from libarchive.RAR3(part)
        return
    with data_of(part) as data:
        names = locked(data)
    for name in names:
        yield Member(name, (), encrypted=True)
    for item in libarchive.RAR5(part):
        if item.name not in names or not item.name:
            yield item
