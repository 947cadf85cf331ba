"""The runner: takes queued messages to their next hops, and keeps the queue true to what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from attrs import asdict

from mailward.delivery.ages import Ages
from mailward.delivery.attempt import Router
from mailward.delivery.bounce import Bouncer
from mailward.delivery.carrier import Carrier
from mailward.delivery.operator import Attempts, Operator, nothing_to_put_back
from mailward.delivery.outcome import queued
from mailward.delivery.retry import Retry
from mailward.delivery.schedule import Due, Schedule
from mailward.delivery.stats import Counts, QueueStats
from mailward.engine.board import Board
from mailward.engine.delivery_settings import DeliverySettings
from mailward.hooks.clock import Clock
from mailward.hooks.log import get_logger
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import Vanished
from mailward.spool.record import Damaged
from mailward.spool.spool import Spool
from mailward.values.address import NULL, Address
from mailward.values.content import Content
from mailward.values.delivery import Result
from mailward.values.envelope import Envelope
from mailward.values.errors import SpoolError
from mailward.values.event import Event, Reordered

_log = get_logger("mailward.delivery")
_LONGEST_SLEEP_S = 60.0
_RECOVER_STEP = 500
_MOMENT_S = 0.05


class Runner:
    """Delivers what is in the fast queue at once, what is in the slow queue when its time comes.

    What happened is written to disk before the next step, so that a crash at any moment loses
    nothing and repeats only the attempts that were in progress.
    """

    def __init__(
        self,
        spool: Spool,
        committer: Committer,
        router: Router,
        settings: DeliverySettings,
        hostname: str,
        clock: Clock,
        emit: Callable[[Event], None],
        board: Board | None = None,
        postmaster: Address = NULL,
    ) -> None:
        self._board = board or Board()
        self._board.watch(lambda switches: self._pump())
        self._unscanned: Attempts | None = None
        self._spool = spool
        self._settings = settings
        self._clock = clock
        self._emit = emit
        self._bouncer = Bouncer(spool, committer, hostname, settings, emit, postmaster)
        limit = asyncio.Semaphore(settings.concurrency)
        self._ages = Ages(clock, self._all_here)
        self._carrier = Carrier(spool, committer, router, settings, self._bouncer, clock, self._ages, emit, limit)
        self._operator = Operator(spool, self, emit)
        self._schedule = Schedule()
        self._active: dict[str, asyncio.Task[None]] = {}
        self._slow_active = 0
        self._timer: asyncio.TimerHandle | None = None
        self._control: asyncio.Task[None] | None = None
        self._running = False
        self._counts = Counts()
        committer.unclaimed = self.submit

    async def start(self) -> int:
        """Take up what is on disk, and begin; how many messages wait for delivery. Raises SpoolError.

        Held and quarantined messages stay where they are, unscanned ones are for `scan_with`.
        """
        count = 0
        for count, entry in enumerate(self._spool.recover(Queue.FAST, Queue.SLOW), 1):
            self._add(entry)
            if count % _RECOVER_STEP == 0:
                await asyncio.sleep(0)
        self._running = True
        waiting = len(self._schedule)
        self._control = asyncio.create_task(self._operator.run(), name="mailward-control")
        self._pump()
        return waiting

    async def adopt(self, in_use: tuple[str, ...]) -> int:
        """Take over the mail of slots that no process uses any more, and deliver it; how many messages that are.

        ``in_use`` names the slots of all processes that live. Raises SpoolError.
        """
        taken = await asyncio.to_thread(self._spool.adopt, in_use)
        for count, (message_id, queue) in enumerate(taken, 1):
            try:
                entry = self._spool.load(message_id, queue)
            except Vanished:
                continue
            except Damaged as error:
                self._spool.set_aside(message_id, queue, error)
                continue
            if queue is not Queue.INCOMING:
                self._add(entry)
            elif self._unscanned is not None:
                self._unscanned.submit((entry,))
            if count % _RECOVER_STEP == 0:
                await asyncio.sleep(0)
        self._pump()
        return len(taken)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Begin nothing more, and give the attempts in progress ``grace_s`` seconds; the rest stays on disk."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        ending = list(self._active.values())
        if self._control is not None:
            self._control.cancel()
            await asyncio.wait([self._control])
        if ending:
            _, late = await asyncio.wait(ending, timeout=grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def submit(self, entries: Sequence[Entry]) -> None:
        """Take committed entries: fast ones are attempted at once, slow ones when due, others only reported.

        Unscanned ones go to whoever scans. Before `start` and after `stop` it does nothing: what is on disk
        is found at the next start.
        """
        if not self._running:
            return
        for entry in entries:
            if entry.queue is Queue.INCOMING:
                if self._unscanned is not None:
                    self._unscanned.submit((entry,))
                continue
            if entry.id not in self._active:
                self._add(entry)
            if entry.queue is not Queue.FAST:
                self._counts.came_to_stay(entry.queue)
                self._emit(queued(entry))
        self._pump()

    def stats(self) -> QueueStats:
        """The figures so far; those of the incoming queue are filled in by whoever works it off."""
        fast, slow = self._schedule.depths()
        return QueueStats(fast=fast, slow=slow, active=len(self._active), **asdict(self._counts))

    def scan_with(self, unscanned: Attempts) -> None:
        """Hand messages of the incoming queue to ``unscanned``."""
        self._unscanned = unscanned

    async def bounce(
        self, envelope: Envelope, failures: Sequence[Result], original: Content | bytes, reason: str = ""
    ) -> str:
        """Queue a failure notification to the envelope's sender, durably, and deliver it.

        ``original`` as bytes is the header block: nothing of the content goes back then, which is
        what refused content wants. As `Content` it is the whole message, returned by RET and
        ``return_full``. Returns the notification's id, empty where none is due (null sender,
        NOTIFY=NEVER); either way Bounced is emitted. Raises SpoolError: nothing is queued.
        """
        notice = await self._bouncer.bounce(envelope, failures, original, reason=reason)
        if notice is None:
            return ""
        self._counts.dsn_generated += 1
        self.submit((notice,))
        return notice.id

    def withdraw(self, message_id: str) -> Callable[[], None] | None:
        """Take a message out of the schedule; how to put it back, or None while an attempt is in progress."""
        if message_id in self._active:
            return None
        put_back = self._unscanned.withdraw(message_id) if self._unscanned is not None else nothing_to_put_back
        if put_back is not nothing_to_put_back:
            return put_back
        due_at = self._schedule.forget(message_id)
        return partial(self._put_back, message_id, due_at)

    def _put_back(self, message_id: str, due_at: float | None) -> None:
        if due_at is not None:
            self._schedule.add_slow(message_id, due_at)
            self._pump()

    def __len__(self) -> int:
        """How many messages wait or are under way."""
        return len(self._schedule) + len(self._active)

    def _all_here(self) -> Iterator[str]:
        yield from self._schedule
        yield from self._active

    def _add(self, entry: Entry) -> None:
        self._ages.look()
        if entry.queue is Queue.FAST:
            self._ages.forget(entry.id)
            self._schedule.add_fast(entry)
        elif entry.queue is Queue.SLOW:
            self._schedule.add_slow(entry.id, self._due_at(entry))

    def _due_at(self, entry: Entry) -> float:
        """When an entry is due by the monotonic clock."""
        return self._clock.monotonic() + Retry.of(self._settings).left_s(entry.retry_at, self._clock.time())

    def _pump(self) -> None:
        """Begin what is due, as far as there is room."""
        self._ages.look()
        while self._running and self._board.now.delivers and len(self._active) < self._settings.concurrency:
            due = self._next()
            if due is None:
                break
            if due.id in self._active:
                # Its last attempt is just ending.
                self._schedule.add_slow(due.id, self._clock.monotonic() + _MOMENT_S)
                continue
            slow = due.queue is Queue.SLOW
            self._slow_active += slow
            task = asyncio.create_task(self._attempt(due), name=f"mailward-deliver-{due.id}")
            self._active[due.id] = task
            task.add_done_callback(partial(self._ended, due.id, slow))
        self._set_timer()

    def _next(self) -> Due | None:
        # Retries get half the room at most, so that a dead next hop with a long queue delays nobody
        # else, and one place at least, so that busy days do not starve them.
        slow_room = max(1, self._settings.concurrency // 2)
        now = self._clock.monotonic()
        if self._slow_active == 0:
            return self._schedule.take_slow(now) or self._schedule.take_fast()
        due = self._schedule.take_fast()
        if due is None and self._slow_active < slow_room:
            due = self._schedule.take_slow(now)
        return due

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_at = self._schedule.next_at()
        idle = not self._running or not self._board.now.delivers
        if idle or next_at is None or len(self._active) >= self._settings.concurrency:
            return
        wait_s = next_at - self._clock.monotonic()
        if wait_s <= 0 and self._slow_active:
            # It is due, but retries have all the room they get; the end of one of them pumps again.
            return
        # Sleeps are short so that it is noticed soon when the time of day is set.
        self._timer = asyncio.get_running_loop().call_later(min(max(wait_s, 0.0), _LONGEST_SLEEP_S), self._pump)

    def _ended(self, message_id: str, slow: bool, task: asyncio.Task[None]) -> None:
        del self._active[message_id]
        self._slow_active -= slow
        if not task.cancelled() and task.exception() is not None:
            _log.error("delivery attempt failed", id=message_id, exc_info=task.exception())
            self._later(message_id)
        self._pump()

    def _later(self, message_id: str) -> None:
        self._ages.look()
        self._schedule.add_slow(message_id, self._clock.monotonic() + self._settings.retry_first_s)

    async def _attempt(self, due: Due) -> None:
        try:
            entry = due.entry or self._load(due)
            carried = await self._carrier.carry(entry)
        except Vanished:
            self._ages.forget(due.id)
            _log.warning("queue file went away", id=due.id)
            return
        except Damaged as error:
            self._ages.forget(due.id)
            self._spool.set_aside(due.id, due.queue, error)
            return
        except SpoolError as error:
            _log.error("queue file cannot be used, trying later", id=due.id, problem=str(error))
            self._later(due.id)
            return
        self._ages.forget(due.id)
        self._counts.attempted(entry, carried.results, over=carried.waiting is None)
        self._counts.dsn_generated += len(carried.notices)
        for hop in carried.reached:
            started = self._clock.monotonic()
            moved = self._schedule.answers(hop)
            if moved:
                self._counts.reordered += moved
                self._emit(Reordered(next_hop=hop, moved=moved, seconds=self._clock.monotonic() - started))
        if carried.waiting is not None:
            self._ages.look()
            self._schedule.add_slow(due.id, self._due_at(carried.waiting), carried.unreachable)
        if carried.notices:
            self.submit(carried.notices)

    def _load(self, due: Due) -> Entry:
        """The entry, from the queue where it should be or from the other one."""
        try:
            return self._spool.load(due.id, due.queue)
        except Vanished:
            return self._spool.load(due.id, Queue.FAST if due.queue is Queue.SLOW else Queue.SLOW)
