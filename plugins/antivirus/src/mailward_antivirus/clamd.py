"""The clamd engine: content streamed to ClamAV daemons over Unix or TCP sockets."""

from __future__ import annotations

import asyncio

from attrs import define

from mailward import Part
from mailward_antivirus.clamd_address import ClamdAddress
from mailward_antivirus.clamd_reply import parse
from mailward_antivirus.clamd_session import Exchange, Session
from mailward_antivirus.engine import Engine, Surroundings
from mailward_antivirus.remote import PING_TIMEOUT_S, Remote, Server
from mailward_antivirus.report import Fault, Report, unchecked

NAME = "clamd"


@define(eq=False)
class ClamdServer(Server[Session]):
    """One clamd.

    A connection that breaks or stays silent has two possible reasons. clamd closes it on content
    over its StreamMaxLength, and the reset may overtake the words that say so; or clamd has ended.
    A PING tells them apart: a daemon that answers is well, so the content is what it could not do.
    """

    address: ClamdAddress

    async def well(self) -> bool:
        """Whether clamd answers a PING."""
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

    async def _asked_version(self) -> str:
        session = self._kept.take() or Session(*await self.address.open())
        said = ""
        try:
            said = await session.version()
        finally:
            self._done(session, said)
        # Without a database of ClamAV's own there is no number, and so nothing that tells of a change.
        return said if "/" in said else ""

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
        session = self._kept.take()
        if session is not None:
            exchange = await self._over(session, part)
            if exchange.reply is not None:
                return exchange
        return await self._over(Session(*await self.address.open()), part)

    async def _over(self, session: Session, part: Part) -> Exchange:
        exchange = None
        try:
            exchange = await session.scan(part)
        finally:
            self._done(session, exchange is not None and exchange.complete and exchange.reply is not None)
        return exchange

    def _done(self, session: Session, well: object) -> None:
        if well:
            self._kept.give(session)
        else:
            session.end()

    async def _blame(self, fault: Fault, detail: str) -> Report:
        well = await self.well()
        return unchecked(fault, detail) if well else unchecked(Fault.SCANNER, f"{detail}, nor does it answer a PING")


def make(surroundings: Surroundings) -> tuple[Engine, ...]:
    """The engine that ``antivirus.clamd`` asks for."""
    settings = surroundings.settings
    if not settings.clamd:
        return ()
    addresses = (ClamdAddress.parse(text).under(surroundings.context.base) for text in settings.clamd)
    servers = tuple(ClamdServer(address, timeout_s=settings.clamd_timeout_s) for address in addresses)
    return (Remote(NAME, servers, settings.clamd_max_bytes),)
