"""The central directories of a zip archive, found by their end records, zip64 ones too (APPNOTE.TXT 6.3.10)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from attrs import frozen

from mailward.mime.source import Source
from mailward.mime.zip_records import Record, read_central

END, SPANNED = b"PK\x05\x06", b"PK\x07\x08"
_END64, _LOCATOR64 = b"PK\x06\x06", b"PK\x06\x07"
TAIL_BYTES = 22 + 0xFFFF
"""The end record and its longest comment: where an end record can stand."""
_END_FIELDS = struct.Struct("<4s4H2LH")
_END64_FIELDS = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64_FIELDS = struct.Struct("<4sLQL")
_MAX16 = 0xFFFF


@frozen(slots=True)
class EndRecord:
    """Where one end record says that a central directory stands.

    ``at:end`` is the record with its comment, ``top`` where the end records begin (zip64 ones stand
    before). ``starts``: the possible positions of the directory, each with what is to be added to
    the offsets in it. ``spanned``: the archive is one of several volumes.
    """

    at: int
    end: int
    top: int
    count: int
    size: int
    starts: tuple[tuple[int, int], ...]
    spanned: bool
    zip64_at: int = -1


@frozen(slots=True)
class Directory:
    """A central directory: its records, where it lies, and what its offsets count from."""

    start: int
    end: int
    base: int
    records: tuple[Record, ...]
    end_record: EndRecord


def read_end(area: Source, at: int) -> EndRecord | None:
    """The end record at a position with the zip64 one before it, None where none stands."""
    fixed = area.copy(at, min(at + _END_FIELDS.size, area.end))
    if len(fixed) < _END_FIELDS.size or not fixed.startswith(END):
        return None
    _, disk, first_disk, here, count, size, offset, comment = _END_FIELDS.unpack(fixed)
    end = min(at + _END_FIELDS.size + comment, area.end)
    spanned = _MAX16 not in (disk, first_disk, here, count) and (disk != 0 or first_disk != 0 or here != count)
    starts = _starts(area, at, size, offset)
    locator = area.copy(at - _LOCATOR64_FIELDS.size, at) if at - _LOCATOR64_FIELDS.size >= area.start else b""
    if not locator.startswith(_LOCATOR64):
        return EndRecord(at, end, at, count, size, starts, spanned)
    _, _, wanted, volumes = _LOCATOR64_FIELDS.unpack(locator)
    top = at - _LOCATOR64_FIELDS.size
    for place in (top - _END64_FIELDS.size, area.start + wanted):
        wide = area.copy(place, place + _END64_FIELDS.size) if area.start <= place <= top - _END64_FIELDS.size else b""
        if wide.startswith(_END64):
            _, _, _, _, disk, first_disk, here, count64, size64, offset64 = _END64_FIELDS.unpack(wide)
            spanned = volumes > 1 or disk != 0 or first_disk != 0 or here != count64
            more = tuple(dict.fromkeys((*_starts(area, place, size64, offset64), *starts)))
            return EndRecord(at, end, place, count64, size64, more, spanned, place)
    return EndRecord(at, end, top, count, size, starts, True)


def _starts(area: Source, before: int, size: int, offset: int) -> tuple[tuple[int, int], ...]:
    """Where a directory of ``size`` bytes before ``before`` may stand: clients count back, or from the first byte."""
    counted_back, as_stated = before - size, area.start + offset
    found = [(counted_back, counted_back - offset)] if counted_back >= area.start else []
    if as_stated < before and as_stated != counted_back:
        found.append((as_stated, area.start))
    return tuple(found)


def read_directory(area: Source, found: EndRecord, most: int) -> list[Directory]:
    """The directories that an end record may mean, commonly one; none where no record stands there.

    Records are read as long as one follows the other, whatever number and size are stated. More than
    ``most`` of them are not read: a directory of ``most + 1`` tells that.
    """
    directories = list[Directory]()
    for start, base in found.starts:
        records, at = list[Record](), start
        while len(records) <= most and (record := read_central(area, at)) is not None:
            records.append(record)
            at = record.end
        if records or (start == found.top and not found.count):
            directories.append(Directory(start, at, base, tuple(records), found))
    return directories


def ends_in(area: Source, start: int, end: int, most: int) -> Iterator[EndRecord]:
    """The end records in ``start:end`` in order, at most ``most``."""
    position = start
    for _ in range(most):
        position = area.find(END, position, end)
        if position < 0:
            return
        found = read_end(area, position)
        if found is not None:
            yield found
        position += len(END)


def last_directories(area: Source, most: int) -> list[Directory]:
    """The directories of the last end record in the tail that has one; none where there is no such record."""
    start = max(area.start, area.end - TAIL_BYTES)
    tail = area.copy(start, area.end)
    at = tail.rfind(END)
    while at >= 0:
        found = read_end(area, start + at)
        directories = read_directory(area, found, most) if found is not None else []
        if directories:
            return directories
        at = tail.rfind(END, 0, at)
    return []
