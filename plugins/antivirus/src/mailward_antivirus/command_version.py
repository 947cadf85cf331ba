"""What the version command of a scanner says: asked for apart, so that no scan waits for a command that hangs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

from mailward_antivirus.process import Running

VERSION_S = 30.0
"""How old an answer may be that kept answers are bound to, counted from when it was asked for."""

WAIT_S = 0.5
"""How long a scan waits for a command that may be quick; while it has not answered, the version is unknown."""

PATIENCE_S = 600.0
"""How long no scan waits at all after a command that was not quick."""


@define(eq=False)
class CommandVersion:
    """The version of one scanner. ``command`` prints it; ``options`` are what answers depend on besides it.

    An answer is used only while it is fresh: of a command that hangs or fails nothing is known, and what the
    scanner says is not kept. One command runs at a time, for at most ``timeout_s``.
    """

    command: Sequence[str]
    timeout_s: float
    options: str
    _said: str = field(default="", init=False)
    _asked_at: float = field(default=float("-inf"), init=False)
    _patient_at: float = field(default=float("-inf"), init=False)
    _starting: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _asking: asyncio.Task[None] | None = field(default=None, init=False)

    async def version(self) -> str:
        """The digest of what the command said within `VERSION_S`; empty where that is not known. Raises nothing."""
        loop = asyncio.get_running_loop()
        if not self.command or self._is_fresh(loop.time()):
            return self._said
        if not self._is_asked(loop):
            await self._ask(loop)
        if self._asking is not None and loop.time() >= self._patient_at:
            done, _ = await asyncio.wait((self._asking,), timeout=WAIT_S)
            if not done:
                self._patient_at = loop.time() + PATIENCE_S
        return self._said if self._is_fresh(loop.time()) else ""

    def close(self) -> None:
        """End a command that has not answered."""
        if self._asking is not None and not self._asking.get_loop().is_closed():
            self._asking.cancel()
        self._asking = None

    def _is_fresh(self, now: float) -> bool:
        return self._asked_at <= now < self._asked_at + VERSION_S

    def _is_asked(self, loop: asyncio.AbstractEventLoop) -> bool:
        if self._starting is loop:
            return True
        return self._asking is not None and not self._asking.done() and self._asking.get_loop() is loop

    async def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the command, which takes no time; only to hear what it says is another task's.

        A task that starts a process and is cancelled with all others at the end of its event loop never ends.
        """
        self._starting, self._asking, asked_at = loop, None, loop.time()
        try:
            running = await Running.start(self.command, Path("/"))
            self._asking = loop.create_task(self._hear(running, asked_at))
        except OSError:
            self._said, self._asked_at = "", asked_at
        finally:
            self._starting = None

    async def _hear(self, running: Running, asked_at: float) -> None:
        said = ""
        try:
            ended = await running.to_end(self.timeout_s)
            if ended.code == 0 and ended.output.strip():
                said = hashlib.sha256(ended.output + self.options.encode()).hexdigest()
        except OSError:  # it did not end: asked again later
            asked_at = asyncio.get_running_loop().time()
        self._said, self._asked_at = said, asked_at
