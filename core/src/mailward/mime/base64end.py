"""Where base64 ends, and which of its characters count, for clients that do not read damage as most do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailward.mime.base64text import ALPHABET, base64_stream
from mailward.mime.content import Place
from mailward.mime.manner import Damage

_PADDING = re.compile(rb"=(?>[ \t\r\n]*+=)*+")
_DIGIT = re.compile(rb"[A-Za-z0-9+/]")
_JUNK = re.compile(rb"[^A-Za-z0-9+/= \t\r\n]")
_URL_DIGIT = re.compile(rb"[-_]")
_AS_IT_STANDS = bytes(range(256))
_CHARACTERS = {
    Damage.UNPADDED: (_AS_IT_STANDS, b"="),
    Damage.URL: (bytes.maketrans(b"-_", b"+/"), b""),
}
"""By which table, and without which characters, some clients decode."""
_JUNK_SHARE = 8


def looks_like_base64(head: bytes) -> bool:
    """Whether the first lines of a body may be base64, with no more damage than happens on the way."""
    text = head.strip()
    first = text.split(b"\n", 1)[0].rstrip()
    if first.translate(None, ALPHABET + b"="):
        return False
    strange = len(text.translate(None, ALPHABET + b"=\r\n"))
    return strange * _JUNK_SHARE <= len(text)


def padding_end(place: Place) -> int:
    """Where the first padding ends; the end of the body where there is none."""
    first = place.source.find(b"=", place.body, place.body_end)
    match = _PADDING.match(place.source.data, first, place.body_end) if first >= 0 else None
    return place.body_end if match is None else match.end()


def junk_start(place: Place) -> int:
    """Where the first character stands that is neither base64 nor white space; the end of the body where none is."""
    match = _JUNK.search(place.source.data, place.body, place.body_end)
    return place.body_end if match is None else match.start()


def resumes_after(place: Place, end: int) -> bool:
    """Whether base64 has characters behind ``end``."""
    return _DIGIT.search(place.source.data, end, place.body_end) is not None


def is_cut_by_junk(place: Place) -> bool:
    """Whether who stops at the first junk sees something, and something else than who skips it."""
    start = junk_start(place)
    return _DIGIT.search(place.source.data, place.body, start) is not None and resumes_after(place, start)


def has_url_digits(place: Place) -> bool:
    """Whether characters stand there that are digits in the alphabet for addresses (RFC 4648 section 5)."""
    return _URL_DIGIT.search(place.source.data, place.body, place.body_end) is not None


def as_ended(place: Place, damage: Damage) -> Place:
    """The part of a body that counts for clients that stop somewhere."""
    if damage is Damage.STOPS_PADDED:
        end = padding_end(place)
    elif damage is Damage.STOPS_JUNK:
        end = junk_start(place)
    else:
        return place
    return Place(place.source, place.start, place.body, end, place.end)


def otherwise_decoded(place: Place, damage: Damage, max_bytes: int) -> Iterator[bytes] | None:
    """The content in pieces for clients to whom other characters count; None where it is the usual ones."""
    if damage not in _CHARACTERS:
        return None
    table, left_out = _CHARACTERS[damage]
    chunks = place.source.chunks(place.body, place.body_end, max_bytes)
    return base64_stream((chunk.translate(table, left_out) for chunk in chunks), lambda word: None)
