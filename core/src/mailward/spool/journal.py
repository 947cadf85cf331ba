"""The journal of a slot: small messages of the fast and the incoming queue, many to a file.

A message that is delivered within moments costs one write that it shares with others, and one mark
when it is gone: no file is made, renamed or deleted for it. Whoever stays longer (slow, held,
quarantined, some recipients served) gets a file of its own. See `segment` for the format.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from attrs import define, frozen

from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import DAMAGED, JOURNAL, Folders, Vanished, write_all
from mailward.spool.ids import is_id
from mailward.spool.record import Damaged
from mailward.spool.segment import (
    GONE,
    MARKS,
    PAGE,
    RECORDS_AT,
    SEGMENT_BYTES,
    STARTED,
    Header,
    Marks,
    Record,
    header_bytes,
    mark_bytes,
    mark_offset,
    read_at,
    read_header,
    record_bytes,
    record_pieces,
    records,
)

T = TypeVar("T")
_log = structlog.get_logger("mailward.spool")
MAX_ARRIVAL_BYTES = 1024 * 1024
"""Arrivals over this (one body, once for each policy) get files of their own."""
_SPARES = 2
_OPEN_SEGMENTS = 8
_KEPT_BODY_BYTES = 16 * 1024 * 1024
_NO_ROOM_S = 10.0


@frozen
class Letter:
    """One entry on its way into the journal: its full record and its body."""

    entry: Entry
    full: bytes
    body: bytes

    @property
    def size_bytes(self) -> int:
        """What its record takes."""
        return record_bytes(self.entry, self.full, self.body)


@define(eq=False)
class _Segment:
    """A segment file: ``live`` counts its messages that are not gone, ``lost`` records that cannot be read."""

    name: str
    header: Header
    fd: int = -1
    at: int = RECORDS_AT
    count: int = 0
    live: int = 0
    lost: int = 0


@define(eq=False)
class _Place:
    """Where a message is."""

    segment: _Segment
    number: int
    start: int
    length: int
    queue: Queue
    started: int = 0


class Journal:
    """The small messages of one slot. One thread appends; any thread may read, mark and drop.

    Messages are appended in batches that share one sync. Bodies of recent messages are kept in
    memory, so that a delivery within moments reads nothing.
    """

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._counts = Counter[Queue]()
        self._bodies: dict[str, bytes] = {}
        self._body_bytes = 0
        self._active: _Segment | None = None
        self._opened: list[_Segment] = []
        self._spares: list[_Segment] = []
        self._no_room_until = 0.0

    def open(self) -> None:
        """Find what the segments hold. Raises OSError.

        A message that has a file too is gone from here: the file came after. Of two records of one
        message the later counts.
        """
        found: list[tuple[int, str]] = []
        for name in self._folders.ids(JOURNAL):
            header = self._header(name)
            if header is not None:
                found.append((header.born_ns, name))
        for _, name in sorted(found):
            self._take_up(name)
        with_files = {message_id for queue in Queue for message_id in self._folders.ids(queue)}
        for message_id in with_files & self._places.keys():
            self.drop(message_id)

    def close(self) -> None:
        """Let go of all files."""
        with self._lock:
            for segment in (*self._opened, *self._spares):
                _close(segment)
            self._places, self._counts, self._bodies, self._body_bytes = {}, Counter(), {}, 0
            self._active, self._opened, self._spares = None, [], []

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._places

    def ids(self, queue: Queue) -> list[str]:
        """The messages of a queue that are here, oldest first."""
        with self._lock:
            return sorted(message_id for message_id, place in self._places.items() if place.queue is queue)

    def count(self, queue: Queue) -> int:
        """How many messages of a queue are here."""
        return self._counts[queue]

    def load(self, message_id: str) -> Entry:
        """The entry. Raises Vanished where it is not here, Damaged, OSError."""
        place = self._place(message_id)
        return self._record(place).entry(place.started)

    def queue_of(self, message_id: str) -> Queue | None:
        """The queue that a message is in, None where it is not here."""
        place = self._places.get(message_id)
        return None if place is None else place.queue

    def body(self, message_id: str) -> bytes:
        """The body as received. Raises Vanished where it is not here, Damaged, OSError."""
        kept = self._bodies.get(message_id)
        return self._record(self._place(message_id)).body if kept is None else kept

    def append(self, arrivals: Sequence[Sequence[Letter]]) -> list[OSError | None]:
        """Write arrivals, synced; for each None, or why nothing of it is here.

        The letters of one arrival stay together. A letter takes the place of an older one of the same id.
        """
        errors: list[OSError | None] = []
        left = list(arrivals)
        while left:
            chunk = self._fitting(left)
            del left[: len(chunk)]
            try:
                self._write([letter for arrival in chunk for letter in arrival])
            except OSError as error:
                errors.extend([error] * len(chunk))
            else:
                errors.extend([None] * len(chunk))
        return errors

    @property
    def has_room(self) -> bool:
        """Whether a segment could be made when that was last tried."""
        return time.monotonic() >= self._no_room_until

    def drop(self, message_id: str) -> bool:
        """The message is gone from here; whether it was here. Raises OSError: then it stays."""
        place = self._places.get(message_id)
        if place is None:
            return False
        self._mark(place, GONE)
        with self._lock:
            if self._places.get(message_id) is place:
                del self._places[message_id]
                self._counts[place.queue] -= 1
                self._body_bytes -= len(self._bodies.pop(message_id, b""))
            self._one_less(place.segment)
        return True

    def start(self, message_id: str, count: int) -> None:
        """Write down how often work on a message was started (0: it ended well). Raises Vanished, OSError."""
        place = self._place(message_id)
        self._mark(place, STARTED, count)
        place.started = count

    def set_aside(self, message_id: str) -> None:
        """Copy the segment of a record that cannot be read to the folder ``damaged``, and forget the record.

        Raises OSError.
        """
        place = self._place(message_id)
        with self._lock, self._using(place.segment) as fd:
            self._copy_aside(fd, message_id)
        self.drop(message_id)

    def _copy_aside(self, fd: int, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        copy = os.open(name, flags, 0o600, dir_fd=self._folders.folder(DAMAGED))
        try:
            write_all(copy, os.pread(fd, SEGMENT_BYTES, 0))
            self._folders.disk.fsync(copy)
        finally:
            os.close(copy)
        self._folders.sync(DAMAGED)

    def adopt(self, other: Folders) -> dict[str, Queue]:
        """Take over the segments of a slot that no process uses; the messages that came. Raises OSError."""
        before = set(self._places)
        for name in sorted(other.ids(JOURNAL)):
            own = _new_name()
            os.rename(name, own, src_dir_fd=other.folder(JOURNAL), dst_dir_fd=self._folders.folder(JOURNAL))
            self._folders.sync(JOURNAL)
            if self._header(own) is not None:
                self._take_up(own)
        with self._lock:
            return {message_id: place.queue for message_id, place in self._places.items() if message_id not in before}

    def _place(self, message_id: str) -> _Place:
        try:
            return self._places[message_id]
        except KeyError:
            raise Vanished(f"{message_id}: not in the queue any more") from None

    def _record(self, place: _Place) -> Record:
        with self._lock, self._using(place.segment) as fd:
            return read_at(fd, place.segment.header.generation, place.start, place.length)

    def _mark(self, place: _Place, kind: bytes, count: int = 0) -> None:
        mark = mark_bytes(place.segment.header.generation, kind, count)
        # The lock keeps the descriptor from being closed (and its number from being used again) meanwhile.
        with self._lock:
            if place.segment.fd >= 0:
                os.pwrite(place.segment.fd, mark, mark_offset(place.number))
                return
            with self._using(place.segment) as fd:
                os.pwrite(fd, mark, mark_offset(place.number))

    @contextlib.contextmanager
    def _using(self, segment: _Segment) -> Iterator[int]:
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

    def _take_up(self, name: str) -> None:
        fd = self._folders.open_file(JOURNAL, name, os.O_RDWR)
        header = read_header(fd)
        assert header is not None
        segment = _Segment(name, header, fd)
        marks = Marks.read(fd, header)
        for expected, record in enumerate(records(fd, header)):
            if record.number != expected + segment.lost:
                segment.lost = record.number - expected
                _log.error("journal segment has unreadable records, a copy is set aside", name=name, folder=DAMAGED)
                self._copy_aside(fd, name)
            kind, count = marks.of(record.number)
            if kind != GONE:
                started = count if kind == STARTED else 0
                place = _Place(segment, record.number, record.start, record.length, record.queue, started)
                self._replace(record.id, place)
        with self._lock:
            if segment.live:
                self._keep_open(segment)
            else:
                self._recycle(segment)

    def _replace(self, message_id: str, place: _Place) -> None:
        """A place for a message, instead of the one it had."""
        before = self._places.get(message_id)
        with self._lock:
            self._places[message_id] = place
            self._counts[place.queue] += 1
            if before is not None:
                self._counts[before.queue] -= 1
            place.segment.live += 1
        if before is not None:
            with contextlib.suppress(OSError):
                # Without the mark the later record still counts.
                self._mark(before, GONE)
            with self._lock:
                self._one_less(before.segment)

    def _one_less(self, segment: _Segment) -> None:
        segment.live -= 1
        if not segment.live and segment is not self._active:
            self._recycle(segment)

    def _recycle(self, segment: _Segment) -> None:
        """Keep a segment without messages for later use, or remove it where enough are kept."""
        if segment in self._opened:
            self._opened.remove(segment)
        fits = segment.fd >= 0 and os.fstat(segment.fd).st_size == SEGMENT_BYTES
        if fits and len(self._spares) < _SPARES:
            self._spares.append(segment)
            return
        _close(segment)
        self._folders.discard(JOURNAL, segment.name)

    def _keep_open(self, segment: _Segment) -> None:
        self._opened.append(segment)
        if len(self._opened) > _OPEN_SEGMENTS:
            _close(self._opened.pop(0))

    def _fitting(self, arrivals: list[Sequence[Letter]]) -> list[Sequence[Letter]]:
        """As many arrivals, from the first, as one segment takes: the active one where any fits, else a new one."""
        chunk: list[Sequence[Letter]] = []
        room, marks = self._room()
        first = sum(letter.size_bytes for letter in arrivals[0])
        if first > room or len(arrivals[0]) > marks:
            self._leave()
            room, marks = SEGMENT_BYTES - RECORDS_AT, MARKS
        for arrival in arrivals:
            room -= sum(letter.size_bytes for letter in arrival)
            marks -= len(arrival)
            if chunk and (room < 0 or marks < 0):
                break
            chunk.append(arrival)
        return chunk

    def _room(self) -> tuple[int, int]:
        active = self._active
        if active is None:
            return 0, 0
        return SEGMENT_BYTES - active.at - (-active.at % PAGE), MARKS - active.count

    def _leave(self) -> None:
        """The active segment takes no more."""
        with self._lock:
            active, self._active = self._active, None
            if active is not None and not active.live:
                self._recycle(active)

    def _write(self, letters: Sequence[Letter]) -> None:
        segment = self._active or self._begin()
        start = at = segment.at + -segment.at % PAGE
        pieces: list[bytes] = []
        places: list[_Place] = []
        for number, letter in enumerate(letters, segment.count):
            pieces += record_pieces(segment.header.generation, number, letter.entry, letter.full, letter.body)
            length = letter.size_bytes
            places.append(_Place(segment, number, at, length, letter.entry.queue))
            at += length
        try:
            data = b"".join(pieces)
            if os.pwrite(segment.fd, data, start) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._folders.disk.fdatasync(segment.fd)
        except OSError:
            self._give_up(segment, places)
            raise
        segment.at = at
        segment.count += len(letters)
        for letter, place in zip(letters, places, strict=True):
            self._replace(letter.entry.id, place)
            self._remember(letter.entry.id, letter.body)

    def _remember(self, message_id: str, body: bytes) -> None:
        with self._lock:
            before = len(self._bodies.pop(message_id, b""))
            self._body_bytes -= before
            if self._body_bytes + len(body) <= _KEPT_BODY_BYTES:
                self._bodies[message_id] = body
                self._body_bytes += len(body)

    def _give_up(self, segment: _Segment, places: list[_Place]) -> None:
        """A batch failed: its senders are told 4xx, so none of it may be found at the next start."""
        for place in places:
            with contextlib.suppress(OSError):
                self._mark(place, GONE)
        with self._lock:
            self._active = None
            if not segment.live:
                self._opened.remove(segment)
                _close(segment)
                self._folders.discard(JOURNAL, segment.name)

    def _begin(self) -> _Segment:
        """A segment to write to: a used one under a new generation, or a new file. Raises OSError."""
        header = Header(secrets.token_bytes(8), time.time_ns())
        with self._lock:
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
        with self._lock:
            self._active = segment
            self._keep_open(segment)
        return segment

    def _make(self, header: Header) -> _Segment:
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
        return _Segment(name, header, fd)


def _close(segment: _Segment) -> None:
    fd, segment.fd = segment.fd, -1
    if fd >= 0:
        with contextlib.suppress(OSError):
            os.close(fd)


def _new_name() -> str:
    return f"{time.time_ns():016x}{secrets.token_hex(4)}"


@frozen
class Found:
    """A message found in a journal from outside; ``body_at`` is the offset of its body in the file ``path``."""

    entry: Entry
    path: Path
    body_at: int


def journaled(folder: Path, wanted: Queue | None = None) -> dict[str, Found]:
    """The messages (of one queue) in a journal folder, read without lock and without changing anything.

    Raises OSError where a segment cannot be read.
    """
    headers: list[tuple[int, Path, Header]] = []
    found: dict[str, Found] = {}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if is_id(name) and (header := _read(folder / name, read_header)) is not None:
                headers.append((header.born_ns, folder / name, header))
    for _, path, header in sorted(headers, key=lambda one: one[0]):
        found |= _read(path, partial(_members, path, header)) or {}
    return {message_id: one for message_id, one in found.items() if wanted in (None, one.entry.queue)}


def _read(path: Path, reader: Callable[[int], T | None]) -> T | None:
    """What ``reader`` makes of the file; None where the file went away."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        return reader(fd)
    finally:
        os.close(fd)


def _members(path: Path, header: Header, fd: int) -> dict[str, Found]:
    marks = Marks.read(fd, header)
    found: dict[str, Found] = {}
    for record in records(fd, header):
        kind, count = marks.of(record.number)
        if kind == GONE:
            found.pop(record.id, None)
            continue
        with contextlib.suppress(Damaged):
            body_at = record.start + record.length - len(record.body)
            found[record.id] = Found(record.entry(count if kind == STARTED else 0), path, body_at)
    return found
