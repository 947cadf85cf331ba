"""The records of the entries of a zip archive, central and local (APPNOTE.TXT 6.3.10).

Positions are absolute in the buffer of the area that is read. Nothing that a record says is believed
beyond the area.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from attrs import frozen

from mailward.mime.source import Source

LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
STORED, DEFLATED = 0, 8
ENCRYPTED, DESCRIPTOR, UTF8 = 0x1, 0x8, 0x800
_HIDING = ENCRYPTED | 0x40 | 0x2000
_AES = 99
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_ZIP64_ID, _UNICODE_PATH_ID = 0x0001, 0x7075
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_NEWEST_VERSION = 100
_METHODS = frozenset((*range(21), *range(93, 100)))
_LONGEST_NAME = 4096
_MOST_READINGS = 4
_EMPTY_BYTES, _EMPTY_PACKED_BYTES = 2, 32


@frozen(slots=True)
class Record:
    """What a central record or a local header says about one entry.

    ``at:end`` is the record itself; of a local header ``end`` is where the data starts. ``header_at``
    is the position of the local header: of a central record as it says it, from the first byte of
    the archive. ``disk`` and ``attributes`` are zero in local headers.
    """

    at: int
    end: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    name: bytes
    extra: bytes
    header_at: int
    disk: int = 0
    attributes: int = 0

    @property
    def encrypted(self) -> bool:
        """Whether the data is encrypted, by whatever scheme."""
        return bool(self.flags & _HIDING) or self.method == _AES

    @property
    def sized(self) -> bool:
        """Whether sizes and checksum stand here rather than behind the data."""
        return not self.flags & DESCRIPTOR or bool(self.crc or self.packed or self.size)

    def names(self) -> list[str]:
        """Every name that some client may show: by the flags, by the unicode extra field, up to a NUL."""
        name = self.name
        if self.flags & UTF8:
            found = [name.decode("utf-8", "replace")]
        elif name.isascii():
            found = [name.decode("ascii")]
        else:
            found = [name.decode("cp437")]
            try:
                found.append(name.decode("utf-8"))
            except UnicodeDecodeError:
                found.append(name.decode("cp1252", "replace"))
        unicode = next((data for tag, data in extra_fields(self.extra) if tag == _UNICODE_PATH_ID), b"")
        if len(unicode) > 5:
            # Where the checksum is not that of the name, some clients ignore the field and some do not look.
            valid = struct.unpack_from("<L", unicode, 1)[0] == zlib.crc32(name)
            found.insert(0 if valid else len(found), unicode[5:].decode("utf-8", "replace"))
        found += [one.partition("\0")[0] for one in found if "\0" in one]
        return list(dict.fromkeys(one for one in found if one))


@frozen(slots=True)
class Entry:
    """One local header, or none where it is missing, and the central records that point to it."""

    at: int
    local: Record | None
    records: tuple[Record, ...]

    @property
    def views(self) -> list[Record]:
        """Everything that is said about the entry, the central directory first."""
        return [*self.records, *([self.local] if self.local is not None else [])]

    @property
    def names(self) -> list[str]:
        """Every name that some client may show, the one most clients show first."""
        return list(dict.fromkeys(name for view in self.views for name in view.names()))

    @property
    def is_folder(self) -> bool:
        """Whether nothing but a folder is meant; one that claims some content is a file with an odd name."""
        return all(
            view.name.endswith(b"/")
            and not view.size
            and view.packed <= (_EMPTY_BYTES if view.method in (STORED, DEFLATED) else _EMPTY_PACKED_BYTES)
            for view in self.views
        )

    @property
    def is_unsized(self) -> bool:
        """Whether stored data has no size in any header: clients that read on up to a data descriptor show some."""
        return not any(view.sized for view in self.views) and any(view.method == STORED for view in self.views)

    def differences(self) -> list[str]:
        """In what the local header and the central records disagree."""
        found = dict[str, None]()
        first = self.views[0]
        for view in self.views[1:]:
            if view.names()[:1] != first.names()[:1]:
                found["name"] = None
            if view.method != first.method:
                found["method"] = None
            if view.encrypted != first.encrypted:
                found["encryption"] = None
            if view.sized and (view.packed, view.size, view.crc) != (first.packed, first.size, first.crc):
                found["size"] = None
        return list(found)

    def readings(self, room: int) -> list[tuple[int, int]]:
        """(method, packed size) of each way to read the data; ``room`` is the size where none is stated."""
        views = [view for view in self.views if view.sized]
        sizes = dict.fromkeys(view.packed for view in views) or {room: None}
        stored = dict.fromkeys([*sizes, *(view.size for view in views)])
        found = list[tuple[int, int]]()
        for method in dict.fromkeys(view.method for view in self.views):
            found += [(method, size) for size in stored] if method == STORED else [(method, max(sizes))]
        return found[:_MOST_READINGS]


def extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """(id, data) of each extra field, as far as they are in order."""
    at = 0
    while at + 4 <= len(extra):
        tag, size = struct.unpack_from("<HH", extra, at)
        if at + 4 + size > len(extra):
            return
        yield tag, extra[at + 4 : at + 4 + size]
        at += 4 + size


def _widened(values: list[int], limits: list[int], extra: bytes) -> list[int]:
    """Fields that are full (all ones) by their zip64 values, in the order of the zip64 extra field."""
    if not any(value == limit for value, limit in zip(values, limits, strict=True)):
        return values
    data = next((data for tag, data in extra_fields(extra) if tag == _ZIP64_ID), b"")
    at, found = 0, list[int]()
    for value, limit in zip(values, limits, strict=True):
        width = 4 if limit == _MAX16 else 8
        if value == limit and at + width <= len(data):
            value = int.from_bytes(data[at : at + width], "little")
            at += width
        found.append(value)
    return found


def read_local(area: Source, at: int) -> Record | None:
    """The local header at a position, None where none stands."""
    fixed = area.copy(at, min(at + _LOCAL.size, area.end)) if area.start <= at < area.end else b""
    if len(fixed) < _LOCAL.size or not fixed.startswith(LOCAL):
        return None
    _, _, flags, method, _, _, crc, packed, size, n, m = _LOCAL.unpack(fixed)
    end = at + _LOCAL.size + n + m
    if end > area.end:
        return None
    rest = area.copy(at + _LOCAL.size, end)
    size, packed = _widened([size, packed], [_MAX32, _MAX32], rest[n:])
    return Record(at, end, flags, method, crc, packed, size, rest[:n], rest[n:], at)


def plausible(area: Source, at: int) -> bool:
    """Whether a local header may stand at a position that no directory names, rather than bytes like its beginning."""
    fixed = area.copy(at, min(at + _LOCAL.size, area.end))
    if len(fixed) < _LOCAL.size:
        return False
    _, version, _, method, *_, name_bytes, _ = _LOCAL.unpack(fixed)
    return version & 0xFF <= _NEWEST_VERSION and method in _METHODS and 0 < name_bytes <= _LONGEST_NAME


def read_central(area: Source, at: int) -> Record | None:
    """The central record at a position, None where none stands."""
    fixed = area.copy(at, min(at + _CENTRAL.size, area.end)) if area.start <= at < area.end else b""
    if len(fixed) < _CENTRAL.size or not fixed.startswith(CENTRAL):
        return None
    _, _, _, flags, method, _, _, crc, packed, size, n, m, k, disk, _, attributes, header_at = _CENTRAL.unpack(fixed)
    name_at = at + _CENTRAL.size
    end = name_at + n + m + k
    if end > area.end:
        return None
    rest = area.copy(name_at, name_at + n + m)
    values, most = [size, packed, header_at, disk], [_MAX32, _MAX32, _MAX32, _MAX16]
    size, packed, header_at, disk = _widened(values, most, rest[n:])
    return Record(at, end, flags, method, crc, packed, size, rest[:n], rest[n:], header_at, disk, attributes)
