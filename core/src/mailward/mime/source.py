"""Sources: the buffers that spans point into, and the spill file for what memory should not hold."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mailward.mime.limits import MIB

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Data = bytes | mmap.mmap

_FIRST_WINDOW_BYTES = 16 * 1024
_PROBED_BYTES = 16 * 1024
_WORTH_FORGETTING_BYTES = 256 * 1024


def _finds(data: bytes, needle: bytes, start: int, end: int) -> Iterator[int]:
    """Where ``needle`` stands, none overlapping.

    The search goes from one first byte of it to the next: the delimiters of multiparts begin with a
    dash, of which base64 has none, and one byte is found ten times as fast as several.
    """
    first, size = needle[:1], len(needle)
    while (at := data.find(first, start, end)) >= 0:
        stop = min(end, at + _PROBED_BYTES + size)
        start = at
        while (at := data.find(needle, start, stop)) >= 0:
            yield at
            start = at + size
        if stop == end:
            return
        start = max(start, stop - size + 1)


class Source:
    """Bytes ``start:end`` of a buffer. ``outer`` says that it is the message as it came.

    All positions are those of ``data``; `Source.public` turns them into offsets of the message.
    """

    __slots__ = ("data", "end", "outer", "start")

    def __init__(self, data: Data, start: int, end: int, outer: bool = False) -> None:
        self.data = data
        self.start = start
        self.end = end
        self.outer = outer

    def public(self, start: int, end: int) -> tuple[int, int]:
        """Positions of ``data`` as offsets from the beginning of this source."""
        return start - self.start, end - self.start

    def copy(self, start: int, end: int) -> bytes:
        """A copy of ``start:end``."""
        return self.data[start:end]

    def find(self, needle: bytes, start: int, end: int) -> int:
        """Position of ``needle`` within ``start:end``, -1 where it is not there.

        A mapped file is searched in windows: mmap.find compares byte by byte and is slow on, and
        can be made quadratic by, content made for it.
        """
        data = self.data
        if isinstance(data, bytes):
            return data.find(needle, start, end)
        window = _FIRST_WINDOW_BYTES
        while start < end:
            stop = min(end, start + window)
            hit = data[start:stop].find(needle)
            if hit >= 0:
                return start + hit
            if stop == end:
                return -1
            start = max(start + 1, stop - len(needle) + 1)
            window = min(window * 4, MIB)
        return -1

    def finds(self, needle: bytes, start: int, end: int) -> Iterator[int]:
        """Where ``needle`` stands within ``start:end``, none overlapping; a mapped file is read once for all."""
        if isinstance(self.data, bytes):
            yield from _finds(self.data, needle, start, end)
            return
        size = len(needle)
        while start < end:
            stop = min(end, start + max(MIB, 4 * size))
            window, base = self.data[start:stop], start
            for hit in _finds(window, needle, 0, len(window)):
                yield base + hit
                start = base + hit + size
            if stop == end:
                return
            start = max(start, stop - size + 1)

    def forget(self, start: int, end: int) -> None:
        """Take the pages of ``start:end`` out of memory; a mapped file has them still."""
        data = self.data
        if not isinstance(data, bytes) and not self.outer and end - start >= _WORTH_FORGETTING_BYTES:
            first = start - start % mmap.PAGESIZE
            data.madvise(mmap.MADV_DONTNEED, first, end - first)

    def chunks(self, start: int, end: int, max_bytes: int) -> Iterator[bytes]:
        """The bytes ``start:end`` in copies of at most ``max_bytes``."""
        for position in range(start, end, max_bytes):
            yield self.data[position : min(end, position + max_bytes)]


class View(io.RawIOBase):
    """A seekable read-only file over bytes ``start:end`` of a buffer, without a copy of them."""

    def __init__(self, data: Data, start: int, end: int) -> None:
        self._data = data
        self._start = start
        self._size = end - start
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; raises ValueError before the beginning."""
        position = offset + (0, self._position, self._size)[whence]
        if position < 0:
            raise ValueError("negative seek position")
        self._position = position
        return position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill ``buffer``; returns the number of bytes, 0 at the end."""
        target = memoryview(buffer).cast("B")
        at = self._start + self._position
        piece = self._data[at : self._start + min(self._size, self._position + len(target))]
        target[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def readall(self) -> bytes:
        """Everything from the position to the end."""
        piece = self._data[self._start + self._position : self._start + self._size]
        self._position = max(self._position, self._size)
        return piece


class Spill:
    """One unlinked temporary file of a message, for decoded content too large for memory.

    The file is mapped once at its full capacity, sparse: one descriptor and one mapping, however
    many parts lie in it. ``busy`` while somebody writes.
    """

    __slots__ = ("__weakref__", "_capacity", "_close", "_file", "_map", "_used", "busy")

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        with tempfile.TemporaryFile(buffering=0) as file:
            self._file = os.dup(file.fileno())
        self._close = weakref.finalize(self, os.close, self._file)
        os.ftruncate(self._file, capacity_bytes)
        self._map = mmap.mmap(self._file, capacity_bytes, access=mmap.ACCESS_READ)
        self._used = 0
        self.busy = False

    @property
    def free_bytes(self) -> int:
        """How much more fits."""
        return self._capacity - self._used

    def mark(self) -> int:
        """The position at which the next write lands; `Spill.rewind` goes back there."""
        return self._used

    def rewind(self, mark: int) -> None:
        """Give back what was written since ``mark``."""
        self._used = mark

    def write(self, chunk: bytes) -> None:
        """Append; raises OSError when the disk is full."""
        view = memoryview(chunk)
        while view:
            written = os.pwrite(self._file, view, self._used)
            self._used += written
            view = view[written:]

    def source(self, mark: int) -> Source:
        """What was written since ``mark``."""
        return Source(self._map, mark, self._used)

    def close(self) -> None:
        """Give the file back; what still looks at the mapping keeps it until it is dropped."""
        self._close()
        close_map(self._map)


def close_map(data: Data) -> None:
    """Close a mapping, or leave it to the last view of it that is dropped."""
    if isinstance(data, mmap.mmap):
        with contextlib.suppress(BufferError):
            data.close()
