"""Changes of the queue, step by step.

Every change has the same four steps: write, sync its own files, place (names appear in or leave a
folder), sync the folders. `batch` carries them out.
"""

from __future__ import annotations

import contextlib
import os
from typing import Protocol

from attrs import define, evolve, field

from mailward.spool.content import check_splices
from mailward.spool.entry import Entry
from mailward.spool.folders import TMP, Folders, Vanished, write_all
from mailward.spool.image import first_image, last_footer, next_image
from mailward.spool.incoming import Incoming
from mailward.spool.journal import MAX_ARRIVAL_BYTES, Journal, Letter
from mailward.spool.record import full_record
from mailward.spool.segment import JOURNALED
from mailward.spool.writeback import start_writeback
from mailward.values.errors import SpoolError

_COPY_BYTES = 1024 * 1024


class Change(Protocol):
    """One change of the queue; each step raises OSError or SpoolError."""

    def write(self, folders: Folders) -> None:
        """Write to the change's own files."""

    def start_sync(self) -> None:
        """Let the system begin to write, without waiting: the first sync of a batch then finds all on its way."""
        return None

    def sync(self, folders: Folders) -> None:
        """Make what `write` wrote durable."""
        return None

    def place(self, folders: Folders) -> tuple[str, ...]:
        """Let names appear or go; the folders that must be synced before it counts."""
        ...

    def confirm(self) -> None:
        """The change counts now: what it leaves behind elsewhere can go."""
        return None

    def undo(self, folders: Folders) -> None:
        """Put things back as they were, as far as that is possible. Never raises."""
        return None

    def end(self) -> None:
        """Let go of files; called last, whatever happened."""
        return None


def _copy_body(source: int, target: int, size_bytes: int) -> None:
    at = 0
    try:
        while at < size_bytes:
            copied = os.copy_file_range(source, target, size_bytes - at, at)
            if not copied:
                break
            at += copied
    except OSError:
        # Not every file system can; what it really objects to, a plain write tells.
        os.lseek(target, at, os.SEEK_SET)
    while at < size_bytes:
        data = os.pread(source, min(_COPY_BYTES, size_bytes - at), at)
        if not data:
            raise SpoolError("the body is shorter than its record says")
        write_all(target, data)
        at += len(data)


@define(eq=False)
class Arrival(Change):
    """A received message enters the queue as one entry or several (policies that differ).

    The first entry takes the file, each further one gets a copy of the body.
    """

    incoming: Incoming
    entries: tuple[Entry, ...]
    journal: Journal
    _made: list[tuple[str, str]] = field(factory=list)
    _fds: list[int] = field(factory=list)
    _own_fd: int = -1
    _given_up: bool = False

    def give_up(self) -> None:
        """Whoever sent the message is gone before its commit began: nothing of it is kept."""
        self._given_up = True

    def prepare(self) -> None:
        """Fill in what is only known now. Raises SpoolError where there is nothing to commit (any more)."""
        if self._given_up:
            raise SpoolError(f"{self.incoming.id}: given up before the commit")
        size = self.incoming.size
        self.entries = tuple([e if e.size_bytes == size else evolve(e, size_bytes=size) for e in self.entries])
        for entry in self.entries:
            if entry.splices:
                check_splices(entry.splices, size)

    def letters(self) -> list[Letter]:
        """The entries as letters for the journal; none where the message is not one for it."""
        body = self.incoming.unwritten
        if body is None or any(entry.queue not in JOURNALED for entry in self.entries):
            return []
        letters = [Letter(entry, full_record(entry), body) for entry in self.entries]
        return letters if sum(letter.size_bytes for letter in letters) <= MAX_ARRIVAL_BYTES else []

    def write(self, folders: Folders) -> None:
        """Write body and full record of every entry."""
        first, *others = self.entries
        body = self.incoming.whole if others else None
        self._own_fd = self.incoming.finish(first_image(first))
        self._made.append((TMP, self.incoming.id))
        for entry in others:
            fd = folders.create(entry.id)
            self._fds.append(fd)
            self._made.append((TMP, entry.id))
            if body is None:
                _copy_body(self._own_fd, fd, self.incoming.size)
                write_all(fd, first_image(entry))
            else:
                write_all(fd, body, first_image(entry))

    def start_sync(self) -> None:
        """Begin to write back every file."""
        for fd in (self._own_fd, *self._fds):
            start_writeback(fd)

    def sync(self, folders: Folders) -> None:
        """Sync every file."""
        for fd in (self._own_fd, *self._fds):
            folders.disk.fsync(fd)

    def place(self, folders: Folders) -> tuple[str, ...]:
        """Rename every file into its queue."""
        for index, entry in enumerate(self.entries):
            source = self._made[index][1]
            folders.rename(source, TMP, entry.id, entry.queue)
            self._made[index] = (entry.queue, entry.id)
        return tuple(entry.queue for entry in self.entries)

    def confirm(self) -> None:
        """An entry that was in the journal (in another queue) is not any more."""
        for entry in self.entries:
            self.journal.drop(entry.id)

    def undo(self, folders: Folders) -> None:
        """Remove every file: the client is told 4xx and keeps the message."""
        for folder, message_id in self._made:
            folders.discard(folder, message_id)

    def end(self) -> None:
        """Close the files."""
        for fd in self._fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        self.incoming.end(remove=not self._made)


@define(eq=False)
class Update(Change):
    """A new state of a message, and another queue where ``entry.queue`` is not ``source``."""

    entry: Entry
    source: str
    durable: bool = True
    _fd: int = -1
    _old_size: int = -1
    _moved: bool = False

    def write(self, folders: Folders) -> None:
        """Append the state record; whatever a torn append left behind goes first."""
        try:
            self._fd = folders.open_file(self.source, self.entry.id, os.O_RDWR)
        except FileNotFoundError as error:
            raise Vanished(f"{self.entry.id}: not in the {self.source} queue") from error
        last = last_footer(self._fd, self.entry.id)
        self._old_size = last.end
        os.ftruncate(self._fd, last.end)
        os.lseek(self._fd, last.end, os.SEEK_SET)
        write_all(self._fd, next_image(self.entry, last))

    def sync(self, folders: Folders) -> None:
        """Sync the file's data, where the state must survive more than the end of the process."""
        if self.durable:
            folders.disk.fdatasync(self._fd)

    def place(self, folders: Folders) -> tuple[str, ...]:
        """Rename into the other queue."""
        if self.entry.queue == self.source:
            return ()
        folders.rename(self.entry.id, self.source, self.entry.id, self.entry.queue)
        self._moved = True
        return (self.entry.queue,)

    def undo(self, folders: Folders) -> None:
        """Back to the former queue and state."""
        with contextlib.suppress(OSError):
            if self._moved:
                folders.rename(self.entry.id, self.entry.queue, self.entry.id, self.source)
            if self._old_size >= 0:
                os.ftruncate(self._fd, self._old_size)

    def end(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)


@define(eq=False)
class Promotion(Change):
    """A message leaves the journal for a file of its own, in the queue and state of ``entry``."""

    entry: Entry
    journal: Journal
    _fd: int = -1
    _folder: str = TMP

    def write(self, folders: Folders) -> None:
        """Write body and full record."""
        body = self.journal.body(self.entry.id)
        self._fd = folders.create(self.entry.id)
        write_all(self._fd, body, first_image(self.entry))

    def sync(self, folders: Folders) -> None:
        """Sync the file."""
        folders.disk.fsync(self._fd)

    def place(self, folders: Folders) -> tuple[str, ...]:
        """Rename it into its queue."""
        folders.rename(self.entry.id, TMP, self.entry.id, self.entry.queue)
        self._folder = self.entry.queue
        return (self.entry.queue,)

    def confirm(self) -> None:
        """Leave the journal."""
        self.journal.drop(self.entry.id)

    def undo(self, folders: Folders) -> None:
        """Remove the file; the journal still has the message."""
        if self._fd >= 0:
            folders.discard(self._folder, self.entry.id)

    def end(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)


@define(eq=False)
class Removal(Change):
    """A message leaves the queue for good.

    Its folder is not synced for it: a power failure can bring back a message that was delivered in
    the last seconds, which is then delivered twice; nothing is lost by that, and a sync is saved.
    """

    entry: Entry
    journal: Journal

    def write(self, folders: Folders) -> None:
        """Mark the record as gone or unlink the file; one that is gone already is fine."""
        if self.journal.drop(self.entry.id):
            return
        with contextlib.suppress(FileNotFoundError):
            folders.unlink(self.entry.queue, self.entry.id)

    def place(self, folders: Folders) -> tuple[str, ...]:
        """Nothing is left to do."""
        return ()
