"""7z archives: by libarchive, and by the 7-Zip program where a password of the message opens them."""

from __future__ import annotations

from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives import libarchive
from mailward_archives.passwords import opened_note, unlocked
from mailward_archives.settings import ArchivesSettings


def read_7z(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    """The members."""
    reader = unlocked(part, settings, "7z", "7z")
    if reader is None:
        yield from libarchive.SEVEN_ZIP(part)
        return
    yield opened_note(part)
    yield from reader(part)
