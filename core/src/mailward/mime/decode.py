"""Transfer encodings (RFC 2045 section 6): whole and streamed, in bulk, tolerant of damage.

Decoders give every byte that any client may show and report damage by a word (`Decoded.damage`).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator

from attrs import frozen

from mailward.mime.uuencode import uudecode

Report = Callable[[str], None]
"""Told the word for the damage that a decoder met."""

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET) - {0x3D})
_WHITE = b" \t\r\n"
_PADDING = re.compile(rb"=+")
_TRAILING_SOFT_BREAK = re.compile(rb"=[ \t]++\r?\n")
_LONGEST_ESCAPE = 80
_LONGEST_UU_LINE = 1024


@frozen(slots=True)
class Decoded:
    """What a decoder made of its input. ``damage``: words, empty where the input was in order."""

    data: bytes
    damage: tuple[str, ...] = ()


def _expected_bytes(raw: bytes) -> int:
    """Decoded size of base64 in lines of equal length, -1 where the last line does not say."""
    first = raw.find(b"\n") + 1
    size = len(raw)
    if first:
        ending = 2 if raw[first - 2 : first - 1] == b"\r" else 1
        lines, rest = divmod(size, first)
        size -= lines * ending
        tail = raw[-min(rest, 2) :] if rest else b""
        if rest and tail.endswith(b"\n"):
            size -= 2 if tail == b"\r\n" else 1
    return size // 4 * 3 - raw[-6:].count(b"=") if size % 4 == 0 else -1


def base64_whole(raw: bytes) -> Decoded:
    """Decode base64. Junk between the characters is skipped; missing padding is supplied; what follows
    padding is decoded too, because clients do not agree on stopping there.

    Damage: ``base64_junk``, ``base64_padding``, ``base64_after_padding``.
    """
    try:
        data = binascii.a2b_base64(raw)
    except binascii.Error:
        return _base64_damaged(raw)
    # The decoder skips junk and stops at padding without a word: only the size tells.
    padding = raw.find(b"=")
    ends_padded = padding < 0 or raw[padding : padding + 8].translate(None, _WHITE) in (b"=", b"==")
    return Decoded(data) if ends_padded and len(data) == _expected_bytes(raw) else _base64_damaged(raw)


def _base64_damaged(raw: bytes) -> Decoded:
    damage = list[str]()
    solid = raw.translate(None, _WHITE)
    clean = solid.translate(None, _NOT_BASE64)
    if len(clean) != len(solid):
        damage.append("base64_junk")
    head, *more = _PADDING.split(clean)
    quads = clean.rstrip(b"=")
    if (len(clean) % 4 and len(quads) % 4) or len(clean) - len(quads) > 2:
        damage.append("base64_padding")
    if any(more):
        damage.append("base64_after_padding")
    return Decoded(b"".join(_unpadded(run) for run in (head, *more) if run), tuple(damage))


def _unpadded(run: bytes) -> bytes:
    if len(run) % 4 == 1:
        run = run[:-1]
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


def base64_stream(chunks: Iterable[bytes], report: Report) -> Iterator[bytes]:
    """Decode base64 chunk by chunk, as `base64_whole`."""
    held, ended = b"", False
    for chunk in chunks:
        data = held + chunk
        cut = data.rfind(b"\n") + 1
        regular = None if ended else _regular(data[:cut])
        if regular is not None:
            held = data[cut:]
            yield regular
            continue
        solid = data.translate(None, _WHITE)
        clean = solid.translate(None, _NOT_BASE64)
        if len(clean) != len(solid):
            report("base64_junk")
        if ended and clean.strip(b"="):
            report("base64_after_padding")
            ended = False
        *closed, held = _PADDING.split(clean)
        ended = ended or any(closed)
        if any(closed[1:]) or (closed and held):
            report("base64_after_padding")
        whole = len(held) // 4 * 4
        pieces = [_unpadded(run) for run in closed]
        pieces.append(binascii.a2b_base64(held[:whole]))
        held = held[whole:]
        yield b"".join(pieces)
    if held := held.strip(_WHITE):
        clean = held.translate(None, _WHITE).translate(None, _NOT_BASE64)
        if len(clean) % 4:
            report("base64_padding")
        yield base64_whole(held).data


def _regular(raw: bytes) -> bytes | None:
    """Content of lines of equal length with nothing but base64 and no padding; None for other input."""
    if not raw or b"=" in raw:
        return None
    try:
        data = binascii.a2b_base64(raw)
    except binascii.Error:
        return None
    return data if len(data) == _expected_bytes(raw) else None


def quoted_whole(raw: bytes) -> bytes:
    """Decode quoted-printable; what is not an escape stays as it is."""
    if b"=\r" in raw:
        # a2b_qp swallows everything from "=CR" to the next LF: hide nothing behind a bare CR.
        raw = raw.replace(b"=\r\n", b"=\n").replace(b"=\r", b"=\n")
    if b"= " in raw or b"=\t" in raw:
        raw = _TRAILING_SOFT_BREAK.sub(b"=\n", raw)
    return binascii.a2b_qp(raw)


def quoted_stream(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decode quoted-printable chunk by chunk, cutting only where no escape is cut."""
    held = b""
    for chunk in chunks:
        data = held + chunk
        equals = data.rfind(b"=", max(0, len(data) - _LONGEST_ESCAPE))
        cut = len(data) if equals < 0 else equals
        held = data[cut:]
        yield quoted_whole(data[:cut])
    if held:
        yield quoted_whole(held)


def uu_stream(chunks: Iterable[bytes], report: Report) -> Iterator[bytes]:
    """Decode the data lines of a uuencode block chunk by chunk. Damage: ``uu_junk``."""
    held = b""
    for chunk in chunks:
        data = held + chunk
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > _LONGEST_UU_LINE:
            cut = len(data)
        held = data[cut:]
        decoded, clean = uudecode(data[:cut])
        if not clean:
            report("uu_junk")
        yield decoded
    if held:
        decoded, clean = uudecode(held)
        if not clean:
            report("uu_junk")
        yield decoded
