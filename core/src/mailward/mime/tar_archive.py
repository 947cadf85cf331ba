"""Tape archives written again: v7, ustar, pax and GNU (POSIX pax interchange format; GNU tar manual, appendix)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from mailward.mime.archive import Substitute
from mailward.mime.limits import MIB
from mailward.mime.scratch import pieces
from mailward.mime.source import Source

_BLOCK = 512
_FILE_TYPES = b"0\x007"
_NAME_BEFORE = b"LKx"
_WITHOUT_CONTENT = b"123456"
_MOST_ENTRIES = 50_000
_MOST_NAME_BYTES = MIB
_NUMBER = re.compile(rb"[ 0]*([0-7]*)[ \0]*")
_PAX_FIELD = re.compile(rb"(\d{1,7}) ([^=\n]{1,200})=")


@frozen(slots=True)
class TarSlot:
    """One member: ``start`` with the extra headers before its own at ``header``, its content at ``data:data_end``."""

    area: Source
    names: Sequence[str]
    start: int
    header: int
    data: int
    data_end: int
    end: int

    def content(self) -> Iterable[bytes]:
        """The content in bounded pieces."""
        return self.area.chunks(self.data, self.data_end, MIB)


@frozen(slots=True)
class TarArchive:
    """An archive whose headers are in order and that ends with its end."""

    area: Source
    slots: tuple[TarSlot, ...]
    is_document: bool = False

    def rewritten(self, substitutes: Mapping[int, Substitute]) -> Iterator[bytes]:
        """The archive with members replaced; every other byte stays."""
        area, at = self.area, self.area.start
        for number, slot in enumerate(self.slots):
            substitute = substitutes.get(number)
            if substitute is None:
                continue
            # The headers before that of the member give it a longer name: a new one does not need them.
            kept = slot.start if substitute.name else slot.header
            yield from area.chunks(at, kept, MIB)
            size = substitute.content.end - substitute.content.start
            yield _header(area.copy(slot.header, slot.data), size, substitute.name)
            yield from pieces(substitute.content)
            yield bytes(-size % _BLOCK)
            at = slot.end
        yield from area.chunks(at, area.end, MIB)


def open_tar(area: Source) -> TarArchive | None:
    """The archive, None where it cannot be written again: damaged, sparse, or with something behind its end."""
    slots, at, start, names = list[TarSlot](), area.start, area.start, list[str]()
    while at < area.end and len(slots) < _MOST_ENTRIES:
        header = area.copy(at, min(at + _BLOCK, area.end))
        if not header.strip(b"\0"):
            return TarArchive(area, tuple(slots)) if _is_blank(area, at) else None
        size = _size(header)
        end = at + _BLOCK + size + -size % _BLOCK
        if size < 0 or end > area.end:
            return None
        kind, data = header[156:157], at + _BLOCK
        if kind in _NAME_BEFORE:
            more = _names_in(area, kind, data, size)
            if more is None:
                return None
            names += more
        elif kind in _FILE_TYPES:
            slots.append(TarSlot(area, (*names, _own_name(header)), start, at, data, data + size, end))
        elif kind not in b"g" and (kind not in _WITHOUT_CONTENT or size):
            return None
        at = end
        if kind not in _NAME_BEFORE:
            start, names = at, []
    return TarArchive(area, tuple(slots)) if at == area.end else None


def _size(header: bytes) -> int:
    """Size of the content, -1 where the header is damaged."""
    if len(header) < _BLOCK:
        return -1
    checksum = _number(header[148:156])
    if checksum != sum(header[:148]) + 8 * 0x20 + sum(header[156:]):
        return -1
    return _number(header[124:136])


def _number(field: bytes) -> int:
    """An octal field, or one in base 256; -1 where it is neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    match = _NUMBER.fullmatch(field)
    return int(match[1] or b"0", 8) if match else -1


def _own_name(header: bytes) -> str:
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _names_in(area: Source, kind: bytes, data: int, size: int) -> list[str] | None:
    """The names that an extra header gives the next member; None where it changes more than names and times."""
    if size > _MOST_NAME_BYTES:
        return None
    content, found, at = area.copy(data, data + size), list[str](), 0
    if kind != b"x":
        return [content.split(b"\0")[0].decode("utf-8", "replace")] if kind == b"L" else []
    while at < len(content):
        match = _PAX_FIELD.match(content, at)
        end = at + int(match[1]) if match else 0
        if match is None or not match.end() < end <= len(content) or content[end - 1] != 0x0A:
            return None
        if match[2] == b"size" or match[2].startswith(b"GNU.sparse"):
            return None
        if match[2] == b"path":
            found.append(content[match.end() : end - 1].decode("utf-8", "replace"))
        at = end
    return found


def _is_blank(area: Source, at: int) -> bool:
    return all(not chunk.strip(b"\0") for chunk in area.chunks(at, area.end, MIB))


def _header(old: bytes, size: int, name: str) -> bytes:
    """The header for another size, under another name a plain file; owner and time stay."""
    header = bytearray(old)
    header[124:136] = b"%011o\0" % size
    if name:
        header[:100] = name.encode()[:100].ljust(100, b"\0")
        header[100:108] = b"0000644\0"
        header[156:157] = b"0"
        header[157:257] = bytes(100)
        if old[257:263] == b"ustar\0":
            header[345:500] = bytes(155)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)
