"""Content: the decoded bytes of a span, whole or streamed, by its transfer encoding."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from mailward.mime.base64text import Report, base64_stream, base64_whole
from mailward.mime.decode import quoted_stream, quoted_whole, uu_stream
from mailward.mime.limits import MIB
from mailward.mime.source import Source
from mailward.mime.uuencode import UU_LINES as UU_LINES
from mailward.mime.uuencode import first_block

IDENTITY = frozenset(("7bit", "8bit", "binary"))
_UU = frozenset(("x-uuencode", "uuencode", "x-uue", "uue"))
ENCODINGS = IDENTITY | _UU | {"base64", "quoted-printable"}
"""The transfer encodings that are decoded; another one is taken as it stands, with a finding."""


@frozen(slots=True)
class Place:
    """Where a part lies: ``start:end`` of ``source`` with its header, ``body:body_end`` its content, still encoded."""

    source: Source
    start: int
    body: int
    body_end: int
    end: int

    @property
    def body_bytes(self) -> int:
        """Size of the content, still encoded."""
        return self.body_end - self.body


def is_identity(encoding: str) -> bool:
    """Whether decoded content is the same as the bytes in the span."""
    return encoding in IDENTITY or (encoding not in ENCODINGS and encoding != UU_LINES)


def decoded(place: Place, encoding: str, max_bytes: int, report: Report) -> Iterator[bytes]:
    """The decoded content in pieces of about ``max_bytes`` (at most 1 KiB more); damage is reported by word."""
    chunks = place.source.chunks(place.body, place.body_end, max_bytes)
    if encoding == "base64":
        return base64_stream(chunks, report)
    if encoding == "quoted-printable":
        return quoted_stream(chunks)
    if encoding == UU_LINES:
        return uu_stream(chunks, report)
    if encoding not in _UU:
        return chunks
    block = first_block(place.source, place.body, place.body_end)
    if block is None:
        report("uu_missing")
        return chunks
    if not block.closed:
        report("uu_unclosed")
    if block.encoding == "base64":
        return base64_stream(place.source.chunks(block.data_start, block.data_end, max_bytes), report)
    return uu_stream(place.source.chunks(block.data_start, block.data_end, max_bytes), report)


def decoded_whole(place: Place, encoding: str, report: Report) -> bytes:
    """The decoded content in one piece; damage is reported by word."""
    if is_identity(encoding):
        return place.source.copy(place.body, place.body_end)
    if encoding == "base64":
        found = base64_whole(place.source.copy(place.body, place.body_end))
        for word in found.damage:
            report(word)
        return found.data
    if encoding == "quoted-printable":
        return quoted_whole(place.source.copy(place.body, place.body_end))
    return b"".join(decoded(place, encoding, MIB, report))
