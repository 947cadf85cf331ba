"""The ICAP engine: scanners that speak the protocol of content filters (RFC 3507)."""

from __future__ import annotations

import asyncio

from attrs import define, field

from mailward import Part
from mailward_antivirus.engine import Engine, Surroundings
from mailward_antivirus.icap_connection import Connection, Offer
from mailward_antivirus.icap_message import Answer, Head, IcapAddress, IcapError, judge, options
from mailward_antivirus.remote import PING_TIMEOUT_S, Remote, Server
from mailward_antivirus.report import Fault, Report, unchecked

NAME = "icap"
_METHODS = ("RESPMOD", "REQMOD")
OFFER_S = 60.0
"""How long what a service says of itself holds, whatever it says of that; its ISTag is read from every answer."""


@define(eq=False)
class IcapServer(Server[Connection]):
    """One ICAP service. ``preview``: send the first bytes alone."""

    address: IcapAddress
    preview: bool = False
    _offer: Offer | None = field(default=None, init=False)
    _offer_until: float = field(default=float("-inf"), init=False)

    @property
    def options(self) -> str:
        """See `Server`."""
        return f"{self.address} preview={self.preview}"

    async def well(self) -> bool:
        """Whether the service says what it can do."""
        try:
            async with asyncio.timeout(min(PING_TIMEOUT_S, self.timeout_s)):
                connection = await Connection.open(self.address)
                try:
                    self._read_offer(await connection.ask(options(self.address)))
                    return True
                finally:
                    connection.end()
        except (OSError, EOFError, IcapError):
            return False

    async def _asked_version(self) -> str:
        try:
            return (await self._offered()).tag
        except (EOFError, IcapError):
            return ""

    async def _scanned(self, part: Part) -> Report:
        where = f"ICAP service {self.address}"
        try:
            async with asyncio.timeout(self.timeout_s):
                return judge(await self._asked(part))
        except TimeoutError:
            detail = f"no answer within {self.timeout_s:g} s"
            well = await self.well()
            return unchecked(Fault.CONTENT, detail) if well else unchecked(Fault.SCANNER, f"{where}: {detail}")
        except IcapError as error:
            return unchecked(Fault.SCANNER, f"{where}: {error}")
        except EOFError:
            return unchecked(Fault.SCANNER, f"{where} broke off")
        except OSError as error:
            return unchecked(Fault.SCANNER, f"{where} cannot be reached: {error.strerror or error}")

    async def _asked(self, part: Part) -> Answer:
        """Ask over a connection that is open already; over a new one where there is none, or it had ended."""
        offer = await self._offered()
        connection = self._kept.take()
        if connection is not None:
            try:
                return await self._over(connection, part, offer)
            except (ConnectionError, EOFError):
                pass  # the server had closed it; whether it is well, a new connection shows
        return await self._over(await Connection.open(self.address), part, offer)

    async def _over(self, connection: Connection, part: Part, offer: Offer) -> Answer:
        answer = None
        try:
            answer = await connection.scan(part, self.address, offer)
        finally:
            self._done(connection, answer is not None)
        tag = answer.head.fields.get("istag", "")
        if tag != offer.tag:
            self._offer_until = self._version_at = float("-inf")
        return answer

    def _done(self, connection: Connection, well: bool) -> None:
        if well and connection.kept:
            self._kept.give(connection)
        else:
            connection.end()

    async def _offered(self) -> Offer:
        """What the service offers, asked for every `OFFER_S`."""
        now = asyncio.get_running_loop().time()
        if self._offer is None or not self._offer_until - OFFER_S <= now < self._offer_until:
            connection = self._kept.take() or await Connection.open(self.address)
            head = None
            try:
                head = await connection.ask(options(self.address))
            finally:
                self._done(connection, head is not None)
            self._offer, self._offer_until = self._read_offer(head), now + OFFER_S
        return self._offer

    def _read_offer(self, head: Head) -> Offer:
        if head.status != 200:
            raise IcapError(f"asked what it can do, it answers {head.status}")
        offered = {name.strip().upper() for name in head.fields.get("methods", "").split(",")}
        method = next((name for name in _METHODS if name in offered), None)
        if method is None:
            raise IcapError("it offers neither RESPMOD nor REQMOD")
        wanted = head.fields.get("preview", "")
        preview = int(wanted) if self.preview and wanted.isdecimal() and len(wanted) < 8 else None
        return Offer(method, head.fields.get("istag", ""), preview)


def make(surroundings: Surroundings) -> tuple[Engine, ...]:
    """The engine that ``antivirus.icap`` asks for."""
    settings = surroundings.settings
    if not settings.icap:
        return ()
    servers = tuple(
        IcapServer(IcapAddress.parse(text), settings.icap_preview, timeout_s=settings.icap_timeout_s)
        for text in settings.icap
    )
    return (Remote(NAME, servers, settings.icap_max_bytes),)
