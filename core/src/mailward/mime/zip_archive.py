"""Zip archives written again: entries replaced, the others copied as they are packed (APPNOTE.TXT 6.3.10)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from mailward.mime.archive import Substitute
from mailward.mime.inflow import Inflow
from mailward.mime.limits import MIB
from mailward.mime.scratch import gathered, pieces
from mailward.mime.source import Source
from mailward.mime.zip_directory import Directory, last_directories
from mailward.mime.zip_records import (
    DEFLATED,
    DESCRIPTOR,
    STORED,
    UTF8,
    Entry,
    Record,
    extra_fields,
    read_local,
)

_MOST_ENTRIES = 50_000
_MOST_BYTES = (1 << 32) - 64 * MIB
_DESCRIPTOR_BYTES = (12, 16, 20, 24)
_DOCUMENTS = frozenset(("[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF"))
_ZIP64_ID = 0x0001
_TIMES = frozenset((0x5455, 0x5855, 0x7855, 0x7875, 0x000A))
"""Extra fields that still hold for a member of another name: times and owners."""
_LOCAL_FIXED = struct.Struct("<4s3H4s3L2H")
_CENTRAL_FIXED = struct.Struct("<4s4H4s3L5H2L")
_OFFSET_AT, _FIXED_BYTES = 42, 46
_FULL = 0xFFFFFFFF
_UNIX, _PLAIN_FILE, _ARCHIVED = 3, 0o100644 << 16, 0x20
_VERSION = 20


@frozen(slots=True)
class ZipSlot:
    """One entry: its central record, its local header and where its bytes end."""

    area: Source
    record: Record
    local: Record
    end: int

    @property
    def names(self) -> Sequence[str]:
        """Every name of the entry."""
        return self.record.names()

    def content(self) -> Iterable[bytes]:
        """The content in bounded pieces; may raise MemberError."""
        return Inflow(self.area, self.local.end, self.local.end + self.record.packed, self.record.method)


@frozen(slots=True)
class ZipArchive:
    """An archive of which every byte is accounted for: nothing before, between or behind its records."""

    area: Source
    directory: Directory
    slots: tuple[ZipSlot, ...]

    @property
    def is_document(self) -> bool:
        """Whether this is a document or program in parts: Office, OpenDocument, EPUB, Java."""
        return any(name in _DOCUMENTS for slot in self.slots for name in slot.names)

    def rewritten(self, substitutes: Mapping[int, Substitute]) -> Iterator[bytes]:
        """The archive with entries replaced; names, times, order and packed bytes of the others stay."""
        central, position = dict[int, bytes](), 0
        for number, slot in sorted(enumerate(self.slots), key=lambda item: item[1].local.at):
            substitute = substitutes.get(number)
            if substitute is None:
                central[number] = _moved(self.area, slot.record, position)
                yield from self.area.chunks(slot.local.at, slot.end, MIB)
                position += slot.end - slot.local.at
                continue
            fresh = _Fresh.of(slot, substitute)
            central[number] = fresh.central(slot, position)
            header = fresh.header(slot)
            yield header
            yield from pieces(fresh.packed)
            position += len(header) + fresh.packed.end - fresh.packed.start
        listing = b"".join(central[number] for number in range(len(self.slots)))
        yield listing
        yield self._end_records(position, len(listing))

    def _end_records(self, start: int, size: int) -> bytes:
        """The end records as they were, with the new place and size of the directory."""
        area, end = self.area, self.directory.end_record
        records = bytearray(area.copy(end.top, end.end))
        if end.zip64_at >= 0:
            struct.pack_into("<2Q", records, 40, size, start)
            struct.pack_into("<Q", records, end.at - end.top - 12, start + size)
        at = end.at - end.top
        stated_size, stated_start = struct.unpack_from("<2L", records, at + 12)
        if stated_size != _FULL:
            struct.pack_into("<L", records, at + 12, size)
        if stated_start != _FULL:
            struct.pack_into("<L", records, at + 16, start)
        return bytes(records)


@frozen(slots=True)
class _Fresh:
    """A new entry: name, extra fields and packed content."""

    name: bytes
    flags: int
    method: int
    crc: int
    size: int
    packed: Source
    renamed: bool

    @classmethod
    def of(cls, slot: ZipSlot, substitute: Substitute) -> _Fresh:
        content, method = substitute.content, STORED if slot.record.method == STORED else DEFLATED
        crc = 0
        for piece in pieces(content):
            crc = zlib.crc32(piece, crc)
        packed = content if method == STORED else gathered(_deflated(pieces(content)))
        name = substitute.name.encode() if substitute.name else slot.local.name
        utf8 = not substitute.name.isascii() if substitute.name else bool(slot.local.flags & UTF8)
        flags = UTF8 if utf8 else 0
        return cls(name, flags, method, crc, content.end - content.start, packed, bool(substitute.name))

    def _extra(self, extra: bytes) -> bytes:
        return b"".join(
            struct.pack("<HH", tag, len(data)) + data
            for tag, data in extra_fields(extra)
            if (tag in _TIMES if self.renamed else tag != _ZIP64_ID)
        )

    def header(self, slot: ZipSlot) -> bytes:
        """The local header."""
        time, extra = slot.area.copy(slot.local.at + 10, slot.local.at + 14), self._extra(slot.local.extra)
        packed = self.packed.end - self.packed.start
        sizes = (self.crc, packed, self.size, len(self.name), len(extra))
        return _LOCAL_FIXED.pack(b"PK\x03\x04", _VERSION, self.flags, self.method, time, *sizes) + self.name + extra

    def central(self, slot: ZipSlot, position: int) -> bytes:
        """The central record of the entry, which lies at ``position``."""
        record, area = slot.record, slot.area
        signature, made_by, _, _, _, time, *_, inner, attributes, _ = _CENTRAL_FIXED.unpack(
            area.copy(record.at, record.at + _FIXED_BYTES)
        )
        comment = area.copy(record.at + _FIXED_BYTES + len(record.name) + len(record.extra), record.end)
        if self.renamed:
            # Whatever stood there, a link or a program: now it is a file to read.
            comment, inner, attributes = b"", 1, _PLAIN_FILE if made_by >> 8 == _UNIX else _ARCHIVED
        extra = self._extra(record.extra)
        packed = self.packed.end - self.packed.start
        sizes = (self.crc, packed, self.size, len(self.name), len(extra), len(comment))
        fixed = _CENTRAL_FIXED.pack(
            signature, made_by, _VERSION, self.flags, self.method, time, *sizes, 0, inner, attributes, position
        )
        return fixed + self.name + extra + comment


def open_zip(area: Source) -> ZipArchive | None:
    """The archive, None where it cannot be written again: encrypted, ambiguous, in volumes, with other data in it."""
    directories = last_directories(area, _MOST_ENTRIES)
    if len(directories) != 1 or area.end - area.start > _MOST_BYTES:
        return None
    directory, slots = directories[0], list[ZipSlot]()
    end = directory.end_record
    if end.spanned or end.end != area.end or directory.base != area.start or directory.end != end.top:
        return None
    if not len(directory.records) == end.count <= _MOST_ENTRIES:
        return None
    starts = sorted(area.start + record.header_at for record in directory.records)
    if not starts or starts[0] != area.start or len(set(starts)) != len(starts):
        return None
    following = dict(zip(starts, (*starts[1:], directory.start), strict=True))
    for record in directory.records:
        slot = _slot(area, record, following[area.start + record.header_at])
        if slot is None:
            return None
        slots.append(slot)
    return ZipArchive(area, directory, tuple(slots))


def _slot(area: Source, record: Record, end: int) -> ZipSlot | None:
    """An entry whose header and directory agree, whose bytes reach exactly to ``end``, and which is not encrypted."""
    local = read_local(area, area.start + record.header_at)
    if local is None or record.disk or record.encrypted or Entry(local.at, local, (record,)).differences():
        return None
    between = end - local.end - record.packed
    if between != 0 and not (local.flags & DESCRIPTOR and between in _DESCRIPTOR_BYTES):
        return None
    return ZipSlot(area, record, local, end)


def _moved(area: Source, record: Record, position: int) -> bytes:
    """A central record with another position of the local header; classic and zip64 fields keep their form."""
    raw = bytearray(area.copy(record.at, record.end))
    if struct.unpack_from("<L", raw, _OFFSET_AT)[0] != _FULL:
        struct.pack_into("<L", raw, _OFFSET_AT, position)
        return bytes(raw)
    at = _FIXED_BYTES + len(record.name)
    for tag, data in extra_fields(record.extra):
        if tag == _ZIP64_ID:
            before = 8 * sum(struct.unpack_from("<L", raw, field)[0] == _FULL for field in (20, 24))
            struct.pack_into("<Q", raw, at + 4 + before, position)
            break
        at += 4 + len(data)
    return bytes(raw)


def _deflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()
