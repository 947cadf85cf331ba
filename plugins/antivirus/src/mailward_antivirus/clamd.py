"""The clamd engine: content streamed to ClamAV daemons over Unix or TCP sockets, one taking over from another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from attrs import define, field

from mailward import Part
from mailward_antivirus.clamd_address import ClamdAddress
from mailward_antivirus.clamd_reply import parse
from mailward_antivirus.clamd_session import Exchange, Session
from mailward_antivirus.engine import Engine, Surroundings
from mailward_antivirus.report import Fault, Report, unchecked

PING_TIMEOUT_S = 5.0
REST_S = 10.0
"""How long a clamd that was not well is left alone while another one is there."""
VERSION_S = 30.0
"""How old the database version that cached answers are bound to may be."""


@define(eq=False)
class ClamdServer:
    """One clamd. ``timeout_s`` is for one content (KAV-SCN-05).

    A connection that breaks or stays silent has two possible reasons. clamd closes it on content
    over its StreamMaxLength, and the reset may overtake the words that say so; or clamd has ended.
    A PING tells them apart: a daemon that answers is well, so the content is what it could not do.
    """

    address: ClamdAddress
    timeout_s: float = 30.0
    _idle: list[Session] = field(factory=list, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _rests_until: float = field(default=0.0, init=False)
    _version: str = field(default="", init=False)
    _version_at: float = field(default=float("-inf"), init=False)

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
        """The version of daemon and database, asked for every `VERSION_S`; empty where the database has none."""
        now = asyncio.get_running_loop().time()
        if not self._version_at <= now < self._version_at + VERSION_S:
            self._version_at = now
            try:
                async with asyncio.timeout(min(PING_TIMEOUT_S, self.timeout_s)):
                    said = await self._asked_version()
            except OSError:
                said = ""
            # Without a database of ClamAV's own there is no number, and so nothing that tells of a change.
            self._version = said if "/" in said else ""
        return self._version

    async def _asked_version(self) -> str:
        session = await self._session()
        said = ""
        try:
            said = await session.version()
        finally:
            if said:
                self._keep(session)
            else:
                session.end()
        return said

    def close(self) -> None:
        """End the sessions that are kept open."""
        while self._idle:
            self._idle.pop().end()

    async def answers_ping(self) -> bool:
        """Whether clamd is there and well."""
        try:
            async with asyncio.timeout(min(PING_TIMEOUT_S, self.timeout_s)):
                reader, writer = await self.address.open()
                try:
                    writer.write(b"zPING\0")
                    return await reader.readuntil(b"\0") == b"PONG\0"
                finally:
                    writer.transport.abort()
        except (OSError, EOFError, asyncio.LimitOverrunError):
            return False

    async def _scanned(self, part: Part) -> Report:
        try:
            async with asyncio.timeout(self.timeout_s):
                exchange = await self._exchange(part)
        except TimeoutError:
            return await self._blame(Fault.CONTENT, f"no answer within {self.timeout_s:g} s")
        except asyncio.LimitOverrunError:
            return unchecked(Fault.SCANNER, "answer of clamd not understood: it does not end")
        except OSError as error:
            return unchecked(Fault.SCANNER, f"clamd at {self.address} cannot be reached: {error.strerror or error}")
        if exchange.reply is None:
            if exchange.complete:
                return await self._blame(Fault.CONTENT, "clamd broke off without an answer")
            return await self._blame(Fault.LIMIT, "too large for the scanner: it broke off")
        report = parse(exchange.reply)
        if not exchange.complete and not report.name and report.fault is Fault.NONE:
            return unchecked(Fault.SCANNER, "clamd answered before it had the content")
        return report

    async def _exchange(self, part: Part) -> Exchange:
        """Ask over a session that is open already, or over a new one where there is none or it had ended."""
        session = await self._session()
        kept = session.asked > 0
        exchange = await self._over(session, part)
        if kept and exchange.reply is None:
            exchange = await self._over(Session(*await self.address.open()), part)
        return exchange

    async def _over(self, session: Session, part: Part) -> Exchange:
        exchange = None
        try:
            exchange = await session.scan(part)
        finally:
            if exchange is not None and exchange.complete and exchange.reply is not None:
                self._keep(session)
            else:
                session.end()
        return exchange

    async def _session(self) -> Session:
        if self._loop is not asyncio.get_running_loop():
            self._idle, self._loop = [], asyncio.get_running_loop()
        while self._idle:
            session = self._idle.pop()
            if session.usable:
                return session
            session.end()
        return Session(*await self.address.open())

    def _keep(self, session: Session) -> None:
        session.idle_since = asyncio.get_running_loop().time()
        self._idle.append(session)

    async def _blame(self, fault: Fault, detail: str) -> Report:
        well = await self.answers_ping()
        return unchecked(fault, detail) if well else unchecked(Fault.SCANNER, f"{detail}, nor does it answer a PING")


@define(eq=False)
class Clamd:
    """The engine: clamds in order of preference. One that is not well gives way to the next."""

    servers: Sequence[ClamdServer]
    max_bytes: int = 100 * 1024 * 1024
    name: str = "clamd"
    at_once: int = 4

    async def version(self) -> str:
        """See `Engine`: every clamd may answer, so what one of them says is kept for all only if all are equal."""
        versions = {await server.version() for server in self.servers}
        only = versions.pop() if len(versions) == 1 else ""
        return only and f"{only} max_bytes={self.max_bytes}"

    async def scan(self, part: Part) -> Report:
        """Judge the content of ``part`` (see `Engine`)."""
        if part.size > self.max_bytes:
            return unchecked(Fault.LIMIT, f"too large for the scanner: {part.size} bytes, allowed: {self.max_bytes}")
        fresh = [server for server in self.servers if not server.rests]
        details = []
        for server in fresh or self.servers:
            report = await server.scan(part)
            if report.fault is not Fault.SCANNER:
                return report
            details.append(report.detail)
        return unchecked(Fault.SCANNER, "; ".join(details))

    def close(self) -> None:
        """See `Engine`."""
        for server in self.servers:
            server.close()


def make(surroundings: Surroundings) -> tuple[Engine, ...]:
    """The engine that ``antivirus.clamd`` asks for."""
    settings = surroundings.settings
    if not settings.clamd:
        return ()
    addresses = (ClamdAddress.parse(text).under(surroundings.context.base) for text in settings.clamd)
    servers = tuple(ClamdServer(address, settings.clamd_timeout_s) for address in addresses)
    return (Clamd(servers, settings.clamd_max_bytes),)
