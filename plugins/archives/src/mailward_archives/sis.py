"""SIS: installation files of Symbian up to 8 (EPOC release 6): each file of the package is a member.

The header stands at the start: four UIDs, then counts and, from byte 64 on, offsets; a file record
holds the type, the places of source and target name, and for each language size and place of the
content, which is packed with zlib unless the options say otherwise.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from attrs import frozen

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of, pieces
from mailward_archives.content import Content, unopened
from mailward_archives.inflate import inflated

UID = b"\x19\x04\x00\x10"
"""The third UID, at byte 8."""

_EPOC6 = b"\x12\x3a\x00\x10"
_UNICODE, _NOT_PACKED = 0x0001, 0x0008
_MOST_FILES = 5000
_LONGEST_NAME = 1024
_SIMPLE, _MULTILINGUAL = 0, 1
_RECORD_BYTES = {2: 20, 3: 12, 4: 12, 5: 12, 6: 12}


@frozen
class File:
    """One file in one language: its name, and where its content lies."""

    name: str
    start: int
    size: int
    full_size: int


def read_sis(part: Part) -> Iterator[Member | Finding]:
    """The files of the package."""
    with data_of(part) as data:
        try:
            files, packed = parse(data)
        except struct.error:
            yield unopened(part, "sis: the header or a file record ends too soon")
            return
        for file in files:
            end = min(file.start + file.size, len(data))
            chunks = inflated(data[file.start : end]) if packed else pieces(data, file.start, end)
            content = Content(chunks, (zlib.error,))
            yield Member(file.name, content, raw_bytes=file.size)
            if content.error:
                yield unopened(part, f"sis: {content.error}", file.name)


def parse(data: Data) -> tuple[tuple[File, ...], bool]:
    """The files, and whether they are packed; struct.error where the records do not fit."""
    languages, count = struct.unpack_from("<HH", data, 18)
    (options,) = struct.unpack_from("<H", data, 36)
    (at,) = struct.unpack_from("<I", data, 52)
    coding = "utf-16-le" if options & _UNICODE else "cp1252"
    tail = 8 if bytes(data[4:8]) == _EPOC6 else 0
    files = list[File]()
    for _ in range(min(count, _MOST_FILES)):
        (kind,) = struct.unpack_from("<I", data, at)
        if kind not in (_SIMPLE, _MULTILINGUAL):
            at += _RECORD_BYTES.get(kind, 12)
            continue
        name = _name(data, at + 20, coding)
        at, found = _record(data, at, languages if kind == _MULTILINGUAL else 1, name)
        at += tail
        files += found
        if len(files) > _MOST_FILES:
            break
    return tuple(files), not options & _NOT_PACKED


def _record(data: Data, at: int, languages: int, name: str) -> tuple[int, list[File]]:
    """The end of a file record, and the file in each language."""
    # type, file type, file detail, source and target name (each length and place)
    start = at + 28
    sizes = struct.unpack_from(f"<{languages}I", data, start)
    places = struct.unpack_from(f"<{languages}I", data, start + 4 * languages)
    full = struct.unpack_from(f"<{languages}I", data, start + 8 * languages)
    found = [File(name, place, size, whole) for place, size, whole in zip(places, sizes, full, strict=True)]
    return start + 12 * languages, found


def _name(data: Data, at: int, coding: str) -> str:
    length, place = struct.unpack_from("<II", data, at)
    return data[place : place + min(length, _LONGEST_NAME)].decode(coding, "replace").rpartition("\\")[2]
