"""Disk images of Apple (UDIF, ``.dmg``): each partition by 7-Zip; the volume in it is a container itself.

Such a file is read from its end, so it may be another one by its beginning: a compressed file, as honest
images are whose first block is packed so, or a tree of ISO 9660. Which of them is opened depends on
the system, so all are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives import iso, libarchive, sevenzip, streams
from mailward_archives.content import encrypted, unopened
from mailward_archives.settings import ArchivesSettings

APPLE_TYPE = "application/x-apple-diskimage"
_SEALED_HEAD, _SEALED_TAIL = b"encrcdsa", b"cdsaencr"
_PACKINGS = (streams.BZIP2, streams.XZ, streams.LZMA)


def read_dmg(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    """The partitions of a disk image of Apple; the volume in each is a container itself."""
    if part.head(len(_SEALED_HEAD)) == _SEALED_HEAD or part.tail(len(_SEALED_TAIL)) == _SEALED_TAIL:
        yield encrypted(part, "dmg: encrypted as a whole")
        return
    yield from sevenzip.SevenZip("dmg", "Dmg", settings.program_timeout_s, settings.program_memory_bytes)(part)
    yield from _read_iso(part, settings)
    for packing in _PACKINGS:
        if part.head(len(packing.magic)) == packing.magic:
            yield from streams.read_streams(part, packing, trailing=False)


def _read_iso(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    if not iso.identifiers(part):
        return
    needs = libarchive.missing() if settings.reads("iso") else "to be switched on"
    if needs:
        yield unopened(part, f"iso: needs {needs}")
    else:
        yield from iso.read_iso(part, settings)
