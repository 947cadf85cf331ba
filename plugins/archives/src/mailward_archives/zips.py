"""Zip archives with compression methods that the core's reader does not know: deflate64, implode, ppmd; and
encrypted ones whose password stands in the message.

All others are left to the core, which enforces its own rules on them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mailward import Finding, Member, Part, unpack_zip
from mailward_archives import sevenzip
from mailward_archives.buffer import Data, data_of, file_of
from mailward_archives.content import unopened
from mailward_archives.passwords import opened_note, unlocked
from mailward_archives.settings import ArchivesSettings
from mailward_archives.sevenzip import Counted, SevenZip

_CORE_METHODS = (0, 8, 12, 14, 95, 99)
_CENTRAL, _END = b"PK\x01\x02", b"PK\x05\x06"
_TAIL_BYTES = 22 + 0xFFFF
_ENCRYPTED = 0x0001
_MOST_ENTRIES = 50_000


def read_zip(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding] | None:
    """The members of an archive with an odd method, by the 7-Zip program, or of one that a password opens.

    None for every other archive.
    """
    with data_of(part) as data:
        entries = tuple(directory(data))
    is_odd = any(method not in _CORE_METHODS for _, method in entries)
    is_locked = any(flags & _ENCRYPTED for flags, _ in entries)
    if not (is_odd or is_locked) or sevenzip.missing():
        return None
    reader = unlocked(part, settings, "zip", "zip") if is_locked else None
    if reader is not None:
        return _opened(part, reader, is_odd)
    limits = settings.program_timeout_s, settings.program_memory_bytes
    return SevenZip("zip", "zip", *limits)(part) if is_odd else None


def _opened(part: Part, reader: SevenZip, is_odd: bool) -> Iterator[Member | Finding]:
    """What the core makes of the archive, with the content of encrypted members."""
    yield opened_note(part)
    members = None if is_odd else unpack_zip(part)
    if members is None:
        yield from reader(part)
        return
    with file_of(part) as file:
        locked = {entry.path: entry for entry in reader.listing(file).entries if entry.encrypted}
        for item in members:
            entry = locked.get(item.name) if isinstance(item, Member) and item.encrypted else None
            if entry is None:
                yield item
                continue
            content = Counted(reader.content(file, entry))
            yield Member(item.name, content, size_hint=max(entry.size, 0))
            if content.chunks.error or (content.chunks.whole and content.size != entry.size):
                yield unopened(part, f"zip: {content.chunks.error or 'less content than is listed'}", item.name)


def directory(data: Data) -> Iterator[tuple[int, int]]:
    """Flags and method of each entry of the directory (APPNOTE 4.4.4, 4.4.5).

    It begins where the last end record says (4.3.16), as counted back from that; else wherever one is.
    """
    end, at, count = data.rfind(_END, max(len(data) - _TAIL_BYTES, 0)), 0, 0
    if end >= 0 and end + 16 <= len(data):
        start = end - int(struct.unpack_from("<I", data, end + 12)[0])
        at = start if start >= 0 and data[start : start + 4] == _CENTRAL else 0
    while (at := data.find(_CENTRAL, at)) >= 0 and at + 46 <= len(data) and count < _MOST_ENTRIES:
        flags, method = struct.unpack_from("<HH", data, at + 8)
        yield int(flags), int(method)
        at += 46
        count += 1
