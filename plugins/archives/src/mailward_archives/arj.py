"""ARJ: what the main header says of the archive, and the 7-Zip program for the rest.

The header: 0x60 0xEA, size (2), size of its first part (1), two versions, system, flags: 0x04 where
the archive goes on in another file.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.content import multivolume
from mailward_archives.settings import ArchivesSettings
from mailward_archives.sevenzip import SevenZip

_FLAGS_AT = 8
_VOLUME = 0x04


def read_arj(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    """The members; that the archive is one volume of several."""
    head = part.head(_FLAGS_AT + 1)
    if len(head) > _FLAGS_AT and head[_FLAGS_AT] & _VOLUME:
        yield multivolume(part, "arj: one volume of a set")
    yield from SevenZip("arj", "arj", settings.program_timeout_s, settings.program_memory_bytes)(part)
