"""Reading lines of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class LineReader(asyncio.StreamReader):
    """A stream reader that can tell whether bytes wait in it."""

    _buffer: bytearray
    _maybe_resume_transport: Callable[[], None]

    @property
    def pending(self) -> bool:
        """Whether bytes were received that nobody has read."""
        return bool(self._buffer)

    def may_begin(self, word: bytes) -> bool:
        """Whether what waits is ``word`` (upper case) and more, or as much of it as came; case does not matter."""
        return word.startswith(bytes(self._buffer[: len(word)]).upper())

    def take_pending(self) -> bytes:
        """These bytes; they are not in the reader any more."""
        taken = bytes(self._buffer)
        self._buffer.clear()
        # what waited in the reader may have stopped the transport
        self._maybe_resume_transport()
        return taken

    def put_back(self, data: bytes) -> None:
        """Have bytes read that were taken, or came behind what was; the client may have ended its side already."""
        self._buffer[:0] = data
