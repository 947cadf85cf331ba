"""Dot-stuffing of content that comes in pieces (RFC 5321 section 4.5.2)."""

from __future__ import annotations

import re

_DOT_LINE = re.compile(rb"\n\.")


class DotStuffer:
    r"""Doubles the dot that begins a line, wherever the pieces are cut.

    A dot after a bare LF is doubled too: a peer that takes bare LF for a line end would else see
    an end of data where a message says ``\n.\r\n``, and read on in it as commands.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def feed(self, piece: bytes) -> bytes:
        """What to send for the next piece."""
        if not piece:
            return piece
        stuffed = piece
        # Cheapest first: most pieces (base64) hold no dot at all, and finding none costs next to nothing.
        if b"." in piece and _DOT_LINE.search(piece):
            stuffed = piece.replace(b"\n.", b"\n..")
        if piece[:1] == b"." and self._tail[-1:] == b"\n":
            stuffed = b"." + stuffed
        self._tail = (self._tail + piece[-2:])[-2:]
        return stuffed

    def end(self) -> bytes:
        """The end of data, on a line of its own."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"
