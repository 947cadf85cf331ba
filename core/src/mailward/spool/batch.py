"""Batches of changes, which share their syncs.

A batch does each step for all its changes before the next step, so a folder is synced once whatever
the number of changes, and all that goes into the journal is one write and one sync. What fails is
undone and reported for that change alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define

from mailward.hooks.log import get_logger
from mailward.spool.change import Arrival, Change
from mailward.spool.folders import Folders
from mailward.spool.journal import Journal, Letter
from mailward.values.errors import SpoolError

_log = get_logger("mailward.spool")


@define(eq=False)
class _Running:
    """A change under way: what it touched, and why it failed."""

    change: Change
    folders: Folders
    touched: tuple[str, ...] = ()
    error: SpoolError | None = None
    settled: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether there are steps left."""
        return self.error is None and not self.settled

    def prepare(self) -> None:
        if isinstance(self.change, Arrival):
            try:
                self.change.prepare()
            except SpoolError as error:
                self.fail(error)

    def write(self) -> None:
        if self.goes_on:
            try:
                self.change.write(self.folders)
            except (OSError, SpoolError) as error:
                self.fail(error)

    def start_sync(self) -> None:
        if self.goes_on:
            try:
                self.change.start_sync()
            except OSError as error:
                self.fail(error)

    def sync(self) -> None:
        if self.goes_on:
            try:
                self.change.sync(self.folders)
            except (OSError, SpoolError) as error:
                self.fail(error)

    def place(self) -> None:
        if self.goes_on:
            try:
                self.touched = self.change.place(self.folders)
            except (OSError, SpoolError) as error:
                self.fail(error)

    def confirm(self) -> None:
        if self.goes_on:
            try:
                self.change.confirm()
            except OSError as error:
                # The next start finds the file, and forgets the record of the journal.
                _log.error("journal not marked", problem=str(error))

    def fail(self, error: OSError | SpoolError) -> None:
        if isinstance(error, OSError):
            self.error = SpoolError(f"{self.folders.path}: {error.strerror}")
            self.error.__cause__ = error
        else:
            self.error = error
        self.change.undo(self.folders)


def _through_journal(batch: Sequence[_Running], journal: Journal) -> None:
    """Put arrivals of small messages in the journal; where that has no room they go the way of files."""
    taken: list[_Running] = []
    arrivals: list[list[Letter]] = []
    for running in batch:
        if isinstance(running.change, Arrival) and running.goes_on and journal.has_room:
            letters = running.change.letters()
            if letters:
                taken.append(running)
                arrivals.append(letters)
    for running, error in zip(taken, journal.append(arrivals), strict=True):
        if error is None:
            running.settled = True
        elif journal.has_room:
            running.fail(error)


def carry_out(folders: Folders, changes: Sequence[Change], journal: Journal | None = None) -> list[SpoolError | None]:
    """Carry out a batch; for each change None, or why it failed (and was undone).

    Only one thread may do so with a journal.
    """
    batch = [_Running(change, folders) for change in changes]
    for running in batch:
        running.prepare()
    if journal is not None:
        _through_journal(batch, journal)
    for running in batch:
        running.write()
    if sum(running.goes_on for running in batch) > 1:
        for running in batch:
            running.start_sync()
    for running in batch:
        running.sync()
    for running in batch:
        running.place()
    for folder in {name for running in batch if running.error is None for name in running.touched}:
        try:
            folders.sync(folder)
        except OSError as error:
            for running in batch:
                if running.error is None and folder in running.touched:
                    running.fail(error)
    for running in batch:
        running.confirm()
        running.change.end()
    return [running.error for running in batch]
