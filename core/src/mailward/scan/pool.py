"""The pool: judges messages in scan processes, and sees to those that end them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from mailward.engine.scan_settings import Fallback, ScanSettings
from mailward.hooks.log import get_logger
from mailward.scan.codes import DIED, MEMORY, PROTOCOL
from mailward.scan.content import Content
from mailward.scan.crew import Crew
from mailward.scan.protocol import Answer, Setup
from mailward.scan.remote.servers import Servers, ServersFailed
from mailward.scan.stats import Counts, PoolStats
from mailward.scan.suspects import MAX_CRASHES, Suspects, held
from mailward.scan.ticket import Ticket
from mailward.values.decision import Verdict
from mailward.values.envelope import Envelope
from mailward.values.errors import ScanError
from mailward.values.event import Event, Suspect

_WORTH_ANOTHER_TRY = frozenset({DIED, MEMORY, PROTOCOL})
_MAX_BLAMELESS = 3


class Pool:
    """Judges messages in scan processes; a message waits for a free one within its deadline.

    Where there are ``servers``, they are asked first, and the processes here do their work while none
    of them answers (or there are no processes here: `ScanSettings.fallback`).

    A message that ends its process is tried again in a process of its own, while its time lasts; when
    it has ended `MAX_CRASHES` of them, its verdict is hold. What other messages do is none of its
    business, nor its doing theirs.
    """

    def __init__(
        self,
        setup: Setup,
        settings: ScanSettings,
        emit: Callable[[Event], None],
        servers: Servers | None = None,
    ) -> None:
        self._settings = settings
        self._emit = emit
        self._counts = Counts()
        self._crew = Crew(setup, settings, self._counts, emit)
        self._suspects = Suspects()
        self._servers = servers
        self._scans_here = servers is None or settings.fallback is Fallback.LOCAL

    async def start(self) -> None:
        """Start the processes. Raises ConfigError, ScanError where they cannot."""
        if self._scans_here:
            await self._crew.start()

    async def stop(self) -> None:
        """End all processes; jobs in progress fail."""
        if self._servers is not None:
            self._servers.stop()
        if self._scans_here:
            await self._crew.stop()

    @property
    def pids(self) -> tuple[int, ...]:
        """The scan processes, for status and tests."""
        return self._crew.pids

    @property
    def template_pid(self) -> int:
        """The process that the scan processes are forked from."""
        return self._crew.supply.template_pid

    @property
    def identity(self) -> str:
        """What verdicts depend on (plugins, settings, policies), as a digest; known once started."""
        return self._crew.supply.identity

    @property
    def lacking(self) -> tuple[str, ...]:
        """What the system refuses of the confinement of scan processes, in words; empty: nothing."""
        return self._crew.supply.lacking

    def stats(self) -> PoolStats:
        """The figures so far."""
        waiting = self._crew.waiting
        if self._servers is not None:
            self._counts.remote, self._counts.remote_failures = self._servers.answers, self._servers.failures
            waiting += self._servers.waiting
        return self._counts.stats(self._crew.gauges, waiting)

    async def judge(
        self, envelope: Envelope, size_bytes: int, body: bytes | None, path: Path | None, *, crashes: int = 0
    ) -> Verdict:
        """The verdict on a message, given as body (up to 1 MiB) or as path of a file that begins with it.

        ``crashes`` is what the caller knows of earlier tries; at three the verdict is hold, without
        another. Raises ScanError where there is none; its ``crashes`` are then those so far.
        """
        try:
            answer = await self.scan(envelope, Content(size_bytes, body, path), crashes)
        except ScanError as error:
            if error.crashes < MAX_CRASHES:
                raise
            self._counts.suspects += 1
            self._emit(Suspect(message_id=envelope.id, crashes=error.crashes, reason=error.detail))
            return held(envelope, error.crashes, error.detail)
        for event in answer.events:
            self._emit(event)
        assert answer.verdict is not None
        return answer.verdict

    async def scan(
        self, envelope: Envelope, content: Content, crashes: int = 0, within_s: float = float("inf")
    ) -> Answer:
        """An answer with a verdict. The same as `judge`, but for hold: three crashes are a ScanError as any other.

        ``within_s`` is a shorter deadline than that of the settings.
        """
        deadline_at = monotonic() + min(self._settings.deadline_s, within_s)
        known = self._suspects.crashes(content)
        crashes = before = max(crashes, known)
        try:
            answer = await self._tries(envelope, content, before, deadline_at)
        except ScanError as error:
            crashes = error.crashes
            self._counts.failed += crashes < MAX_CRASHES
            if crashes > before or (known and crashes >= MAX_CRASHES):
                self._suspects.note(content, crashes)
            raise
        if known:
            self._suspects.note(content, 0)
        self._counts.judged += 1
        return answer

    async def _tries(self, envelope: Envelope, content: Content, crashes: int, deadline_at: float) -> Answer:
        blameless = 0
        error = ScanError(DIED, "in earlier transactions", crashes)
        while crashes < MAX_CRASHES and blameless < _MAX_BLAMELESS:
            try:
                answer = await self._try(Ticket(envelope, content, deadline_at, crashes))
            except ScanError as problem:
                crashes += problem.crashes
                blameless += not problem.crashes
                error = ScanError(problem.reason, problem.detail, crashes)
                if problem.reason not in _WORTH_ANOTHER_TRY or monotonic() > deadline_at:
                    raise error from problem
                continue
            if answer.verdict is None:
                raise ScanError(answer.reason, answer.detail, crashes)
            return answer
        raise error

    async def _try(self, ticket: Ticket) -> Answer:
        if self._servers is None:
            return await self._crew.scan(ticket)
        try:
            return await self._servers.scan(ticket)
        except ServersFailed as error:
            if not self._scans_here or not ticket.left_s():
                raise
            get_logger().debug("scanned here instead", id=ticket.envelope.id, problem=str(error))
        return await self._crew.scan(ticket)
