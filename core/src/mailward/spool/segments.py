"""The segment files of a journal: made, filled, used again, kept open or closed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
import time
from collections.abc import Iterator

from attrs import define

from mailward.hooks.log import get_logger
from mailward.spool.folders import DAMAGED, JOURNAL, Folders, write_all
from mailward.spool.segment import (
    MARKS,
    PAGE,
    RECORDS_AT,
    SEGMENT_BYTES,
    Header,
    Record,
    header_bytes,
    mark_bytes,
    mark_offset,
    read_at,
    read_header,
)

_log = get_logger("mailward.spool")
_SPARES = 2
_OPEN_SEGMENTS = 8
_NO_ROOM_S = 10.0


@define(eq=False)
class Segment:
    """A segment file: ``live`` counts its messages that are not gone."""

    name: str
    header: Header
    fd: int = -1
    at: int = RECORDS_AT
    count: int = 0
    live: int = 0


class Segments:
    """The segments of one slot. One thread writes to the active one; any thread may read and mark.

    ``lock`` keeps a descriptor from being closed, and its number from being used again, while another
    thread works with it. What fails raises OSError.
    """

    def __init__(self, folders: Folders) -> None:
        self.lock = threading.Lock()
        self.active: Segment | None = None
        self._folders = folders
        self._opened: list[Segment] = []
        self._spares: list[Segment] = []
        self._no_room_until = 0.0

    def found(self) -> list[str]:
        """The names of the segments on disk, oldest first."""
        born = ((self._header(name), name) for name in self._folders.ids(JOURNAL))
        return [name for _, name in sorted((header.born_ns, name) for header, name in born if header is not None)]

    def adopted(self, other: Folders) -> list[str]:
        """Take the segment files of another slot over; their names here."""
        names: list[str] = []
        for name in sorted(other.ids(JOURNAL)):
            own = _new_name()
            os.rename(name, own, src_dir_fd=other.folder(JOURNAL), dst_dir_fd=self._folders.folder(JOURNAL))
            self._folders.sync(JOURNAL)
            if self._header(own) is not None:
                names.append(own)
        return names

    def open(self, name: str) -> Segment:
        """A segment of an earlier time, open; to be given to `settle`."""
        fd = self._folders.open_file(JOURNAL, name, os.O_RDWR)
        header = read_header(fd)
        assert header is not None
        return Segment(name, header, fd)

    def settle(self, segment: Segment) -> None:
        """What is live in the segment is known now: keep it, or have it used again."""
        with self.lock:
            if segment.live:
                self._keep_open(segment)
            else:
                self._recycle(segment)

    def close(self) -> None:
        """Let go of all files."""
        with self.lock:
            for segment in (*self._opened, *self._spares):
                _close(segment)
            self.active, self._opened, self._spares = None, [], []

    @property
    def has_room(self) -> bool:
        """Whether a segment could be made when that was last tried."""
        return time.monotonic() >= self._no_room_until

    @property
    def room(self) -> tuple[int, int]:
        """Bytes and records that the active segment takes yet."""
        active = self.active
        if active is None:
            return 0, 0
        return SEGMENT_BYTES - active.at - (-active.at % PAGE), MARKS - active.count

    def read(self, segment: Segment, start: int, length: int) -> Record:
        """The record at a known place. Raises Damaged too."""
        with self.lock, self._using(segment) as fd:
            return read_at(fd, segment.header.generation, start, length)

    def mark(self, segment: Segment, number: int, kind: bytes, count: int = 0) -> None:
        """Write a mark in place."""
        mark = mark_bytes(segment.header.generation, kind, count)
        with self.lock:
            if segment.fd >= 0:
                os.pwrite(segment.fd, mark, mark_offset(number))
                return
            with self._using(segment) as fd:
                os.pwrite(fd, mark, mark_offset(number))

    def write(self, segment: Segment, data: bytes, start: int) -> None:
        """Write a batch, synced."""
        if os.pwrite(segment.fd, data, start) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._folders.disk.fdatasync(segment.fd)
        if not os.fstat(segment.fd).st_nlink:
            # somebody has deleted it under our hands: what is written there ends with this process
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    def copy_aside(self, segment: Segment, name: str) -> None:
        """Copy a segment to the folder ``damaged`` under a name."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        copy = os.open(name, flags, 0o600, dir_fd=self._folders.folder(DAMAGED))
        try:
            with self.lock, self._using(segment) as fd:
                whole = os.pread(fd, SEGMENT_BYTES, 0)
            write_all(copy, whole)
            self._folders.disk.fsync(copy)
        finally:
            os.close(copy)
        self._folders.sync(DAMAGED)

    def one_less(self, segment: Segment) -> None:
        """A message of the segment is gone; the lock must be held."""
        segment.live -= 1
        if not segment.live and segment is not self.active:
            self._recycle(segment)

    def leave(self) -> None:
        """The active segment takes no more."""
        with self.lock:
            active, self.active = self.active, None
            if active is not None and not active.live:
                self._recycle(active)

    def begin(self) -> Segment:
        """A segment to write to: a used one under a new generation, or a new file. Raises OSError."""
        header = Header(secrets.token_bytes(8), time.time_ns())
        with self.lock:
            segment = self._spares.pop() if self._spares else None
        try:
            if segment is None:
                segment = self._make(header)
            else:
                # Synced with the first batch: until then the old header stands before records that are all gone.
                os.pwrite(segment.fd, header_bytes(header), 0)
        except OSError:
            self._no_room_until = time.monotonic() + _NO_ROOM_S
            raise
        segment.header, segment.at, segment.count, segment.live = header, RECORDS_AT, 0, 0
        with self.lock:
            self.active = segment
            self._keep_open(segment)
        return segment

    def _make(self, header: Header) -> Segment:
        name = _new_name()
        fd = self._folders.create(name, JOURNAL)
        try:
            os.posix_fallocate(fd, 0, SEGMENT_BYTES)
            os.pwrite(fd, header_bytes(header), 0)
            self._folders.disk.fdatasync(fd)
            self._folders.sync(JOURNAL)
        except OSError:
            os.close(fd)
            self._folders.discard(JOURNAL, name)
            raise
        return Segment(name, header, fd)

    def give_up(self, segment: Segment) -> None:
        """A batch failed and is marked as gone: the segment takes no more, and goes where nothing in it is live."""
        with self.lock:
            self.active = None
            if segment.live:
                with contextlib.suppress(OSError):
                    # a power failure may leave the batch on disk, but then not without its marks
                    self._folders.disk.fdatasync(segment.fd)
            if not segment.live:
                self._opened.remove(segment)
                _close(segment)
                self._folders.discard(JOURNAL, segment.name)

    def _recycle(self, segment: Segment) -> None:
        """Keep a segment without messages for later use, or remove it where enough are kept."""
        if segment in self._opened:
            self._opened.remove(segment)
        fits = segment.fd >= 0 and os.fstat(segment.fd).st_size == SEGMENT_BYTES
        if fits and len(self._spares) < _SPARES:
            self._spares.append(segment)
            return
        _close(segment)
        self._folders.discard(JOURNAL, segment.name)

    def _keep_open(self, segment: Segment) -> None:
        self._opened.append(segment)
        if len(self._opened) > _OPEN_SEGMENTS:
            _close(self._opened.pop(0))

    @contextlib.contextmanager
    def _using(self, segment: Segment) -> Iterator[int]:
        """A descriptor of the segment; the lock must be held."""
        fd = segment.fd if segment.fd >= 0 else self._folders.open_file(JOURNAL, segment.name, os.O_RDWR)
        try:
            yield fd
        finally:
            if fd != segment.fd:
                os.close(fd)

    def _header(self, name: str) -> Header | None:
        """The header of a segment file; a file without one is removed where it is empty, else set aside."""
        fd = self._folders.open_file(JOURNAL, name)
        try:
            header = read_header(fd)
            empty = header is None and not any(os.pread(fd, SEGMENT_BYTES, 0))
        finally:
            os.close(fd)
        if header is None and empty:
            self._folders.unlink(JOURNAL, name)
        elif header is None:
            _log.error("journal segment set aside", name=name, folder=DAMAGED)
            self._folders.rename(name, JOURNAL, name, DAMAGED)
            self._folders.sync(DAMAGED)
        return header


def _close(segment: Segment) -> None:
    fd, segment.fd = segment.fd, -1
    if fd >= 0:
        with contextlib.suppress(OSError):
            os.close(fd)


def _new_name() -> str:
    return f"{time.time_ns():016x}{secrets.token_hex(4)}"
