"""Quoted-printable and uuencoded lines (RFC 2045 section 6.7, POSIX): in bulk, tolerant of damage.

Decoders give every byte that any client may show and report damage by a word.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

from mailward.mime.base64text import Report
from mailward.mime.uuencode import uudecode

_TRAILING_SOFT_BREAK = re.compile(rb"=[ \t]++\r?\n")
_LONGEST_ESCAPE = 80
_LONGEST_UU_LINE = 1024


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
