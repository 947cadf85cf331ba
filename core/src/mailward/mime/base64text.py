"""Base64 (RFC 2045 section 6.8): whole and streamed, in bulk, tolerant of damage."""

from __future__ import annotations

import binascii
import functools
import importlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from attrs import frozen

Report = Callable[[str], None]
"""Told the word for the damage that a decoder met."""

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(ALPHABET) - {0x3D})
_WHITE = b" \t\r\n"
_IS_CONTENT = bytes(byte != 0x3D for byte in range(256))
_LAST_LINE_BYTES = 16
_SHORT_BYTES = 4


def _decoder() -> Callable[[bytes], bytes]:
    """The decoder of pybase64, ten times as fast, where it is installed; else that of the standard library.

    The two agree on whatever has padding at its end only; nothing else is given to them.
    """
    try:
        module = importlib.import_module("pybase64")
    except ImportError:
        return binascii.a2b_base64
    return cast(Callable[[bytes], bytes], module.b64decode)


_a2b = _decoder()


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
        if raw[lines * first - 1] != 0x0A:
            return -1
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
    padding = raw.find(b"=")
    if padding >= 0 and (
        len(raw) - padding > _LAST_LINE_BYTES or raw[padding:].translate(None, _WHITE) not in (b"=", b"==")
    ):
        return _damaged(raw)
    try:
        data = _a2b(raw)
    except binascii.Error:
        return _damaged(raw)
    # The decoder skips junk without a word: only the size tells.
    return Decoded(data) if len(data) == _expected_bytes(raw) else _damaged(raw)


def _damaged(raw: bytes) -> Decoded:
    damage = list[str]()
    solid = raw.translate(None, _WHITE)
    clean = solid.translate(None, _NOT_BASE64)
    if len(clean) != len(solid):
        damage.append("base64_junk")
    quads = clean.rstrip(b"=")
    if (len(clean) % 4 and len(quads) % 4) or len(clean) - len(quads) > 2:
        damage.append("base64_padding")
    if b"=" not in quads:
        return Decoded(_unpadded(quads), tuple(damage))
    data = _padded_quads(clean)
    runs = [] if data is not None else clean.split(b"=")
    if data is not None or any(runs[1:]):
        damage.append("base64_after_padding")
    return Decoded(b"".join(_runs(runs)) if data is None else data, tuple(damage))


def _unpadded(run: bytes) -> bytes:
    if len(run) % 4 == 1:
        run = run[:-1]
    return _a2b(run + b"=" * (-len(run) % 4))


_short = functools.lru_cache(8192)(_unpadded)


def _runs(runs: list[bytes]) -> list[bytes]:
    """Content of runs between padding. Short ones are looked up: there may be millions, and few different ones."""
    return [_unpadded(run) if len(run) > _SHORT_BYTES else _short(run) for run in runs if run]


def _padded_quads(clean: bytes) -> bytes | None:
    """Content of groups of four of which any may be padded; None where padding does not close its group.

    In bulk: input made of nothing but padded groups would take an object for each otherwise.
    """
    third, fourth = clean[2::4], clean[3::4]
    if len(clean) % 4 or b"=" in clean[0::4] or b"=" in clean[1::4]:
        return None
    has_second, has_third = third.translate(_IS_CONTENT), fourth.translate(_IS_CONTENT)
    # A group such as "QQ=Q": padded in the middle.
    if int.from_bytes(has_third, "big") & ~int.from_bytes(has_second, "big"):
        return None
    mask = bytearray(b"\1") * (len(clean) // 4 * 3)
    mask[1::3], mask[2::3] = has_second, has_third
    return bytes(itertools.compress(_a2b(clean.replace(b"=", b"A")), mask))


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
        decoded, held, padded, resumed = _step(clean)
        ended = ended or padded
        if resumed:
            report("base64_after_padding")
        yield decoded
    last = base64_whole(held)
    for word in last.damage:
        report(word)
    yield last.data


def _step(clean: bytes) -> tuple[bytes, bytes, bool, bool]:
    """(content, what waits for the next chunk, whether it is padded, whether characters follow padding)."""
    whole = len(clean) // 4 * 4
    if b"=" in clean and (data := _padded_quads(clean[:whole])) is not None:
        before, _, after = clean.partition(b"=")
        padded = len(before) < whole
        return data, clean[whole:], padded, padded and bool(after.strip(b"="))
    *closed, held = clean.split(b"=")
    whole = len(held) // 4 * 4
    pieces = _runs(closed)
    pieces.append(_a2b(held[:whole]))
    return b"".join(pieces), held[whole:], any(closed), any(closed[1:]) or bool(closed and held)


def _regular(raw: bytes) -> bytes | None:
    """Content of lines of equal length with nothing but base64 and no padding; None for other input."""
    if not raw or b"=" in raw:
        return None
    try:
        data = _a2b(raw)
    except binascii.Error:
        return None
    return data if len(data) == _expected_bytes(raw) else None
