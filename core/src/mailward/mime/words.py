"""Encoded words in header fields (RFC 2047): tolerant decoding, strict encoding."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from mailward.mime.base64text import base64_whole
from mailward.mime.charset import decode_text

_WORD = re.compile(rb"=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=")
_FOLD = re.compile(rb"(?<![ \t])[ \t]*+\r?\n[ \t]*+")
_CONTROL = re.compile("[\r\n\0]")
_SAFE_IN_Q = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_MAX_WORD_BYTES = 75
_MAX_PAYLOAD = _MAX_WORD_BYTES - len("=?utf-8?q??=")


def unfold(raw: bytes) -> bytes:
    """A header value without its folding; each line break with the white space around it becomes a space."""
    return _FOLD.sub(b" ", raw).strip() if b"\n" in raw else raw.strip()


def decode_header(raw: bytes) -> str:
    """The text of a header value: unfolded, encoded words decoded (RFC 2047), CR, LF and NUL made spaces.

    Tolerates what mailers send: 8-bit bytes (UTF-8, else Windows-1252), unknown charsets, words with
    blanks inside, characters split over two words, wrong padding. Linear time; never raises.
    """
    value = unfold(raw)
    if b"=?" in value:
        text = "".join(decode_text(run, charset) for charset, run in _runs(value))
    elif value.isascii():
        text = value.decode("ascii")
    else:
        text = decode_text(value)
    return text if text.isprintable() else _CONTROL.sub(" ", text)


def _runs(value: bytes) -> Iterator[tuple[str, bytes]]:
    """(charset, bytes) of a value; neighbouring words of one charset are one run (split characters)."""
    charset, pieces, position, after_word = "", list[bytes](), 0, False
    for match in _WORD.finditer(value):
        between = value[position : match.start()]
        position = match.end()
        # RFC 2231 section 5: a language may follow the charset after an asterisk.
        word_charset = match[1].partition(b"*")[0].decode("ascii", "replace").lower()
        if between and not (after_word and between.isspace()):
            yield charset, b"".join(pieces)
            yield "", between
            pieces = []
        elif word_charset != charset:
            yield charset, b"".join(pieces)
            pieces = []
        charset, after_word = word_charset, True
        pieces.append(_payload(match[2], match[3]))
    yield charset, b"".join(pieces)
    yield "", value[position:]


def _payload(encoding: bytes, text: bytes) -> bytes:
    return base64_whole(text).data if encoding in b"bB" else binascii.a2b_qp(text, header=True)


def needs_encoding(text: str) -> bool:
    """Whether ``text`` cannot stand in a header field as it is."""
    return not (text.isascii() and text.isprintable()) or "=?" in text


def encode_words(text: str) -> list[bytes]:
    """``text`` as UTF-8 encoded words of at most 75 bytes each, never splitting a character."""
    units = [character.encode("utf-8", "replace") for character in text]
    as_q = [b"".join(_q(byte) for byte in unit) for unit in units]
    quoted_bytes, plain_bytes = sum(map(len, as_q)), sum(map(len, units))
    if quoted_bytes <= 2 * plain_bytes:
        return [b"=?utf-8?q?%s?=" % run for run in _packed(as_q, _MAX_PAYLOAD)]
    runs = _packed(units, _MAX_PAYLOAD // 4 * 3)
    return [b"=?utf-8?b?%s?=" % binascii.b2a_base64(run, newline=False) for run in runs]


def _q(byte: int) -> bytes:
    return bytes((byte,)) if byte in _SAFE_IN_Q else b"_" if byte == 0x20 else b"=%02X" % byte


def _packed(units: list[bytes], room: int) -> Iterator[bytes]:
    run, size = list[bytes](), 0
    for unit in units:
        if size + len(unit) > room:
            yield b"".join(run)
            run, size = [], 0
        run.append(unit)
        size += len(unit)
    yield b"".join(run)
