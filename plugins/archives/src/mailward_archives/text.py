"""Files inside texts: yEnc, ``data:`` URIs and base64 strings. Uuencode is the core's, and so is BinHex.

A text is looked through for the marks first, so that one without costs a few searches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailward import Finding, Member, Part, unpack_binhex
from mailward_archives import yenc
from mailward_archives.blobs import DATA_MARK, unpack_blobs
from mailward_archives.buffer import Data, data_of
from mailward_archives.settings import ArchivesSettings

_MARKUP_TYPES = ("text/html", "image/svg+xml", "application/xml", "application/xhtml+xml", "text/x-script")
_MARKUP_NAMES = (
    *(".html", ".htm", ".shtml", ".xhtml", ".svg", ".xml", ".js", ".jse", ".hta", ".mht", ".css", ".vbs", ".wsf"),
)
_BINHEX_TYPE = "application/mac-binhex40"
_LONG_STRING = re.compile(rb"[\"'`>][A-Za-z0-9+/\s]{512}")
_BINARY = re.compile(rb"[\x00-\x06\x0e-\x19\x1c-\x1f]")
_LOOKED_AT_BYTES = 512


def is_text(part: Part) -> bool:
    """Whether a part is worth looking through: declared as text, markup by content, or not binary."""
    if part.detected_type in (*_MARKUP_TYPES, _BINHEX_TYPE) or part.declared_type.startswith("text/"):
        return True
    return not part.detected_type and not _BINARY.search(part.head(_LOOKED_AT_BYTES))


def read_text(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding] | None:
    """The files inside a text; None where no mark of one is found that only this plugin reads."""
    if not is_text(part):
        return None
    markup = _is_markup(part)
    with data_of(part) as data:
        marked = (
            (settings.reads("yenc") and data.find(yenc.MARK) >= 0)
            or (settings.reads("data_uri") and _has_uri(data))
            or (markup and settings.reads("base64") and _LONG_STRING.search(data) is not None)
        )
    return _members(part, settings, markup) if marked else None


def _has_uri(data: Data) -> bool:
    # Folding the case of a text and searching it costs a tenth of a search that ignores case.
    if isinstance(data, bytes) and b"data:" not in data.lower():
        return False
    return DATA_MARK.search(data) is not None


def _is_markup(part: Part) -> bool:
    if part.detected_type in _MARKUP_TYPES or part.declared_type in _MARKUP_TYPES:
        return True
    return part.filename.lower().endswith(_MARKUP_NAMES)


def _members(part: Part, settings: ArchivesSettings, markup: bool) -> Iterator[Member | Finding]:
    # Only one reader is asked: what stands beside the files of this plugin is handed on too.
    yield from unpack_binhex(part) or ()
    with data_of(part) as data:
        if settings.reads("yenc"):
            for packed in yenc.blocks(data):
                yield from yenc.unpack_block(part, data, packed)
        if settings.reads("data_uri"):
            yield from unpack_blobs(part, data, strings=markup and settings.reads("base64"))
