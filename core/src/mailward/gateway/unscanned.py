"""The incoming queue: messages that were accepted before they were judged, worked off one by one.

They are there because ``gateway.scan`` is ``queued``, because scanning was switched off when they came
(KAV-MGT-01: nothing slips through), or because an operator wants them judged again (SAV-Q-05).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic

from attrs import evolve

from mailward.delivery.ages import Ages
from mailward.delivery.operator import nothing_to_put_back
from mailward.delivery.retry import Retry
from mailward.delivery.runner import Runner
from mailward.delivery.schedule import Schedule
from mailward.delivery.stats import QueueStats
from mailward.engine.board import Board
from mailward.engine.engine import Engine
from mailward.gateway.refusal import bounce_refused
from mailward.gateway.trace import received
from mailward.gateway.verdict_plan import Plan, accepted, late_plan
from mailward.hooks.log import get_logger
from mailward.scan.pool import Pool
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import Vanished
from mailward.spool.record import Damaged
from mailward.spool.spool import Spool
from mailward.values.decision import Verdict
from mailward.values.errors import ScanError, SpoolError
from mailward.values.event import Judged

_log = get_logger("mailward.incoming")
_RECOVER_STEP = 500
_LONGEST_SLEEP_S = 60.0
_OTHERS_BETWEEN_SUSPECTS = 50
NOT_JUDGED = "not judged in time"


class Unscanned:
    """Judges what waits in the incoming queue; begins nothing while ``board.now.scan`` is off.

    Before the scan of a message its count of scans begun is raised on disk, after it lowered again. A
    message whose count is not nought at the start of the gateway was in the scan when the gateway died:
    such suspects are judged while nothing else is, so that no other message is blamed (SAV-Q-04). At
    the third time it goes to hold.
    """

    def __init__(
        self, engine: Engine, pool: Pool, spool: Spool, committer: Committer, runner: Runner, board: Board
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._spool = spool
        self._committer = committer
        self._runner = runner
        self._board = board
        self._settings = engine.config.core.gateway
        self._retry = Retry.of(engine.config.core.delivery)
        self._most = engine.config.core.scan.sessions
        self._schedule = Schedule()
        self._ages = Ages(engine.clock, self._all_here)
        self._tries: dict[str, int] = {}
        self._suspects: deque[Entry] = deque()
        self._since_suspect = 0
        self._active: dict[str, asyncio.Task[None]] = {}
        self._alone = False
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        runner.scan_with(self)
        board.watch(lambda switches: self._pump())

    async def start(self) -> int:
        """Take up what is on disk, and begin; how many messages wait. Raises SpoolError."""
        for count, entry in enumerate(self._spool.recover(Queue.INCOMING), 1):
            self._add(entry)
            if count % _RECOVER_STEP == 0:
                await asyncio.sleep(0)
        self._running = True
        waiting = len(self)
        self._pump()
        return waiting

    async def stop(self, grace_s: float = 5.0) -> None:
        """Begin nothing more, and give what is in progress ``grace_s`` seconds; the rest stays on disk."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        if self._active:
            _, late = await asyncio.wait(list(self._active.values()), timeout=grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def submit(self, entries: Sequence[Entry]) -> None:
        """Take committed entries of the incoming queue; before `start` they are found on disk."""
        if self._running:
            for entry in entries:
                if entry.id not in self._active:
                    self._add(entry)
            self._pump()

    def withdraw(self, message_id: str) -> Callable[[], None] | None:
        """Take a message out of the schedule; how to put it back, or None while it is being judged."""
        if message_id in self._active:
            return None
        for entry in self._suspects:
            if entry.id == message_id:
                self._suspects.remove(entry)
                return partial(self.submit, (entry,))
        due_at = self._schedule.forget(message_id)
        return nothing_to_put_back if due_at is None else partial(self._put_back, message_id, due_at)

    def _put_back(self, message_id: str, due_at: float) -> None:
        self._schedule.add_slow(message_id, due_at)
        self._pump()

    def __len__(self) -> int:
        """How many messages wait or are being judged."""
        return len(self._schedule) + len(self._suspects) + len(self._active)

    def stats(self) -> QueueStats:
        """The figures of the queue, those of the runner included."""
        return evolve(self._runner.stats(), incoming=len(self) - len(self._active), scanning=len(self._active))

    def _all_here(self) -> Iterator[str]:
        yield from self._schedule
        yield from self._active
        yield from (entry.id for entry in self._suspects)

    def _add(self, entry: Entry) -> None:
        self._ages.look()
        self._ages.forget(entry.id)
        if entry.started:
            self._suspects.append(entry)
        else:
            self._schedule.add_fast(entry)

    def _pump(self) -> None:
        self._ages.look()
        while self._running and self._board.now.scan and not self._alone and len(self._active) < self._most:
            if self._suspects and self._is_turn_of_suspects:
                if self._active:
                    # They end soon; then the suspect has the place to itself.
                    break
                self._alone, self._since_suspect = True, 0
                self._begin(self._suspects.popleft())
                break
            entry = self._next()
            if entry is None:
                break
            self._since_suspect += 1
            self._begin(entry)
        self._set_timer()

    @property
    def _is_turn_of_suspects(self) -> bool:
        # Ordinary mail first, but a stream of it must not keep a suspect waiting for ever.
        return self._since_suspect >= _OTHERS_BETWEEN_SUSPECTS or not self._schedule.is_due(
            self._engine.clock.monotonic()
        )

    def _next(self) -> Entry | None:
        while True:
            due = self._schedule.take_fast() or self._schedule.take_slow(self._engine.clock.monotonic())
            if due is None or due.entry is not None:
                return due.entry if due is not None else None
            try:
                return self._spool.load(due.id, Queue.INCOMING)
            except Vanished:
                _log.warning("queue file went away", id=due.id)
            except Damaged as error:
                self._spool.set_aside(due.id, Queue.INCOMING, error)
            except SpoolError as error:
                _log.error("queue file cannot be used, trying later", id=due.id, problem=str(error))
                self._schedule.add_slow(due.id, self._engine.clock.monotonic() + self._retry.first_s)

    def _begin(self, entry: Entry) -> None:
        task = asyncio.create_task(self._work(entry), name=f"mailward-scan-{entry.id}")
        self._active[entry.id] = task
        task.add_done_callback(partial(self._ended, entry))

    def _ended(self, entry: Entry, task: asyncio.Task[None]) -> None:
        del self._active[entry.id]
        if not self._active:
            self._alone = False
        if not task.cancelled() and task.exception() is not None:
            _log.error("unscanned message not worked off", id=entry.id, exc_info=task.exception())
            self._later(entry)
        self._pump()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_at = self._schedule.next_at()
        if self._running and self._board.now.scan and not self._active and next_at is not None:
            wait_s = min(max(next_at - self._engine.clock.monotonic(), 0.0), _LONGEST_SLEEP_S)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._pump)

    def _later(self, entry: Entry) -> None:
        tries = self._tries[entry.id] = self._tries.get(entry.id, 0) + 1
        self._schedule.add_slow(entry.id, self._engine.clock.monotonic() + self._retry.wait_s(tries))

    async def _work(self, entry: Entry) -> None:
        started = monotonic()
        try:
            verdict, entry = await self._judge(entry)
            if verdict is None:
                return
            scanned = monotonic()
            self._engine.report(verdict)
            prefix = received(entry.envelope, self._engine.hostname) if self._settings.trace else b""
            planned = late_plan(evolve(entry.envelope, id=entry.id), verdict, prefix, self._settings.refused_copies)
            if planned is None:
                await self._put_off(await self._committer.start(entry, 0), "deferred by a plugin")
                return
            await asyncio.shield(self._carry_out(entry, planned))
        except Vanished:
            _log.warning("queue file went away", id=entry.id)
            return
        except Damaged as error:
            self._spool.set_aside(entry.id, Queue.INCOMING, error)
            return
        except SpoolError as error:
            _log.error("verdict not written, judging again later", id=entry.id, problem=str(error))
            self._later(entry)
            return
        self._tries.pop(entry.id, None)
        self._ages.forget(entry.id)
        self._engine.emit(
            Judged(
                envelope=entry.envelope,
                verdict=verdict,
                reply=accepted(entry.envelope),
                size_bytes=entry.size_bytes,
                scan_ms=round((scanned - started) * 1000, 3),
                commit_ms=round((monotonic() - scanned) * 1000, 3),
            )
        )

    async def _judge(self, entry: Entry) -> tuple[Verdict | None, Entry]:
        """The verdict, None where there is none yet; and the entry with its count as it is on disk."""
        before = entry.started
        body = self._spool.body(entry)
        path = None if body is not None else self._spool.path(entry)
        entry = await self._committer.start(entry, before + 1)
        try:
            verdict = await self._pool.judge(entry.envelope, entry.size_bytes, body, path, crashes=before)
        except ScanError as error:
            entry = await self._committer.start(entry, error.crashes)
            await self._put_off(entry, str(error))
            return None, entry
        except asyncio.CancelledError:
            # The gateway ends in good order: that is nobody's crash.
            await asyncio.shield(self._committer.start(entry, before))
            raise
        return verdict, entry

    async def _put_off(self, entry: Entry, why: str) -> None:
        """Judge it again later; in hold it goes where its lifetime is over."""
        if self._retry.expired(self._ages.in_time(entry).created_at, self._engine.clock.time()):
            held = evolve(entry, queue=Queue.HOLD, reason=f"{NOT_JUDGED}: {why}")
            await self._committer.update(held, source=entry.queue)
            self._tries.pop(entry.id, None)
            self._ages.forget(entry.id)
            self._runner.submit((held,))
            return
        _log.warning("not judged, trying again later", id=entry.id, why=why)
        self._later(entry)

    async def _carry_out(self, entry: Entry, planned: Plan) -> None:
        if planned.bounced:
            head = self._spool.content(evolve(entry, prefix=b"", splices=())).head()
            await bounce_refused(self._runner, entry.envelope, planned, head)
        if planned.entries:
            origin, created_at = entry.origin or entry.id, self._ages.in_time(entry).created_at
            entries = [evolve(one, origin=origin, created_at=created_at) for one in planned.entries]
            self._runner.submit(await self._committer.settle(entry, entries))
        else:
            await self._committer.remove(entry)
