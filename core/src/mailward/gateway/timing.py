"""The time of one connection: to speak, to send content, to take replies, to go. `Watch` looks at it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from mailward.gateway.replies import TOO_SLOW, TOOK_TOO_LONG, wire
from mailward.gateway.reporting import Reporting
from mailward.hooks.conversation import Fault
from mailward.values.reply import Reply

if TYPE_CHECKING:
    from mailward.engine.gateway_settings import GatewaySettings
    from mailward.gateway.receive import Content

PARTING_S = 5.0
"""How long a connection that was closed may take to send its last words."""
PACE_FROM_S = 60.0
NEVER = float("inf")


class NoTimer:
    """In the place of aiosmtpd's timer: the time of connections is watched by `Watch`."""

    def cancel(self) -> None:
        """Nothing to cancel."""


class Timing(Reporting, asyncio.StreamReaderProtocol):
    """The part of a connection that has to do with time."""

    loop: asyncio.AbstractEventLoop
    settings: GatewaySettings
    transport: asyncio.BaseTransport | None
    _writer: asyncio.StreamWriter
    _handler_coroutine: asyncio.Task[None] | None
    _content: Content | None
    _content_since: float
    _deadline: float
    _write_deadline: float
    _parting: bool

    def _reset_timeout(self, duration: float | None = None) -> None:
        self._deadline = self.loop.time() + (duration or self.settings.command_timeout_s)

    def hurry(self, seconds: float) -> None:
        """Give the client so much time from now."""
        self._deadline = self.loop.time() + seconds

    @contextlib.contextmanager
    def no_hurry(self) -> Iterator[None]:
        """While we let the client wait, its time does not run."""
        left = self._deadline - self.loop.time()
        self._deadline = NEVER
        try:
            yield
        finally:
            self._deadline = self.loop.time() + left

    def pause_writing(self) -> None:
        """The client takes no replies for now (asyncio calls this)."""
        self._write_deadline = self.loop.time() + self.settings.write_timeout_s
        super().pause_writing()

    def resume_writing(self) -> None:
        """It takes them again (asyncio calls this)."""
        self._write_deadline = NEVER
        super().resume_writing()

    def check_time(self, now: float) -> None:
        """End the connection where its time is up, or its content comes too slowly (`Watch` calls this)."""
        if now > self._write_deadline or (self._parting and now > self._deadline):
            self._parting = True
            cast(asyncio.Transport, self.transport).abort()
        elif now > self._deadline:
            self._cut(TOOK_TOO_LONG)
        elif self._content is not None and self._too_slow(now):
            self._cut(TOO_SLOW)

    def _too_slow(self, now: float) -> bool:
        taken_s = now - self._content_since
        content = self._content
        least = self.settings.min_bytes_per_s
        return content is not None and taken_s > PACE_FROM_S and content.raw_bytes < least * taken_s

    def _cut(self, reply: Reply) -> None:
        self.services.count("timed_out")
        self.fault(Fault.COMMUNICATION, reply.text)
        self._deadline = NEVER
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
        self._writer.write(wire(reply))
        self._part()

    def _part(self) -> None:
        self._parting = True
        self._deadline = self.loop.time() + PARTING_S
        self._writer.close()
