"""Zip archives with compression methods that the core's reader does not know: deflate64, implode, ppmd.

All others are left to the core, which enforces its own rules on them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives import sevenzip
from mailward_archives.buffer import Data, data_of
from mailward_archives.settings import ArchivesSettings

_CORE_METHODS = (0, 8, 12, 14, 99)
_CENTRAL = b"PK\x01\x02"
_MOST_ENTRIES = 50_000


def read_zip(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding] | None:
    """The members of an archive with an odd method, by the 7-Zip program; None for every other archive."""
    if sevenzip.missing():
        return None
    with data_of(part) as data:
        if all(method in _CORE_METHODS for method in methods(data)):
            return None
    return sevenzip.SevenZip("zip", "zip", settings.program_timeout_s, settings.program_memory_bytes)(part)


def methods(data: Data) -> Iterator[int]:
    """The methods that the entries of the directory name (APPNOTE 4.4.5)."""
    at, count = 0, 0
    while (at := data.find(_CENTRAL, at)) >= 0 and at + 46 <= len(data) and count < _MOST_ENTRIES:
        (method,) = struct.unpack_from("<H", data, at + 10)
        yield int(method)
        at += 46
        count += 1
