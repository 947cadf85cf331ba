"""PowerPoint 97: objects in the stream "PowerPoint Document" (MS-PPT 2.10.34, ExOleObjStg)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.content import Content, unopened
from mailward_archives.inflate import inflated

_OBJECT = 0x1011
_CONTAINER = 0x0F
_MOST_OBJECTS = 1000


def embedded(part: Part, data: bytes) -> Iterator[Member | Finding]:
    """The storages of embedded objects and macros, unpacked; each is a compound file again."""
    for number, (start, end, compressed) in enumerate(_objects(data), 1):
        if number > _MOST_OBJECTS:
            return
        body = data[start:end]
        content = Content(inflated(body[4:]) if compressed else (body,), (zlib.error,))
        yield Member(f"object{number}.ole", content, raw_bytes=len(body))
        if content.error:
            yield unopened(part, f"ppt: {content.error}", f"object{number}.ole")


def _objects(data: bytes) -> Iterator[tuple[int, int, bool]]:
    """Start and end of each object's record content, and whether it is compressed; containers are walked into."""
    at = 0
    while at + 8 <= len(data):
        version, kind, size = struct.unpack_from("<HHI", data, at)
        at += 8
        if kind == _OBJECT:
            yield at, min(at + size, len(data)), version >> 4 == 1
        if version & 0x0F != _CONTAINER:
            at += size
