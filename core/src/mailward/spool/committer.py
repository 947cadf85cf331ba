"""Group commit: one thread writes for all sessions of the process, and they share its syncs."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from attrs import evolve, frozen

from mailward.spool.change import Arrival, Change
from mailward.spool.entry import Entry, Queue
from mailward.spool.incoming import Incoming
from mailward.spool.spool import Spool
from mailward.values.errors import SpoolError


@frozen(eq=False)
class _Job:
    change: Change
    future: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


_Settled = list[tuple[_Job, SpoolError | None]]


class Committer:
    """Changes of the queue as coroutines: whatever is pending when the disk is free is one batch.

    A change whose caller is cancelled is not undone. Where that change was a commit, its entries go
    to ``unclaimed`` (set by the runner), so that a message that is in the queue is also delivered.
    """

    def __init__(self, spool: Spool, max_batch: int = 256) -> None:
        self.unclaimed: Callable[[tuple[Entry, ...]], None] = lambda entries: None
        self._spool = spool
        self._max_batch = max_batch
        self._pending: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="mailward-commit", daemon=True)
        self._thread.start()

    async def commit(self, incoming: Incoming, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Put a received message in the queue; after this returns, a 250 may be given.

        One entry for each policy; the first one takes the file, the others get copies (and an id of
        their own where they bear the first one's). Returns the entries as committed, ``size_bytes``
        filled in. Raises SpoolError: nothing of the message is in the queue then, and the answer is
        4xx. ``incoming`` is used up either way.
        """
        self._check_open()
        arrival = self._spool.arrival(incoming, tuple(entries))
        await self._do(arrival)
        return arrival.entries

    async def settle(self, old: Entry, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Put entries in the place of ``old``, the first of which bears its id; they as committed.

        A crash in between leaves ``old`` as it was, and perhaps copies of its other entries besides.
        Raises Vanished, SpoolError: ``old`` is as it was then.
        """
        body = self._spool.body(old)
        if body is not None:
            incoming = self._spool.begin(old.id)
            incoming.write(body)
            return await self.commit(incoming, entries)
        first, *others = self._spool.distinct(entries)
        copies = [await asyncio.to_thread(self._spool.copy, old, other) for other in others]
        first = evolve(first, size_bytes=old.size_bytes, amended=True)
        await self.update(first, source=old.queue)
        return (first, *copies)

    async def start(self, entry: Entry, count: int) -> Entry:
        """Write down that work on a message was started so often (0: it ended well); the entry with that count.

        What is written survives the end of the process, and is not synced. Raises Vanished, SpoolError.
        """
        counted = entry.with_started(count)
        if entry.id in self._spool.journal:
            self._spool.start(entry.id, count)
        else:
            await self._do(self._spool.change_of(counted, entry.queue, durable=False))
        return counted

    async def update(self, entry: Entry, source: Queue | None = None) -> None:
        """Write the entry's state; from the queue ``source``, if given, it moves to ``entry.queue``.

        Raises Vanished where the file is not there, SpoolError.
        """
        await self._do(self._spool.change_of(entry, source or entry.queue))

    async def remove(self, entry: Entry) -> None:
        """Remove the entry for good. Raises SpoolError."""
        self._check_open()
        # Of the journal that is one mark, written at once: going to the thread would cost more.
        if not self._spool.drop(entry.id):
            await self._do(self._spool.removal(entry))

    def close(self) -> None:
        """Finish what is pending, then end the thread. Blocks; call it last."""
        if not self._closed:
            self._closed = True
            self._pending.put(None)
            self._thread.join()

    def _do(self, change: Change) -> asyncio.Future[None]:
        self._check_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._pending.put(_Job(change, future, loop))
        return future

    def _check_open(self) -> None:
        if self._closed:
            raise SpoolError("the spool is closed")

    def _run(self) -> None:
        going = True
        while going:
            batch: list[_Job] = []
            job = self._pending.get()
            try:
                while job is not None:
                    batch.append(job)
                    if len(batch) >= self._max_batch:
                        break
                    job = self._pending.get_nowait()
                else:
                    going = False
            except Empty:
                pass
            if batch:
                self._settle(batch)

    def _settle(self, batch: list[_Job]) -> None:
        for job in batch:
            if job.future.cancelled() and isinstance(job.change, Arrival):
                job.change.give_up()
        errors = self._spool.carry_out_in_journal([job.change for job in batch])
        by_loop: defaultdict[asyncio.AbstractEventLoop, _Settled] = defaultdict(list)
        for job, error in zip(batch, errors, strict=True):
            by_loop[job.loop].append((job, error))
        for loop, settled in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._resolve, settled)
            except RuntimeError:
                # The loop was closed while we wrote; what is on disk is found at the next start.
                continue

    def _resolve(self, settled: _Settled) -> None:
        for job, error in settled:
            if job.future.done():
                if error is None and isinstance(job.change, Arrival):
                    self.unclaimed(job.change.entries)
            elif error is None:
                job.future.set_result(None)
            else:
                job.future.set_exception(error)
