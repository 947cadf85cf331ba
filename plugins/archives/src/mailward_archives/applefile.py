"""AppleSingle (RFC 1740): a Macintosh file with both forks in one, behind a table of entries."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of, pieces
from mailward_archives.content import unopened

_COUNT_AT, _TABLE_AT = 24, 26
_DATA, _RESOURCE, _NAME = 1, 2, 3
_MOST_ENTRIES = 100
_LONGEST_NAME = 255


def read_applefile(part: Part) -> Iterator[Member | Finding]:
    """The forks; a resource fork is named after its file, as ``name/rsrc``."""
    with data_of(part) as data:
        try:
            entries = _entries(data)
        except struct.error:
            yield unopened(part, "applefile: the table of entries ends too soon")
            return
        start, end = entries.get(_NAME, (0, 0))
        name = data[start : min(end, start + _LONGEST_NAME)].decode("utf-8", "replace") or part.filename or "content"
        for ident, fork in ((_DATA, name), (_RESOURCE, f"{name}/rsrc")):
            start, end = entries.get(ident, (0, 0))
            if end > start:
                yield Member(fork, pieces(data, start, end), size_hint=end - start)
                if end > len(data):
                    yield unopened(part, "applefile: the fork ends too soon", fork)


def _entries(data: Data) -> dict[int, tuple[int, int]]:
    """Start and end of each entry, by its number."""
    (count,) = struct.unpack_from(">H", data, _COUNT_AT)
    found: dict[int, tuple[int, int]] = {}
    for number in range(min(count, _MOST_ENTRIES)):
        ident, start, size = struct.unpack_from(">III", data, _TABLE_AT + 12 * number)
        found.setdefault(ident, (start, start + size))
    return found
