"""A message that is being received."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from attrs import frozen

from mailward.spool.folders import TMP, Folders, write_all
from mailward.spool.ids import check_id
from mailward.spool.writeback import start_writeback
from mailward.values.content import Content
from mailward.values.errors import SpoolError

IN_MEMORY_BYTES = 64 * 1024
_END_OF_HEADER = b"\r\n\r\n"


def cut_head(start: bytes) -> bytes:
    """The header block at the start of a message, its last CRLF included, cut at 64 KiB."""
    start = start[:IN_MEMORY_BYTES]
    if start.startswith(b"\r\n"):
        return b""
    end = start.find(_END_OF_HEADER)
    return start if end < 0 else start[: end + 2]


class Incoming:
    """The bytes of one message as they arrive: in memory up to 64 KiB, then in a file in ``tmp``.

    Nothing is durable before the commit; nothing is in the queue before it.
    """

    def __init__(self, folders: Folders, message_id: str) -> None:
        self.id = check_id(message_id)
        self.size = 0
        self._folders = folders
        self._buffer = bytearray()
        self._head: bytes | None = None
        self._fd = -1
        self._taken = False
        self._ended = False

    def write(self, data: bytes) -> None:
        """Take the next bytes of the body (CRLF, dot-unstuffed). Raises SpoolError (disk full…)."""
        self.size += len(data)
        if len(self._buffer) + len(data) > IN_MEMORY_BYTES:
            self._spill(data)
        else:
            self._buffer += data

    @property
    def head(self) -> bytes:
        """The header block as received, cut at 64 KiB."""
        return cut_head(bytes(self._buffer[:IN_MEMORY_BYTES])) if self._head is None else self._head

    def flush(self) -> Path:
        """Put every byte received so far in the file, not synced, and say where it is.

        The file then holds the body and nothing else, until the commit. Raises SpoolError.
        """
        if self._buffer or self._fd < 0:
            self._spill()
        # the disk works while the content is scanned
        start_writeback(self._fd)
        return self._folders.path / TMP / self.id

    def content(self) -> Content:
        """The body as received so far, to be read before the commit takes it."""
        return _Received(self, self.size)

    def read(self, start: int, length: int) -> bytes:
        """Bytes ``start:start+length`` of what was received, fewer at its end only. Raises SpoolError."""
        if self._ended or self._taken:
            raise SpoolError(f"{self.id}: the message has been committed or discarded already")
        on_disk = self.size - len(self._buffer)
        from_file = max(min(length, on_disk - start), 0)
        from_memory = slice(max(start - on_disk, 0), max(start + length - on_disk, 0))
        return self._written(start, from_file) + self._buffer[from_memory]

    def _written(self, start: int, length: int) -> bytes:
        if not length:
            return b""
        try:
            piece = os.pread(self._fd, length, start)
        except OSError as error:
            raise SpoolError(f"{self.id}: the body cannot be read: {error.strerror}") from error
        if len(piece) < length:
            raise SpoolError(f"{self.id}: the body is shorter than what was received")
        return piece

    def discard(self) -> None:
        """Forget the message; does nothing once it was given to a commit. Never raises."""
        if not self._taken:
            self.end(remove=True)

    def take(self) -> None:
        """A commit takes the message over: from now on `discard` leaves it alone. Raises SpoolError if it is gone."""
        if self._taken or self._ended:
            raise SpoolError(f"{self.id}: the message has been committed or discarded already")
        self._taken = True
        self._head = self.head

    def finish(self, image: bytes) -> int:
        """Write what is left of the body and the image of its state after it; the file's descriptor.

        For the commit only. Raises OSError.
        """
        fd = self._file()
        write_all(fd, self._buffer, image)
        return fd

    def end(self, *, remove: bool) -> None:
        """Close the file and, if asked, remove it from ``tmp``. For the commit only; never raises."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1
            if remove:
                self._folders.discard(TMP, self.id)
        self._ended = True
        self._buffer.clear()

    @property
    def whole(self) -> bytes | None:
        """The body, where all of it is still in memory."""
        return bytes(self._buffer) if len(self._buffer) == self.size else None

    @property
    def unwritten(self) -> bytes | None:
        """The body, where nothing of it was written to a file yet."""
        return None if self._fd >= 0 or self._ended else self.whole

    def _file(self) -> int:
        if self._ended:
            raise SpoolError(f"{self.id}: the message has been committed or discarded already")
        if self._fd < 0:
            self._fd = self._folders.create(self.id)
        return self._fd

    def _spill(self, data: bytes = b"") -> None:
        if self._head is None:
            self._head = cut_head(bytes(self._buffer[:IN_MEMORY_BYTES]) + data[:IN_MEMORY_BYTES])
        try:
            fd = self._file()
            write_all(fd, self._buffer, data)
        except OSError as error:
            raise SpoolError(f"{self.id}: the body cannot be written: {error.strerror}") from error
        self._buffer.clear()


@frozen(eq=False)
class _Received:
    """`Content` of a message that has arrived and is not committed yet."""

    incoming: Incoming
    size_bytes: int

    async def chunks(self, max_bytes: int = 65536) -> AsyncIterator[bytes]:
        """The body from its beginning, in pieces of at most ``max_bytes``."""
        at = 0
        while at < self.size_bytes:
            if at:
                await asyncio.sleep(0)
            piece = self.incoming.read(at, min(max_bytes, self.size_bytes - at))
            at += len(piece)
            yield piece
