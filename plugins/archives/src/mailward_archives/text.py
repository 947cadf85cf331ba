"""Files inside texts: yEnc, ``data:`` URIs and base64 strings. Uuencode is the core's, and so is BinHex.

A text is looked through for the marks first, so that one without costs a few searches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailward import Finding, Member, Part, unpack_binhex
from mailward_archives import yenc
from mailward_archives.blobs import has_uri, unpack_blobs
from mailward_archives.buffer import text_of
from mailward_archives.cards import is_card, unpack_card
from mailward_archives.settings import ArchivesSettings

_MARKUP_TYPES = ("text/html", "image/svg+xml", "application/xml", "application/xhtml+xml", "text/x-script")
_MARKUP_SUFFIXES = """
    html htm shtml xhtml xht svg xml xsl xslt mht css
    js jse hta vbs vbe vb wsf wsc sct ps1 psm1 bat cmd py sh
"""
_MARKUP_NAMES = tuple(f".{suffix}" for suffix in _MARKUP_SUFFIXES.split())
_BINHEX_TYPE = "application/mac-binhex40"
_BINARY = re.compile(rb"[\x00-\x06\x0e-\x19\x1c-\x1f]")
_LOOKED_AT_BYTES = 512


def is_text(part: Part) -> bool:
    """Whether a part is worth looking through: declared as text, markup by content or name, or not binary."""
    if part.detected_type in (*_MARKUP_TYPES, _BINHEX_TYPE) or part.declared_type.startswith("text/"):
        return True
    if part.is_named(_MARKUP_NAMES):
        # A browser goes by the name, whatever the first bytes are the mark of.
        return True
    return not part.detected_type and not _BINARY.search(part.head(_LOOKED_AT_BYTES))


def read_text(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding] | None:
    """The files inside a text; None where no mark of one is found that only this plugin reads."""
    is_cards = settings.reads("calendar") and is_card(part)
    if not is_cards and not is_text(part):
        return None
    markup = _is_markup(part)
    if is_cards or (markup and settings.reads("base64")):
        return _members(part, settings, markup, is_cards)
    with text_of(part) as data:
        marked = (settings.reads("yenc") and data.find(yenc.MARK) >= 0) or (
            settings.reads("data_uri") and has_uri(data)
        )
    return _members(part, settings, markup, is_cards) if marked else None


def _is_markup(part: Part) -> bool:
    return part.detected_type in _MARKUP_TYPES or part.declared_type in _MARKUP_TYPES or part.is_named(_MARKUP_NAMES)


def _members(part: Part, settings: ArchivesSettings, markup: bool, is_cards: bool) -> Iterator[Member | Finding]:
    # Only one reader is asked: what stands beside the files of this plugin is handed on too.
    yield from unpack_binhex(part) or ()
    with text_of(part) as data:
        if settings.reads("yenc"):
            for packed in yenc.blocks(data):
                yield from yenc.unpack_block(part, data, packed)
        if is_cards:
            yield from unpack_card(part, data)
        elif settings.reads("data_uri"):
            yield from unpack_blobs(part, data, markup=markup, strings=markup and settings.reads("base64"))
