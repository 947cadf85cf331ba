"""TNEF, the attachment winmail.dat of Outlook (MS-OXTNEF): attachments with their long names, bodies.

A signature and a key, then attributes: level (1 byte), id (4), length (4), content, checksum (2).
An attachment begins with attAttachRendData; its MAPI properties may name it and hold its content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from attrs import define, field

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of, pieces
from mailward_archives.content import unopened
from mailward_archives.lzfu import rtf_body

_BODY, _MESSAGE_PROPERTIES = 0x0002800C, 0x00069003
_RENDER, _TITLE, _DATA, _PROPERTIES = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
_LONG_NAME, _SHORT_NAME, _CONTENT, _RTF, _HTML, _TEXT = 0x3707, 0x3704, 0x3701, 0x1009, 0x1013, 0x1000
_OBJECT_TYPE = 0x000D
_INTERFACE_BYTES = 16
_MOST_PROPERTIES = 2048
_MOST_VALUES = 4096
_FIXED = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
_VARIABLE = (0x000D, 0x001E, 0x001F, 0x0102)


class TnefError(ValueError):
    """A structure that ends before its end or cannot be what it claims."""


@define
class _Attachment:
    """What is known of the attachment being read: its names, and where its content lies, or several contents do."""

    title: str = ""
    name: str = ""
    contents: list[tuple[int, int]] = field(factory=list)

    def members(self, data: Data, number: int) -> Iterator[Member]:
        name = self.name or self.title or f"attachment{number}"
        for span in self.contents:
            if span[1] > span[0]:
                yield Member(name, pieces(data, *span), size_hint=span[1] - span[0])


def read_tnef(part: Part) -> Iterator[Member | Finding]:
    """Bodies and attachments; what was read before damage is a member all the same."""
    with data_of(part) as data:
        attachment, number = _Attachment(), 0
        try:
            for ident, start, end in attributes(data):
                if ident == _RENDER:
                    yield from attachment.members(data, number)
                    attachment, number = _Attachment(), number + 1
                elif ident == _MESSAGE_PROPERTIES:
                    yield from _bodies(part, data, start, end)
                elif ident == _BODY:
                    yield Member("body.txt", pieces(data, start, end))
                else:
                    _note(attachment, data, ident, start, end)
        except TnefError as error:
            yield unopened(part, f"tnef: {error}")
        yield from attachment.members(data, number)


def attributes(data: Data) -> Iterator[tuple[int, int, int]]:
    """Id, start and end of each attribute; TnefError where one does not fit."""
    at = 6
    while at + 9 <= len(data):
        level, ident, size = struct.unpack_from("<BII", data, at)
        if level not in (1, 2):
            if not bytes(data[at : at + 64]).strip(b"\0\r\n"):
                return
            raise TnefError(f"an attribute of level {level}")
        start, end = at + 9, at + 9 + size
        if end > len(data):
            yield ident, start, len(data)
            raise TnefError("an attribute that is longer than the file")
        yield ident, start, end
        at = end + 2


def _note(attachment: _Attachment, data: Data, ident: int, start: int, end: int) -> None:
    if ident == _TITLE:
        attachment.title = data[start : min(end, start + 1024)].rstrip(b"\0").decode("cp1252", "replace")
    elif ident == _DATA:
        attachment.contents.append((start, end))
    elif ident == _PROPERTIES:
        for tag, kind, begin, stop in properties(data, start, end):
            if tag in (_LONG_NAME, _SHORT_NAME) and not (attachment.name and tag == _SHORT_NAME):
                attachment.name = _string(data, kind, begin, min(stop, begin + 2048)) or attachment.name
            elif tag == _CONTENT:
                skipped = _INTERFACE_BYTES if kind == _OBJECT_TYPE else 0
                attachment.contents.append((min(begin + skipped, stop), stop))


def _bodies(part: Part, data: Data, start: int, end: int) -> Iterator[Member | Finding]:
    for tag, kind, begin, stop in properties(data, start, end):
        if tag == _RTF:
            yield from rtf_body(part, data[begin:stop])
        elif tag == _HTML:
            yield Member("body.html", pieces(data, begin, stop))
        elif tag == _TEXT:
            yield Member("body.txt", (_string(data, kind, begin, stop).encode(),))


def _string(data: Data, kind: int, start: int, end: int) -> str:
    return data[start:end].decode("utf-16-le" if kind == 0x001F else "cp1252", "replace").rstrip("\0")


def properties(data: Data, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, start and end of each value in a list of MAPI properties (MS-OXTNEF 2.1.3.5)."""
    try:
        (count,) = struct.unpack_from("<I", data, start)
        at = start + 4
        if count > _MOST_PROPERTIES:
            raise TnefError(f"more than {_MOST_PROPERTIES} properties")
        for _ in range(count):
            kind, tag = struct.unpack_from("<HH", data, at)
            at += 4
            if tag >= 0x8000:
                at = _skip_name(data, at)
            several, kind = kind & 0x1000, kind & 0xEFFF
            values = 1
            if several or kind in _VARIABLE:
                (values,) = struct.unpack_from("<I", data, at)
                at += 4
            if values > _MOST_VALUES:
                raise TnefError(f"more than {_MOST_VALUES} values of a property")
            for _ in range(values):
                begin, size = at, _FIXED.get(kind, 0)
                if kind in _VARIABLE:
                    (size,) = struct.unpack_from("<I", data, at)
                    begin = at + 4
                elif not size:
                    raise TnefError(f"a property of type {kind:#06x}")
                stop = begin + size
                if stop > end:
                    raise TnefError("a property that is longer than its attribute")
                yield tag, kind, begin, stop
                at = begin + (size + 3) // 4 * 4
    except struct.error as error:
        raise TnefError("the list of properties ends too soon") from error


def _skip_name(data: Data, at: int) -> int:
    """The end of a named property's name: a GUID, then a number or a string."""
    (form,) = struct.unpack_from("<I", data, at + 16)
    (value,) = struct.unpack_from("<I", data, at + 20)
    return at + 24 + ((int(value) + 3) // 4 * 4 if form else 0)
