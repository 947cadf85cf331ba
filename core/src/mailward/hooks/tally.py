"""Counts that the gateway processes of one program share: connections of an address, links to a host."""

from __future__ import annotations

import hashlib
import mmap
import os
import struct

BUCKETS = 1 << 15
_COUNT = struct.Struct("=I")
_COLUMN_BYTES = BUCKETS * _COUNT.size


class Tally:
    """Numbers by key, summed over processes that share one memory file.

    Each process writes a column of its own and reads all of them, so that no lock is needed and a
    process that dies takes its counts with it: whoever gets its column next begins at nought. Keys are
    spread over `BUCKETS` buckets by a keyed hash; two keys in one bucket are counted together, so a
    total may be too high by a rare chance and is never too low. Used by one thread of a process.
    """

    def __init__(self, fd: int | None = None, column: int = 0, columns: int = 1, key: bytes = b"") -> None:
        """Share the memory file ``fd`` (made by `make`), or count for this process alone where it is None."""
        self._use(fd, column, columns, key)

    def _use(self, fd: int | None, column: int, columns: int, key: bytes) -> None:
        self._memory = mmap.mmap(-1, columns * _COLUMN_BYTES) if fd is None else mmap.mmap(fd, columns * _COLUMN_BYTES)
        self._key = key
        self._starts = tuple(number * _COLUMN_BYTES for number in range(columns))
        self._own = self._starts[column]
        self._memory[self._own : self._own + _COLUMN_BYTES] = bytes(_COLUMN_BYTES)

    def join(self, fd: int, column: int, columns: int, key: bytes) -> None:
        """Count together with other processes from now on; what was counted before is forgotten."""
        self._memory.close()
        self._use(fd, column, columns, key)

    @staticmethod
    def make(columns: int) -> int:
        """A memory file for so many processes; its descriptor, to be passed on to them."""
        fd = os.memfd_create("mailward-tally", 0)
        os.ftruncate(fd, columns * _COLUMN_BYTES)
        return fd

    @staticmethod
    def clear(fd: int, column: int) -> None:
        """Forget the counts of a process that ended."""
        os.pwrite(fd, bytes(_COLUMN_BYTES), column * _COLUMN_BYTES)

    @property
    def columns(self) -> int:
        """How many processes count, this one among them."""
        return len(self._starts)

    def _offset(self, key: str) -> int:
        digest = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=4, key=self._key).digest()
        return int.from_bytes(digest, "big") % BUCKETS * _COUNT.size

    def add(self, key: str, number: int) -> int:
        """Add ``number`` (it may be negative) to the own count of ``key``; the total of all processes then."""
        offset = self._offset(key)
        place = self._own + offset
        count = max(0, _COUNT.unpack_from(self._memory, place)[0] + number)
        _COUNT.pack_into(self._memory, place, count)
        return self._sum(offset)

    def total(self, key: str) -> int:
        """The count of ``key``, all processes together."""
        return self._sum(self._offset(key))

    def _sum(self, offset: int) -> int:
        return sum(_COUNT.unpack_from(self._memory, start + offset)[0] for start in self._starts)

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
