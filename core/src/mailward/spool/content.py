"""The bytes to deliver: prefix, then the body with its splices."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from attrs import frozen

from mailward.spool.folders import Vanished
from mailward.spool.incoming import IN_MEMORY_BYTES, cut_head
from mailward.values.edit import Splice
from mailward.values.errors import SpoolError

# Below this the hand-over to a thread, piece by piece, costs more than reading what was written a moment ago.
_THREAD_ABOVE_BYTES = 4 * 1024 * 1024
_READ_BYTES = 256 * 1024


@frozen
class _Span:
    """Bytes ``start:end`` of the body."""

    start: int
    end: int


_Piece = bytes | _Span


def check_splices(splices: tuple[Splice, ...], size_bytes: int) -> tuple[Splice, ...]:
    """The splices in the order of the body; raises SpoolError where they overlap or leave it."""
    ordered = tuple(sorted(splices, key=lambda splice: (splice.start, splice.end)))
    at = 0
    for splice in ordered:
        if not at <= splice.start <= splice.end <= size_bytes:
            raise SpoolError(f"edit of bytes {splice.start}:{splice.end} overlaps another or leaves the body")
        at = splice.end
    return ordered


class QueueContent:
    """`Content` of a queue file, or of a body from the journal. Never the whole of a big message in memory.

    Reading raises Vanished where the file is gone, SpoolError where it is shorter than it should be.
    """

    def __init__(
        self, path: Path, prefix: bytes, splices: tuple[Splice, ...], body_bytes: int, body: bytes | None = None
    ) -> None:
        self._path = path
        self._prefix = prefix
        self._splices = check_splices(splices, body_bytes) if splices else ()
        self._body_bytes = body_bytes
        self._body = body
        added = sum(len(splice.data) - (splice.end - splice.start) for splice in splices)
        self.size_bytes = len(prefix) + body_bytes + added

    def head(self) -> bytes:
        """The header block as received (no prefix, no splices), cut at 64 KiB. Raises SpoolError."""
        if self._body is not None:
            return cut_head(self._body)
        fd = self._open()
        try:
            start = self._read(fd, 0, min(self._body_bytes, IN_MEMORY_BYTES))
        finally:
            os.close(fd)
        if self._body_bytes <= IN_MEMORY_BYTES:
            # One read serves head and content of a small message.
            self._body = start
        return cut_head(start)

    async def chunks(self, max_bytes: int = 65536) -> AsyncIterator[bytes]:
        """The content from its beginning, in pieces of at most ``max_bytes``."""
        if self._body is not None:
            for group in self._groups(max_bytes):
                yield self._join(-1, group)
            return
        fd = self._open()
        try:
            if self._body_bytes <= _THREAD_ABOVE_BYTES:
                for group in self._groups(max_bytes):
                    yield self._join(fd, group)
                    if self.size_bytes > max_bytes:
                        await asyncio.sleep(0)
            else:
                for group in self._groups(max(max_bytes, _READ_BYTES)):
                    block = await asyncio.to_thread(self._join, fd, group)
                    for start in range(0, len(block), max_bytes):
                        yield block[start : start + max_bytes]
        finally:
            os.close(fd)

    def _pieces(self) -> Iterator[_Piece]:
        yield self._prefix
        at = 0
        for splice in self._splices:
            yield _Span(at, splice.start)
            yield splice.data
            at = splice.end
        yield _Span(at, self._body_bytes)

    def _groups(self, limit: int) -> Iterator[list[_Piece]]:
        """The pieces, cut and collected so that each group makes ``limit`` bytes, the last one fewer."""
        group: list[_Piece] = []
        room = limit
        for piece in self._pieces():
            length = len(piece) if isinstance(piece, bytes) else piece.end - piece.start
            at = 0
            while at < length:
                taken = min(room, length - at)
                if isinstance(piece, bytes):
                    group.append(piece[at : at + taken])
                else:
                    group.append(_Span(piece.start + at, piece.start + at + taken))
                at += taken
                room -= taken
                if not room:
                    yield group
                    group, room = [], limit
        if group:
            yield group

    def _join(self, fd: int, group: list[_Piece]) -> bytes:
        return b"".join([piece if isinstance(piece, bytes) else self._part(fd, piece) for piece in group])

    def _part(self, fd: int, span: _Span) -> bytes:
        if self._body is not None:
            return self._body[span.start : span.end]
        return self._read(fd, span.start, span.end - span.start)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise Vanished(f"{self._path.name}: not in the queue any more") from error
        except OSError as error:
            raise SpoolError(f"{self._path.name}: {error.strerror}") from error

    def _read(self, fd: int, start: int, length: int) -> bytes:
        pieces: list[bytes] = []
        while length:
            try:
                data = os.pread(fd, length, start)
            except OSError as error:
                raise SpoolError(f"{self._path.name}: {error.strerror}") from error
            if not data:
                raise SpoolError(f"{self._path.name}: the body is shorter than its record says")
            pieces.append(data)
            start += len(data)
            length -= len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
