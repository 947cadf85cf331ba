"""The scan processes of one gateway: who works, who waits, who is slow, and who has to go.

    waiting line ──► workers (`scan.workers`) ──► answered
                        │ slow after `slow_after_s`, or suspect
                        ▼
                     beside the workers (up to `scan.sessions` in all), with the processor last

A process has one message at a time, so that one that dies or hangs is of that message's making, and
takes no other with it. No timer is set for a message: one tick a quarter of a second looks at all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic
from typing import Any

from mailward.engine.scan_settings import ScanSettings
from mailward.hooks.log import get_logger
from mailward.scan.codes import BUSY, DEADLINE, DIED, MEMORY
from mailward.scan.load import LoadWatch
from mailward.scan.process import Process
from mailward.scan.protocol import Answer, Setup
from mailward.scan.stats import Counts
from mailward.scan.supply import Supply
from mailward.scan.ticket import Ticket
from mailward.values.decision import Call
from mailward.values.errors import ConfigError, ScanError
from mailward.values.event import Event, LoadExceeded, WorkerDied

GRACE_S = 2.0
"""What a process may be late before it is ended: it gives up by itself at the deadline, where it can."""
TICK_S = 0.25
FAREWELL_S = 30.0
"""What a process that is replaced may take to stop its plugins."""


class Crew:
    """Takes tickets, one after the other in the order of arrival, to scan processes, which come from ``supply``."""

    def __init__(self, setup: Setup, settings: ScanSettings, counts: Counts, emit: Callable[[Event], None]) -> None:
        self._settings = settings
        self._counts = counts
        self._emit = emit
        self.supply = Supply(setup, counts, self)
        self._idle: list[Process] = []
        self._busy: set[Process] = set()
        self._leaving: set[Process] = set()
        self._line: deque[Ticket] = deque()
        self._open: set[Ticket] = set()
        self._load = LoadWatch(settings.load_threshold, settings.load_interval_s)
        self._coming = 0
        self._solo = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tick: asyncio.TimerHandle | None = None
        self._stopping = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The scan processes, for status and tests."""
        return tuple(sorted(process.pid for process in (*self._idle, *self._busy)))

    @property
    def waiting(self) -> int:
        """Messages in line."""
        return len(self._line)

    @property
    def gauges(self) -> tuple[int, int, int]:
        """Processes idle, at work, and beside the workers."""
        aside = self._aside()
        return len(self._idle), len(self._busy) - aside, aside

    async def start(self) -> None:
        """Start the processes. Raises ConfigError, ScanError where they cannot."""
        await self.supply.start()
        self._coming = self._settings.workers
        await asyncio.gather(*(self._add(self.supply.make) for _ in range(self._settings.workers)))

    async def stop(self) -> None:
        """End all processes; jobs in progress and in line fail."""
        self._stopping = True
        if self._tick is not None:
            self._tick.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        gone = ScanError(DIED, "the gateway stops")
        for ticket in self._open:
            _fail(ticket, gone)
        for process in self._busy:
            process.kill()
        for process in self._idle:
            process.close()
        leaving = [process.forge.end_of(process.pid) for process in (*self._idle, *self._busy, *self._leaving)]
        await asyncio.gather(*leaving, return_exceptions=True)
        self._idle.clear()
        self._busy.clear()
        await self.supply.stop()

    async def scan(self, ticket: Ticket) -> Answer:
        """The answer of a scan process; one more than the line may hold is turned away.

        Raises ScanError (with ``crashes`` 1 where the message ended its process). Where the caller is
        cancelled, the process finishes what it does, and nobody hears of it.
        """
        if self._stopping:
            raise ScanError(DIED, "the gateway stops")
        if self._tick is None:
            self._tick = asyncio.get_running_loop().call_later(TICK_S, self._look)
        if ticket.crashes and self._room():
            self._later(self._alone(ticket))
        elif self._idle:
            self._begin(self._idle.pop(), ticket)
        elif len(self._line) < self._settings.max_waiting:
            self._line.append(ticket)
            self._waits()
        else:
            self._counts.turned_away += 1
            raise ScanError(BUSY, f"{len(self._line)} messages wait for a scan process")
        self._open.add(ticket)
        try:
            return await ticket.answer
        finally:
            self._open.discard(ticket)

    def answered(self, process: Process, answer: Answer) -> None:
        """See `Owner`."""
        ticket = process.ticket
        assert ticket is not None
        if answer.reason == MEMORY:
            self.ended(process, ScanError(MEMORY, answer.detail))
            return
        process.ticket = None
        self._busy.discard(process)
        self._counts.scanned(monotonic() - process.since)
        if not ticket.answer.done():
            ticket.answer.set_result(answer)
        if process.aside or answer.worn or process.jobs >= self._settings.recycle_after:
            self._counts.recycled += not process.aside
            self._retire(process)
        else:
            self._free(process)

    def ended(self, process: Process, error: ScanError) -> None:
        """See `Owner`."""
        self._busy.discard(process)
        if process in self._idle:
            self._idle.remove(process)
        during = process.during()
        process.kill()
        self._later(self._bury(process, error, during))

    async def _bury(self, process: Process, error: ScanError, during: Call | None) -> None:
        """Find out how a process ended, say so, and tell the one who waits for it."""
        how = await process.forge.end_of(process.pid)
        ticket, process.ticket = process.ticket, None
        detail = error.detail if error.reason != DIED else how or "its template process ended"
        blamed = ticket is not None and bool(how)
        if not self._stopping:
            self._counts.deaths += 1
            message_id = ticket.envelope.id if ticket else ""
            reason = f"{error.reason}: {detail}"
            self._emit(WorkerDied(pid=process.pid, reason=reason, during=during, message_id=message_id))
        if ticket is not None:
            _fail(ticket, ScanError(error.reason, _at(detail, during), crashes=int(blamed)))
        self._fill()

    def _waits(self) -> None:
        waiting = len(self._line)
        self._counts.waits(waiting)
        if self._load.waits(waiting):
            self._counts.overloads += 1
            self._emit(LoadExceeded(waiting=waiting, threshold=self._settings.load_threshold))

    def _begin(self, process: Process, ticket: Ticket) -> None:
        self._busy.add(process)
        self._counts.began(monotonic() - ticket.taken_at)
        try:
            process.begin(ticket)
        except ScanError as error:  # the file of the message: the process has not heard of it
            self._busy.discard(process)
            _fail(ticket, error)
            self._free(process)

    def _free(self, process: Process) -> None:
        while self._line:
            ticket = self._line.popleft()
            if not ticket.answer.done():
                self._begin(process, ticket)
                return
        self._idle.append(process)

    def _retire(self, process: Process) -> None:
        self._leaving.add(process)
        process.dismiss()
        self._later(self._farewell(process))
        self._fill()

    async def _farewell(self, process: Process) -> None:
        """See that it ends: what a plugin left running in it may keep it for ever."""
        try:
            if not await process.forge.ended(process.pid, FAREWELL_S):
                get_logger().warning("scan process ended by force: it did not end by itself", pid=process.pid)
                process.kill()
        finally:
            process.close()
            self._leaving.discard(process)

    def _fill(self) -> None:
        """Bring the workers to their number."""
        if self._stopping:
            return
        at_work = len(self._idle) + len(self._busy) - self._aside() + self._coming
        for _ in range(at_work, self._settings.workers):
            self._coming += 1
            self._later(self._add(self.supply.make_at_last))

    async def _add(self, make: Callable[[], Awaitable[Process]]) -> None:
        process = await make()
        self._coming -= 1
        self._free(process)

    async def _alone(self, ticket: Ticket) -> None:
        """Give a suspect a process of its own, which is of no use to others afterwards."""
        self._solo += 1
        try:
            process = await self.supply.make()
        except (ConfigError, ScanError) as error:
            _fail(ticket, ScanError(DIED, f"no scan process: {error}"))
            return
        finally:
            self._solo -= 1
        process.aside = True
        self._begin(process, ticket)

    def _room(self) -> bool:
        """Whether one process more may be beside the workers."""
        return self._aside() + self._solo < self._settings.sessions - self._settings.workers

    def _aside(self) -> int:
        return sum(process.aside for process in self._busy)

    def _look(self) -> None:
        """The tick: end what hangs, put aside what is slow, send away whose time in line is over."""
        now = monotonic()
        for process in tuple(self._busy):
            ticket = process.ticket
            if ticket is not None and now > ticket.deadline_at + GRACE_S:
                self._counts.hung += 1
                self.ended(process, ScanError(DEADLINE, "the scan process hangs"))
            elif not process.aside and now - process.since > self._settings.slow_after_s and self._room():
                process.step_back()
                self._counts.slow += 1
                self._fill()
        while self._line and (self._line[0].answer.done() or now > self._line[0].deadline_at):
            _fail(self._line.popleft(), ScanError(DEADLINE, "no scan process became free"))
        again = bool(self._busy or self._line or self._solo) and not self._stopping
        self._tick = asyncio.get_running_loop().call_later(TICK_S, self._look) if again else None

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            get_logger().error("scan pool", problem=f"{type(error).__name__}: {error}")


def _fail(ticket: Ticket, error: ScanError) -> None:
    if not ticket.answer.done():
        ticket.answer.set_exception(error)


def _at(detail: str, during: Call | None) -> str:
    return f"{detail}, in {during.plugin}.{during.hook} of {during.part or 'the message'}" if during else detail
