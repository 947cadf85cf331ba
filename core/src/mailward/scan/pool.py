"""The pool: judges messages in scan processes, and sees to those that end them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from mailward.engine.scan_settings import ScanSettings
from mailward.scan.codes import DIED, MEMORY, PROTOCOL
from mailward.scan.content import Content
from mailward.scan.crew import Crew
from mailward.scan.protocol import Answer, Setup
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

    A message that ends its process is tried again in a process of its own, while its time lasts; when
    it has ended `MAX_CRASHES` of them, its verdict is hold. What other messages do is none of its
    business, nor its doing theirs.
    """

    def __init__(self, setup: Setup, settings: ScanSettings, emit: Callable[[Event], None]) -> None:
        self._settings = settings
        self._emit = emit
        self._counts = Counts()
        self._crew = Crew(setup, settings, self._counts, emit)
        self._suspects = Suspects()

    async def start(self) -> None:
        """Start the processes. Raises ConfigError, ScanError where they cannot."""
        await self._crew.start()

    async def stop(self) -> None:
        """End all processes; jobs in progress fail."""
        await self._crew.stop()

    @property
    def pids(self) -> tuple[int, ...]:
        """The scan processes, for status and tests."""
        return self._crew.pids

    @property
    def template_pid(self) -> int:
        """The process that the scan processes are forked from."""
        return self._crew.template_pid

    @property
    def lacking(self) -> tuple[str, ...]:
        """What the system refuses of the confinement of scan processes, in words; empty: nothing."""
        return self._crew.lacking

    def stats(self) -> PoolStats:
        """The figures so far."""
        return self._counts.stats(self._crew.gauges, self._crew.waiting)

    async def judge(
        self, envelope: Envelope, size_bytes: int, body: bytes | None, path: Path | None, *, crashes: int = 0
    ) -> Verdict:
        """The verdict on a message, given as body (up to 1 MiB) or as path of a file that begins with it.

        ``crashes`` is what the caller knows of earlier tries; at three the verdict is hold, without
        another. Raises ScanError where there is none; its ``crashes`` are then those so far.
        """
        content = Content(size_bytes, body, path)
        try:
            verdict = await self.scan(envelope, content, crashes)
        except ScanError as error:
            if error.crashes < MAX_CRASHES:
                self._counts.failed += 1
                raise
            self._suspects.forget(content)
            self._counts.suspects += 1
            self._emit(Suspect(message_id=envelope.id, crashes=error.crashes, reason=error.detail))
            return held(envelope, error.crashes, error.detail)
        self._counts.judged += 1
        return verdict

    async def scan(self, envelope: Envelope, content: Content, crashes: int = 0) -> Verdict:
        """The same, but for hold: a message at three crashes is a ScanError as any other."""
        crashes = max(crashes, self._suspects.crashes(content))
        before = crashes
        deadline_at = monotonic() + self._settings.deadline_s
        blameless = 0
        error = ScanError(DIED, "its scan ended the scan process in earlier transactions", crashes)
        while crashes < MAX_CRASHES and blameless < _MAX_BLAMELESS:
            try:
                answer = await self._try(Ticket(envelope, content, deadline_at, suspect=crashes > 0))
            except ScanError as problem:
                crashes += problem.crashes
                blameless += not problem.crashes
                error = ScanError(problem.reason, problem.detail, crashes)
                if problem.reason in _WORTH_ANOTHER_TRY and monotonic() < deadline_at:
                    continue
                break
            if answer.verdict is None:
                error = ScanError(answer.reason, answer.detail, crashes)
                break
            if before:
                self._suspects.forget(content)
            return answer.verdict
        if crashes > before:
            self._suspects.remember(content, crashes)
        raise error

    async def _try(self, ticket: Ticket) -> Answer:
        return await self._crew.scan(ticket)
