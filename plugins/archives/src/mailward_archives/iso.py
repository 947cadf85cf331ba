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
_KNOWN = (_ISO, *_UDF, b"BEA01", b"TEA01", b"BOOT2", b"CDW02")


def identifiers(part: Part) -> tuple[bytes, ...]:
    """The identifiers of the volume descriptors, from sector 16 on (ISO 9660 8.1, ECMA-167 2/8)."""
    if part.size < FIRST_DESCRIPTOR + SECTOR_BYTES:
        return ()
    found = list[bytes]()
    with part.open() as file:
        file.seek(FIRST_DESCRIPTOR)
        while len(found) < _MOST_DESCRIPTORS:
            sector = file.read(SECTOR_BYTES)
            if sector[1:6] not in _KNOWN:
                break
            found.append(sector[1:6])
    return tuple(found)


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
