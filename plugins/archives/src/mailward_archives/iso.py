"""Disc images: the ISO 9660 tree by libarchive, and the UDF tree beside it, which Windows prefers, by 7-Zip."""

from __future__ import annotations

from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives import libarchive, sevenzip
from mailward_archives.content import unopened
from mailward_archives.settings import ArchivesSettings

SECTOR_BYTES = 2048
FIRST_DESCRIPTOR = 16 * SECTOR_BYTES
_MOST_DESCRIPTORS = 32
_UDF = (b"NSR02", b"NSR03")
_ISO = b"CD001"


def identifiers(part: Part) -> tuple[bytes, ...]:
    """The identifiers of the volume descriptors, from sector 16 on (ISO 9660 8.1, ECMA-167 2/8)."""
    if part.place_bytes < FIRST_DESCRIPTOR:
        return ()
    return ()


def read_iso(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    """Both trees; a file that stands in both is looked at twice."""
    found = identifiers(part)
    if _ISO in found:
        yield from libarchive.ISO(part)
    if any(name in found for name in _UDF):
        if sevenzip.missing():
            yield unopened(part, f"udf: needs {sevenzip.missing()}")
        else:
            yield from sevenzip.SevenZip("udf", "Udf", settings.program_timeout_s, settings.program_memory_bytes)(part)
