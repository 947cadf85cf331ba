"""The journal of a slot: small messages of the fast and the incoming queue, many to a file.

A message that is delivered within moments costs one write that it shares with others, and one mark
when it is gone: no file is made, renamed or deleted for it. Whoever stays longer (slow, held,
quarantined, some recipients served) gets a file of its own. See `segment` for the format.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from attrs import define, frozen

from mailward.hooks.log import get_logger
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import DAMAGED, Folders, Vanished
from mailward.spool.segment import (
    GONE,
    MARKS,
    PAGE,
    RECORDS_AT,
    SEGMENT_BYTES,
    STARTED,
    Marks,
    Record,
    is_damaged,
    record_bytes,
    record_pieces,
    records,
)
from mailward.spool.segments import Segment, Segments

T = TypeVar("T")
_log = get_logger("mailward.spool")
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
class _Place:
    """Where a message is."""

    segment: Segment
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
        self._places: dict[str, _Place] = {}
        self._counts = Counter[Queue]()
        self._bodies: dict[str, bytes] = {}
        self._body_bytes = 0
        self._segments = Segments(folders)

    def open(self) -> None:
        """Find what the segments hold. Raises OSError.

        A message that has a file too is gone from here: the file came after. Of two records of one
        message the later counts.
        """
        for name in self._segments.found():
            self._take_up(name)
        with_files = {message_id for queue in Queue for message_id in self._folders.ids(queue)}
        for message_id in with_files & self._places.keys():
            self.drop(message_id)

    def close(self) -> None:
        """Let go of all files."""
        self._segments.close()
        self._places, self._counts, self._bodies, self._body_bytes = {}, Counter(), {}, 0

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._places

    def ids(self, queue: Queue) -> list[str]:
        """The messages of a queue that are here, oldest first."""
        with self._segments.lock:
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
        return self._segments.has_room

    def drop(self, message_id: str) -> bool:
        """The message is gone from here; whether it was here. Raises OSError: then it stays."""
        place = self._places.get(message_id)
        if place is None:
            return False
        self._mark(place, GONE)
        with self._segments.lock:
            if self._places.get(message_id) is place:
                del self._places[message_id]
                self._counts[place.queue] -= 1
                self._body_bytes -= len(self._bodies.pop(message_id, b""))
            self._segments.one_less(place.segment)
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
        self._segments.copy_aside(place.segment, message_id)
        self.drop(message_id)

    def adopt(self, other: Folders) -> dict[str, Queue]:
        """Take over the segments of a slot that no process uses; the messages that came. Raises OSError."""
        before = set(self._places)
        for name in self._segments.adopted(other):
            self._take_up(name)
        with self._segments.lock:
            return {message_id: place.queue for message_id, place in self._places.items() if message_id not in before}

    def _place(self, message_id: str) -> _Place:
        try:
            return self._places[message_id]
        except KeyError:
            raise Vanished(f"{message_id}: not in the queue any more") from None

    def _record(self, place: _Place) -> Record:
        return self._segments.read(place.segment, place.start, place.length)

    def _mark(self, place: _Place, kind: bytes, count: int = 0) -> None:
        self._segments.mark(place.segment, place.number, kind, count)

    def _take_up(self, name: str) -> None:
        segment = self._segments.open(name)
        marks = Marks.read(segment.fd, segment.header)
        found = list(records(segment.fd, segment.header))
        if is_damaged(segment.fd, segment.header, found, marks):
            self._keep_aside(segment)
        for record in found:
            kind, count = marks.of(record.number)
            if kind != GONE:
                started = count if kind == STARTED else 0
                place = _Place(segment, record.number, record.start, record.length, record.queue, started)
                self._replace(record.id, place)
        self._segments.settle(segment)

    def _keep_aside(self, segment: Segment) -> None:
        """Have a copy of a damaged segment for the operator; what can be read in it goes on all the same."""
        try:
            self._segments.copy_aside(segment, segment.name)
        except OSError as error:
            # the only copy then: it is not used again before the next start
            segment.live += 1
            _log.error(
                "journal segment has unreadable records and cannot be copied", name=segment.name, error=str(error)
            )
        else:
            _log.error("journal segment has unreadable records, a copy is set aside", name=segment.name, folder=DAMAGED)

    def _replace(self, message_id: str, place: _Place) -> None:
        """A place for a message, instead of the one it had."""
        before = self._places.get(message_id)
        with self._segments.lock:
            self._places[message_id] = place
            self._counts[place.queue] += 1
            if before is not None:
                self._counts[before.queue] -= 1
            place.segment.live += 1
        if before is not None:
            with contextlib.suppress(OSError):
                # Without the mark the later record still counts.
                self._mark(before, GONE)
            with self._segments.lock:
                self._segments.one_less(before.segment)

    def _fitting(self, arrivals: list[Sequence[Letter]]) -> list[Sequence[Letter]]:
        """As many arrivals, from the first, as one segment takes: the active one where any fits, else a new one."""
        chunk: list[Sequence[Letter]] = []
        room, marks = self._segments.room
        first = sum(letter.size_bytes for letter in arrivals[0])
        if first > room or len(arrivals[0]) > marks:
            self._segments.leave()
            room, marks = SEGMENT_BYTES - RECORDS_AT, MARKS
        for arrival in arrivals:
            room -= sum(letter.size_bytes for letter in arrival)
            marks -= len(arrival)
            if chunk and (room < 0 or marks < 0):
                break
            chunk.append(arrival)
        return chunk

    def _write(self, letters: Sequence[Letter]) -> None:
        segment = self._segments.active or self._segments.begin()
        start = at = segment.at + -segment.at % PAGE
        pieces: list[bytes] = []
        places: list[_Place] = []
        for number, letter in enumerate(letters, segment.count):
            pieces += record_pieces(segment.header.generation, number, letter.entry, letter.full, letter.body)
            length = letter.size_bytes
            places.append(_Place(segment, number, at, length, letter.entry.queue))
            at += length
        try:
            self._segments.write(segment, b"".join(pieces), start)
        except OSError:
            self._give_up(segment, places)
            raise
        segment.at = at
        segment.count += len(letters)
        for letter, place in zip(letters, places, strict=True):
            self._replace(letter.entry.id, place)
            self._remember(letter.entry.id, letter.body)

    def _remember(self, message_id: str, body: bytes) -> None:
        with self._segments.lock:
            before = len(self._bodies.pop(message_id, b""))
            self._body_bytes -= before
            if self._body_bytes + len(body) <= _KEPT_BODY_BYTES:
                self._bodies[message_id] = body
                self._body_bytes += len(body)

    def _give_up(self, segment: Segment, places: list[_Place]) -> None:
        """A batch failed: its senders are told 4xx, so none of it may be found at the next start."""
        for place in places:
            with contextlib.suppress(OSError):
                self._mark(place, GONE)
        self._segments.give_up(segment)
