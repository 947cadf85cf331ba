"""What an edit can reach: which parts can be given new content where they lie, and which archives are written again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mailward.mime.archive import Archive, find_slots
from mailward.mime.binhex_archive import open_binhex
from mailward.mime.content import UU_LINES
from mailward.mime.gzip_archive import open_gzip
from mailward.mime.kind import PartKind
from mailward.mime.source import Source
from mailward.mime.tar_archive import open_tar
from mailward.mime.zip_archive import open_zip

if TYPE_CHECKING:
    from mailward.mime.part import Part

_FORMATS: dict[str, Callable[[Source], Archive | None]] = {
    "application/zip": open_zip,
    "application/x-tar": open_tar,
    "application/gzip": open_gzip,
}


def is_rewritable(part: Part) -> bool:
    """Whether new content can be put in the place of a part's content alone, with all that is around it."""
    if part.kind in (PartKind.MULTIPART, PartKind.MESSAGE):
        return False
    while not part.place.source.outer:
        if part.kind is PartKind.MEMBER:
            archive = archive_of(part.parent) if part.parent is not None else None
            if archive is None or find_slots(archive, [part]) is None:
                return False
        elif not takes_content(part):
            return False
        part = holder_of(part)
    return takes_content(part)


def takes_content(part: Part) -> bool:
    """Whether a part can be given new content where it lies; the members of containers are not asked."""
    if part.kind is PartKind.ENCODED:
        return part.encoding == UU_LINES
    return part.kind in (PartKind.LEAF, PartKind.MESSAGE) and part.division is None


def holder_of(part: Part) -> Part:
    """The part whose content a part lies in: its archive, or what has to be decoded to see it."""
    above = part.parent
    while above is not None:
        if part.kind is PartKind.MEMBER or above.kind is PartKind.MEMBER:
            return above
        if above.place.source is not part.place.source:
            return above
        part, above = above, above.parent
    return part


def archive_of(part: Part) -> Archive | None:
    """A container that can be written again, None where it cannot."""
    if part.opaque:
        return None
    source, start, end = part.inner()
    # BinHex files stand within texts of any type.
    return _FORMATS.get(part.detected_type, open_binhex)(Source(source.data, start, end))
