"""7z archives: by libarchive, and by the 7-Zip program what libarchive cannot pass: encrypted members in one block."""

from __future__ import annotations

from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives import libarchive, sevenzip
from mailward_archives.passwords import opened_note, unlocked
from mailward_archives.settings import ArchivesSettings


def read_7z(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    """The members; each encrypted one is told by its name where the names are not encrypted."""
    reader = unlocked(part, settings, "7z", "7z")
    if reader is not None:
        yield opened_note(part)
        yield from reader(part)
        return
    seen = set[str]()
    for item in libarchive.SEVEN_ZIP(part):
        if isinstance(item, Member):
            seen.add(item.name)
        elif item.rule == "encrypted" and seen and not sevenzip.missing():
            yield from _others(part, settings, seen)
            return
        yield item


def _others(part: Part, settings: ArchivesSettings, seen: set[str]) -> Iterator[Member | Finding]:
    """The members that libarchive did not get to."""
    program = sevenzip.SevenZip("7z", "7z", settings.program_timeout_s, settings.program_memory_bytes)
    for item in program(part):
        if not (isinstance(item, Member) and item.name in seen):
            yield item
