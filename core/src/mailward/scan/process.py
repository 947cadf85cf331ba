"""One scan process as the gateway sees it: a socket, what it is doing, and since when."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from time import monotonic
from typing import Protocol

from mailward.scan.codes import DIED, PROTOCOL
from mailward.scan.forge import START_S, Birth, Forge
from mailward.scan.protocol import Answer, Frames, Ready, head
from mailward.scan.ticket import Ticket
from mailward.values.decision import Call
from mailward.values.errors import ConfigError, Problem, ScanError
from mailward.values.wire import WireError, load

_READ_BYTES = 256 * 1024


class Owner(Protocol):
    """Who is told what becomes of a scan process."""

    def answered(self, process: Process, answer: Answer) -> None:
        """It has answered its job and is free."""

    def ended(self, process: Process, error: ScanError) -> None:
        """It has closed its connection or talks nonsense: it is of no more use."""


class Process:
    """A scan process. It has one job at a time, its ``ticket``."""

    def __init__(self, birth: Birth, forge: Forge, owner: Owner) -> None:
        self.pid = birth.pid
        self.forge = forge
        self.ticket: Ticket | None = None
        self.jobs = 0
        self.since = 0.0
        self.aside = False
        """Whether it is beside the workers: its message is slow, or suspect."""
        self._birth = birth
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._ready: asyncio.Future[Ready] = self._loop.create_future()
        self._unsent: list[memoryview] = []
        self._open = True
        self._told = False
        self._loop.add_reader(birth.connection, self._readable)

    async def ready(self, source: str) -> None:
        """Wait until it takes jobs. Raises ConfigError where a plugin does not start in it, ScanError."""
        try:
            async with asyncio.timeout(START_S):
                ready = await self._ready
        except TimeoutError as error:
            raise ScanError(DIED, "a scan process does not get ready") from error
        if ready.problem:
            raise ConfigError(source, [Problem("scan process", ready.problem)])

    def begin(self, ticket: Ticket) -> None:
        """Give it a job. Raises ScanError where the file of the message cannot be opened."""
        content = ticket.content
        fd = content.open() if content.data is None else -1
        self.ticket = ticket
        self.jobs += 1
        self.since = monotonic()
        job = ticket.job()
        body = content.data or b""
        parts = [memoryview(part) for part in (head(job, len(body)), job, body) if part]
        ancillary = [] if fd < 0 else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        try:
            # an idle process has read everything: the beginning fits always, nearly always the whole
            self._sent(parts, self._birth.connection.sendmsg(parts, ancillary))
        except OSError as error:
            # not from here: whoever begins the job is not ready to hear that it is over
            self._loop.call_soon(self._over, ScanError(DIED, f"its connection broke: {error.strerror}"))
        finally:
            if fd >= 0:
                os.close(fd)

    def during(self) -> Call | None:
        """The hook call that it is in, where it is in one."""
        return self._birth.progress.read()

    def step_back(self) -> None:
        """Let all others have the processor first, for good: it is not to be used for a next message."""
        self.aside = True
        self._birth.step_back()

    def kill(self) -> None:
        """End it now. The owner hears nothing of it."""
        self._birth.kill()
        self.close()

    def dismiss(self) -> None:
        """Close the connection: a process without a job ends by itself then. `kill` it where it does not."""
        if self._open and not self._told:
            self._told = True  # from now on it has nothing to say
            self._loop.remove_reader(self._birth.connection)
            self._loop.remove_writer(self._birth.connection)
            self._birth.connection.close()

    def close(self) -> None:
        """Give up all that is held of it; without a job it ends by itself."""
        self.dismiss()
        if self._open:
            self._open = False
            self._birth.close()

    def _sent(self, parts: list[memoryview], count: int) -> None:
        while parts and count >= len(parts[0]):
            count -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][count:]
            self._unsent = parts
            self._loop.add_writer(self._birth.connection, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self._birth.connection)
        try:
            self._sent(self._unsent, self._birth.connection.sendmsg(self._unsent))
        except BlockingIOError:
            self._sent(self._unsent, 0)
        except OSError as error:
            self._over(ScanError(DIED, f"its connection broke: {error.strerror}"))

    def _readable(self) -> None:
        try:
            data = self._birth.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._over(ScanError(DIED, "it closed its connection"))
            return
        try:
            for json, _ in self._frames.feed(data):
                self._said(json)
        except (ScanError, WireError) as error:
            self._over(ScanError(PROTOCOL, str(error)))

    def _said(self, json: bytes) -> None:
        if not self._ready.done():
            self._ready.set_result(load(json, Ready))
        elif self.ticket is None:
            raise ScanError(PROTOCOL, "an answer that nobody asked for")
        else:
            answer = load(json, Answer)
            self.ticket.check(answer)
            self._owner.answered(self, answer)

    def _over(self, error: ScanError) -> None:
        if self._told or not self._open:
            return
        self.dismiss()
        if self._ready.done():
            self._owner.ended(self, error)
        else:
            self._ready.set_exception(error)
