"""Receiving content in bulk: from DATA to CRLF.CRLF, checked and unstuffed without a loop over lines."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from attrs import frozen

from mailward.spool.incoming import Incoming
from mailward.values.errors import SpoolError
from mailward.values.reply import Reply

CHUNK_BYTES = 128 * 1024
_END = b"\r\n.\r\n"
_CRLF = b"\r\n"
# Each begins with one literal byte, so that the search runs at the speed of memchr.
_BARE_CR = re.compile(rb"\r[^\n]")
_BARE_LF = re.compile(rb"\n(?<=[^\r]\n)")

TOO_LARGE = Reply(552, "5.3.4", "Message is larger than this server accepts")
BARE_LINE_END = Reply(554, "5.6.0", "Message has a bare CR or LF; lines end with CRLF (RFC 5321 section 2.3.8)")
NUL_BYTE = Reply(554, "5.6.0", "Message has a NUL character")
NO_SPACE = Reply(452, "4.3.1", "Cannot store the message now, try again later")
TALKED_EARLY = Reply(503, "5.5.0", "Content came before it was asked for")


class BulkReader(asyncio.StreamReader):
    """A stream reader that can tell whether bytes wait in it."""

    @property
    def pending(self) -> bool:
        """Whether bytes were received that nobody has read."""
        return bool(self._buffer)  # type: ignore[attr-defined]


@frozen
class Received:
    """How receiving ended: ``refusal`` is None where the content is whole and lawful."""

    refusal: Reply | None = None


class _Checker:
    """Bare CR, bare LF and NUL; it remembers how the previous piece ended."""

    def __init__(self) -> None:
        self._open_cr = False

    def check(self, piece: bytes, last: bool) -> Reply | None:
        """The refusal that this piece of raw content earns, or None."""
        if piece.startswith(b"\n") is not self._open_cr:
            return BARE_LINE_END
        self._open_cr = not last and piece.endswith(b"\r")
        if _BARE_CR.search(piece) or _BARE_LF.search(piece):
            return BARE_LINE_END
        return NUL_BYTE if b"\0" in piece else None


def _unstuff(piece: bytes, before: bytes) -> bytes:
    """Take the transparency dots out (RFC 5321 section 4.5.2); ``before`` are the two raw bytes before it."""
    if before.endswith(_CRLF) and piece.startswith(b"."):
        piece = piece[1:]
    elif before.endswith(b"\r") and piece.startswith(b"\n."):
        piece = b"\n" + piece[2:]
    # base64 has no dots, and looking for one is far quicker than looking for CRLF and a dot
    return piece.replace(b"\r\n.", _CRLF) if b"." in piece else piece


async def receive(reader: BulkReader, incoming: Incoming, max_bytes: int, tick: Callable[[], None]) -> Received:
    """Read content up to CRLF.CRLF into ``incoming``.

    Before this is called the reader has been fed one CRLF (`prime`), so that the end has one form
    even for an empty message. ``tick`` is called for each piece that arrives. Content that is
    refused is read to its end and thrown away.
    """
    checker = _Checker()
    refusal: Reply | None = None
    before = b""
    last = False
    while not last:
        try:
            piece = await reader.readuntil(_END)
            last = True
        except asyncio.LimitOverrunError as error:
            piece = await reader.readexactly(error.consumed)
        tick()
        if refusal is not None:
            continue
        refusal = checker.check(piece, last)
        raw = piece[:-3] if last else piece
        text = _unstuff(raw, before)
        if not before:
            text = text[2:]
        before = (before + raw[-2:])[-2:]
        if refusal is None and incoming.size + len(text) > max_bytes:
            refusal = TOO_LARGE
        if refusal is None:
            try:
                incoming.write(text)
            except SpoolError:
                refusal = NO_SPACE
    return Received(refusal)


def prime(reader: BulkReader) -> None:
    """Feed the CRLF that `receive` expects; to be called before 354 is sent, with nothing pending."""
    reader.feed_data(_CRLF)
