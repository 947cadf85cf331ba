"""The spool of one gateway process: open, receive, recover, read, change."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import evolve

from mailward.hooks.clock import Clock
from mailward.hooks.log import get_logger
from mailward.spool.adoption import adopt
from mailward.spool.batch import carry_out
from mailward.spool.change import Arrival, Change, Promotion, Removal, Update
from mailward.spool.content import QueueContent
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import CONTROL, DAMAGED, Disk, Folders, Vanished
from mailward.spool.ids import check_id, new_id
from mailward.spool.image import read_entry
from mailward.spool.incoming import Incoming
from mailward.spool.journal import Journal
from mailward.spool.record import Damaged
from mailward.values.errors import SpoolError

_log = get_logger("mailward.spool")


class Spool:
    """One slot of the queue on disk; it belongs to the process that holds the slot's lock.

    The methods here block (a sync takes milliseconds); a gateway changes the queue through
    `Committer`, which has the same changes as coroutines and lets them share their syncs.
    """

    def __init__(self, root: Path, slot: str = "0", *, disk: Disk | None = None, clock: Clock | None = None) -> None:
        self.root = Path(root)
        self.slot = check_id(slot)
        self.clock = clock or Clock()
        self._disk = disk or Disk()
        self._folders = Folders(self.root, slot, self._disk)
        self.journal = Journal(self._folders)

    def open(self, wait_s: float = 5.0) -> None:
        """Make the folders, take the lock (waiting up to ``wait_s`` seconds), empty ``tmp``, read the journal.

        Raises SpoolError.
        """
        self._folders.open(wait_s)
        try:
            self._folders.purge()
            self.journal.open()
        except OSError as error:
            self.close()
            raise SpoolError(f"{self._folders.path}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the lock."""
        self.journal.close()
        self._folders.close()

    @property
    def control(self) -> Path:
        """The folder through which other processes ask for changes."""
        return self._folders.path / CONTROL

    def new_id(self) -> str:
        """A new message id of this slot."""
        return new_id(self.clock, self.slot)

    def begin(self, message_id: str = "") -> Incoming:
        """Receive a message under this id (a new one where empty)."""
        return Incoming(self._folders, message_id or self.new_id())

    def content(self, entry: Entry) -> QueueContent:
        """The bytes to deliver. Raises Vanished, Damaged, or SpoolError where the entry's splices cannot be."""
        body = self.body(entry)
        path = self._folders.path if body is not None else self.path(entry)
        return QueueContent(path, entry.prefix, entry.splices, entry.size_bytes, body)

    def body(self, entry: Entry) -> bytes | None:
        """The body as received, where it is in the journal; None where it is in a file of its own (`path`).

        Raises Damaged, SpoolError.
        """
        if entry.id not in self.journal:
            return None
        try:
            with contextlib.suppress(Vanished):
                return self.journal.body(entry.id)
            return None
        except OSError as error:
            raise SpoolError(f"{entry.id}: {error.strerror}") from error

    def path(self, entry: Entry) -> Path:
        """Where the entry's file is, if it has one of its own."""
        return self._folders.path / entry.queue / check_id(entry.id)

    def load(self, message_id: str, queue: Queue) -> Entry:
        """Read an entry. Raises Vanished where it is not there, Damaged where it cannot be read, SpoolError."""
        if self.journal.queue_of(message_id) is queue:
            try:
                # A message that leaves the journal at this moment has its file already.
                with contextlib.suppress(Vanished):
                    return self.journal.load(message_id)
            except OSError as error:
                raise SpoolError(f"{message_id}: {error.strerror}") from error
        try:
            fd = self._folders.open_file(queue, message_id)
        except FileNotFoundError as error:
            raise Vanished(f"{message_id}: not in the {queue} queue") from error
        except OSError as error:
            raise SpoolError(f"{message_id}: {error.strerror}") from error
        try:
            return read_entry(fd, message_id, queue)
        except OSError as error:
            raise SpoolError(f"{message_id}: {error.strerror}") from error
        finally:
            os.close(fd)

    def find(self, message_id: str) -> Entry | None:
        """The entry of this id, whichever queue it is in, or None. Raises Damaged, SpoolError."""
        for queue in Queue:
            with contextlib.suppress(Vanished):
                return self.load(message_id, queue)
        return None

    def recover(self, *queues: Queue) -> Iterator[Entry]:
        """Every entry of these queues (none given: of all), oldest first in each, read as the caller takes them.

        A file without a state that is whole goes to the folder ``damaged``, for the operator; the
        rest goes on. Raises SpoolError where the disk fails.
        """
        for queue in queues or Queue:
            for message_id in self._ids(queue):
                try:
                    yield self.load(message_id, queue)
                except Vanished:
                    continue
                except Damaged as error:
                    self.set_aside(message_id, queue, error)

    def _ids(self, queue: Queue) -> list[str]:
        try:
            return sorted({*self._folders.ids(queue), *self.journal.ids(queue)})
        except OSError as error:
            raise SpoolError(f"{self._folders.path / queue}: {error.strerror}") from error

    def set_aside(self, message_id: str, queue: Queue, why: Damaged) -> None:
        """Move a file that cannot be read to the folder ``damaged``, for the operator. Raises SpoolError."""
        _log.error("queue file set aside", id=message_id, queue=queue.value, folder=DAMAGED, why=str(why))
        try:
            if self.journal.queue_of(message_id) is queue:
                self.journal.set_aside(message_id)
                return
            self._folders.rename(message_id, queue, message_id, DAMAGED)
            self._folders.sync(DAMAGED)
        except OSError as error:
            raise SpoolError(f"{message_id}: {error.strerror}") from error

    def carry_out(self, changes: list[Change]) -> list[SpoolError | None]:
        """Carry out a batch of changes; for each None, or why it failed (and was undone)."""
        return carry_out(self._folders, changes)

    def carry_out_in_journal(self, changes: list[Change]) -> list[SpoolError | None]:
        """`carry_out` where small messages go into the journal; for one thread only."""
        return carry_out(self._folders, changes, self.journal)

    def commit(self, incoming: Incoming, *entries: Entry) -> tuple[Entry, ...]:
        """Put a received message in the queue, durably. Raises SpoolError: nothing of it is in the queue then."""
        arrival = self.arrival(incoming, entries)
        self._one(arrival)
        return arrival.entries

    def arrival(self, incoming: Incoming, entries: tuple[Entry, ...]) -> Arrival:
        """The change that puts a received message in the queue; ``incoming`` belongs to it from here on.

        An entry with the id of one before it gets an id of its own, and that of the first as its origin.
        """
        distinct = self.distinct(entries)
        incoming.take()
        return Arrival(incoming, distinct, self.journal)

    def distinct(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """The entries, each with an id of its own; those that get a new one have the first as their origin."""
        if not entries:
            raise ValueError("a commit needs at least one entry")
        if len(entries) == 1:
            return tuple(entries)
        distinct: dict[str, Entry] = {}
        for entry in entries:
            own = entry
            if entry.id in distinct:
                own = evolve(entry, id=self.new_id(), origin=entry.origin or entries[0].id)
            distinct[own.id] = own
        return tuple(distinct.values())

    def drop(self, message_id: str) -> bool:
        """Remove a message that is in the journal; False where it is not. Raises SpoolError."""
        try:
            return self.journal.drop(message_id)
        except OSError as error:
            raise SpoolError(f"{message_id}: {error.strerror}") from error

    def start(self, message_id: str, count: int) -> None:
        """Mark a message of the journal: work on it was started so often. Raises Vanished, SpoolError."""
        try:
            self.journal.start(message_id, count)
        except OSError as error:
            raise SpoolError(f"{message_id}: {error.strerror}") from error

    def change_of(self, entry: Entry, source: Queue, durable: bool = True) -> Change:
        """The change that writes the entry's state and moves it from ``source`` to its queue."""
        if entry.id in self.journal:
            return Promotion(entry, self.journal)
        return Update(entry, source, durable)

    def removal(self, entry: Entry) -> Removal:
        """The change that removes the entry for good."""
        return Removal(entry, self.journal)

    def append_state(self, entry: Entry) -> None:
        """Write the entry's state, synced; it has a file of its own from then on. Raises SpoolError."""
        self._one(self.change_of(entry, entry.queue))

    def move(self, entry: Entry, queue: Queue) -> Entry:
        """Write the entry's state and move it to ``queue``, synced. Raises SpoolError: it is where it was then."""
        moved = evolve(entry, queue=queue)
        self._one(self.change_of(moved, entry.queue))
        return moved

    def remove(self, entry: Entry) -> None:
        """Remove the entry for good. Raises SpoolError."""
        self._one(self.removal(entry))

    def copy(self, entry: Entry, new: Entry) -> Entry:
        """Put a copy of the entry's body in the queue as ``new`` (its own id, queue, envelope), synced.

        Raises SpoolError.
        """
        incoming = self.begin(new.id)
        try:
            body = self.body(entry)
            if body is not None:
                incoming.write(body)
                return self.commit(incoming, new)[0]
            with open(self.path(entry), "rb", buffering=0) as file:
                left = entry.size_bytes
                while left:
                    data = file.read(min(left, 1024 * 1024))
                    if not data:
                        raise SpoolError(f"{entry.id}: the body is shorter than its record says")
                    incoming.write(data)
                    left -= len(data)
            return self.commit(incoming, new)[0]
        except OSError as error:
            raise SpoolError(f"{entry.id}: {error.strerror}") from error
        finally:
            incoming.discard()

    def adopt(self, in_use: tuple[str, ...]) -> list[tuple[str, Queue]]:
        """Take over the mail of slots that no process uses any more; the ids, and the queues they are in.

        ``in_use`` names the slots of all gateway processes of this spool. Raises SpoolError.
        """
        return adopt(self.root, self._folders, self.journal, (*in_use, self.slot))

    def _one(self, change: Change) -> None:
        (error,) = self.carry_out([change])
        if error is not None:
            raise error
