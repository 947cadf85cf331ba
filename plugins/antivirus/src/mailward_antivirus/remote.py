"""Scanners that are servers: kept connections, one server taking over from another, and when to ask which.

A server that is not well rests for `REST_S`; meanwhile the others are asked. What a server says about a
content is final; only where it is not well the next one is asked, and where none is, the content is not
checked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from attrs import define, field

from mailward import Part
from mailward_antivirus.report import Fault, Report, unchecked

REST_S = 10.0
"""How long a server that was not well is left alone while another one is there."""

VERSION_S = 30.0
"""How old the version may be that kept answers are bound to."""

KEEP_S = 3600.0
"""How long an answer is kept at most, for a server that does not tell that its definitions changed."""

PING_TIMEOUT_S = 5.0
"""The time for a question that is not about content."""


class Connection(Protocol):
    """A connection that may serve several contents, one after the other."""

    idle_since: float

    @property
    def usable(self) -> bool:
        """Whether another content may be sent, as far as can be told from here."""
        ...

    def end(self) -> None:
        """Close it at once."""
        ...


C = TypeVar("C", bound=Connection)


def is_silent(reader: asyncio.StreamReader) -> bool:
    """Whether there is nothing to be read: no end, and no answer too many that the next content would get."""
    look = reader.read(1)
    try:
        look.send(None)
    except (StopIteration, OSError):
        return False
    look.close()
    return True


@define(eq=False)
class Kept(Generic[C]):
    """Connections that wait for the next content. They belong to one event loop; another one starts without any."""

    _idle: list[C] = field(factory=list, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)

    def take(self) -> C | None:
        """One that can be used, or None."""
        if self._loop is not asyncio.get_running_loop():
            self._idle, self._loop = [], asyncio.get_running_loop()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.end()
        return None

    def give(self, connection: C) -> None:
        """Keep one for later."""
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def close(self) -> None:
        """End them all."""
        while self._idle:
            self._idle.pop().end()


@define(eq=False)
class Server(Generic[C]):
    """One server of a `Remote` engine; subclasses speak to it. ``timeout_s`` is for one content (KAV-SCN-05)."""

    address: object
    timeout_s: float = field(default=30.0, kw_only=True)
    _kept: Kept[C] = field(factory=Kept, init=False)
    _rests_until: float = field(default=0.0, init=False)
    _version: str = field(default="", init=False)
    _version_at: float = field(default=float("-inf"), init=False)

    @property
    def options(self) -> str:
        """What its answers depend on besides its definitions: which server it is, and how it is asked."""
        return str(self.address)

    @property
    def rests(self) -> bool:
        """Whether it was found not well a moment ago."""
        return asyncio.get_running_loop().time() < self._rests_until

    async def scan(self, part: Part) -> Report:
        """Judge the content of ``part``."""
        report = await self._scanned(part)
        rest_s = REST_S if report.fault is Fault.SCANNER else 0.0
        self._rests_until = asyncio.get_running_loop().time() + rest_s
        return report

    async def version(self) -> str:
        """What tells its definitions from others, asked for every `VERSION_S`; empty where it does not say."""
        now = asyncio.get_running_loop().time()
        if not self._version_at <= now < self._version_at + VERSION_S:
            self._version_at = now
            try:
                async with asyncio.timeout(min(PING_TIMEOUT_S, self.timeout_s)):
                    self._version = await self._asked_version()
            except OSError:
                self._version = ""
        return self._version

    async def well(self) -> bool:
        """Whether it is there and well, for `mailward check`."""
        raise NotImplementedError

    def close(self) -> None:
        """End the connections that are kept."""
        self._kept.close()

    def __str__(self) -> str:
        return str(self.address)

    async def _scanned(self, part: Part) -> Report:
        raise NotImplementedError

    async def _asked_version(self) -> str:
        raise NotImplementedError


@define(eq=False)
class Remote:
    """The engine: servers in order of preference."""

    name: str
    servers: Sequence[Server[Any]]
    max_bytes: int = 100 * 1024 * 1024
    at_once: int = 4

    async def version(self) -> str:
        """See `Engine`: any server may answer, so an answer is kept only where all have the same definitions."""
        versions = {await server.version() for server in self.servers}
        only = versions.pop() if len(versions) == 1 else ""
        options = " ".join(server.options for server in self.servers)
        return only and f"{only} {options} max_bytes={self.max_bytes} {time.time() // KEEP_S:.0f}"

    async def scan(self, part: Part) -> Report:
        """Judge the content of ``part`` (see `Engine`)."""
        if part.size > self.max_bytes:
            return unchecked(Fault.LIMIT, f"too large for the scanner: {part.size} bytes, allowed: {self.max_bytes}")
        details = []
        for server in [server for server in self.servers if not server.rests] or self.servers:
            report = await server.scan(part)
            if report.fault is not Fault.SCANNER:
                return report
            details.append(report.detail)
        return unchecked(Fault.SCANNER, "; ".join(details))

    def close(self) -> None:
        """See `Engine`."""
        for server in self.servers:
            server.close()
