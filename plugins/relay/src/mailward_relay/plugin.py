"""The relay plugin: its hooks."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from mailward import (
    Address,
    Check,
    Delivery,
    Event,
    Judged,
    MessageInfo,
    NextHop,
    Plugin,
    Recipient,
    Reply,
    Result,
    Sender,
    Session,
    domain_spellings,
    hookimpl,
)
from mailward_relay.admission import Admission
from mailward_relay.archive import Archive
from mailward_relay.callforward import CallForward
from mailward_relay.checks import MOST_HOPS, check_hop, check_names, named_hops
from mailward_relay.exchange import Exchange
from mailward_relay.maildir import MaildirTransport
from mailward_relay.manner import DANE, Manners
from mailward_relay.opener import Opener
from mailward_relay.ours import Ours
from mailward_relay.pool import Pool
from mailward_relay.recipients import Recipients
from mailward_relay.route_hops import RouteHops
from mailward_relay.routes import Routes
from mailward_relay.settings import RelaySettings
from mailward_relay.smtp import SmtpTransport
from mailward_relay.sts import PolicyStore
from mailward_relay.sts_policy import PolicyFolder
from mailward_relay.targets import ByExchange, ByRoute, Target
from mailward_relay.unreachable import Unreachable, period_s

SHARE_OF_LIMIT = 0.8
"""Of the time that the hook has: the recipient check is over by then, so that its answer is the client's."""

CANNOT_ARCHIVE = Reply(452, "4.3.1", "Cannot store the message now, try again later")


class Relay(Plugin):
    """Who may relay, where mail goes next, and how it gets there."""

    Settings = RelaySettings
    version: ClassVar[str] = "0.1.0"

    settings: RelaySettings

    def setup(self) -> None:
        """Compile the tables; raises ValueError where an entry is wrong."""
        settings, context = self.settings, self.context
        self._routes = Routes(settings.local, settings.forward, settings.default, context.resolve_path, settings.route)
        self._admission = Admission(settings, self._is_local, context.resolver)
        self._archive = Archive(settings.archive, context.resolve_path, context.clock, context.log)
        self._set_up_delivery()
        self._recipients = Recipients(
            settings.recipients,
            context.resolve_path,
            context.clock,
            context.log,
            CallForward(settings, self._pool, self._hops_of, context.clock.monotonic).knows,
        )
        self.idle = frozenset(self._idle())

    def _set_up_delivery(self) -> None:
        settings, context = self.settings, self.context
        self._manners = Manners(settings, context.resolve_path)
        self._route_hops = {name: self._read_route(name) for name in settings.route}
        quiet_s = period_s(settings.unreachable_cache_s, context.first_retry_s)
        plain = self._manners.plain
        folder = PolicyFolder(context.store, context.clock.time, context.log)
        policies = PolicyStore(context.resolver, plain.verified, context.clock.monotonic, context.log, folder)
        ours = Ours(
            *(context.ourselves, settings.also_known_as, settings.mx_port),
            *(context.resolver, context.clock.monotonic, context.log),
        )
        self._exchange = Exchange(settings, context.resolver, ours, policies, context.clock, quiet_s)
        self._opener = Opener(settings, self._manners, context.hostname, context.resolver, ours, context.log)
        self._pool = Pool(
            settings,
            self._opener.open,
            self._manners.limit_of,
            Unreachable(quiet_s, context.clock),
            context.tally,
        )
        self._smtp = SmtpTransport(settings, self._pool, context.clock.monotonic, context.log, context.conversations)
        self._maildir = MaildirTransport(context.hostname, context.clock, context.log)

    def _read_route(self, name: str) -> RouteHops:
        manner = self._manners.get(name)
        assert manner is not None
        try:
            return RouteHops.read(
                name + (DANE if manner.wants_dane else ""), self.settings.route[name], self.context.resolve_path
            )
        except ValueError as error:
            raise ValueError(f"route.{name}: {error}") from error

    def _idle(self) -> list[str]:
        """The hooks that these settings leave nothing to do."""
        settings = self.settings
        needed = {
            "mail_from": settings.forbidden_characters,
            "data": settings.archive.incoming or settings.archive.outgoing,
            "event": settings.archive.outgoing,
        }
        return [name for name, wanted in needed.items() if not wanted]

    @hookimpl
    async def start(self) -> None:
        """Warn of tables that let everybody in."""
        if self._opens_everything and self.context.place != "scan":
            self.context.log.warning(self._opens_everything)

    @property
    def _opens_everything(self) -> str:
        """Why everybody may relay; empty where not everybody may."""
        if self._routes.local.is_everything:
            return "local has the entry *: every domain is local, and everybody may relay"
        return self._admission.opened_by

    @hookimpl
    async def stop(self) -> None:
        """Part from the next hops and the directory."""
        await self._pool.close()
        await self._recipients.close()

    @hookimpl
    def reload(self) -> None:
        """Read the file of recipients again."""
        self._recipients.load()

    @hookimpl
    async def check(self) -> list[Check]:
        """Whether the next hops that the tables name are there, our names are in DNS, and not everybody may relay."""
        routed = [hop for route in self._route_hops.values() for hop in route.all]
        hops = dict.fromkeys([*named_hops(self.settings, self.context.resolve_path), *routed])
        found = await asyncio.gather(*(check_hop(hop, self._opener.open) for hop in list(hops)[:MOST_HOPS]))
        found += await check_names(self.settings, self.context.hostname, self.context.resolver)
        found += await self._recipients.check()
        if self._opens_everything:
            advice = "name the domains of the house in relay.local, and the clients that may relay in relay.allow"
            found.append(Check("relaying", False, self._opens_everything, advice, warning=True))
        return found

    @hookimpl(quick=True)
    def mail_from(self, sender: Sender) -> Reply | None:
        """Refuse forbidden characters (SAV-RLY-06)."""
        return self._admission.sender(sender)

    @hookimpl
    async def rcpt_to(self, session: Session, recipient: Recipient) -> Reply | None:
        """Refuse what is neither for the house nor from a client that may relay (SAV-RLY-02), and unknown users."""
        until = asyncio.get_running_loop().time() + self.context.timeout_s * SHARE_OF_LIMIT
        refusal = await self._admission.recipient(session, recipient)
        if refusal is None and self._recipients.is_on and self._routes.is_local(recipient.address.domain):
            refusal = await self._recipients.refusal(recipient.address, until)
        return refusal

    @hookimpl
    async def data(self, message: MessageInfo) -> Reply | None:
        """Copy the message for the archives; it is not accepted where that cannot be done (KAV-ARC-01)."""
        try:
            await self._archive.received(message)
        except OSError as error:
            self.context.log.error("archive cannot be written", id=message.id, error=str(error))
            return CANNOT_ARCHIVE
        return None

    @hookimpl
    async def event(self, event: Event) -> None:
        """Archive messages that were blocked (KAV-ARC-01)."""
        if isinstance(event, Judged):
            await self._archive.judged(event)

    @hookimpl(quick=True)
    def locality(self, recipient: Recipient) -> bool:
        """Local is what stands on the left of ``local`` (SAV-RTE-01), and what is protected (KAV-ACC-05)."""
        return self._is_local(recipient.address.domain)

    def _is_local(self, domain: str) -> bool:
        return self._routes.is_local(domain) or self.settings.protected_domains.any(domain_spellings(domain))

    @hookimpl
    async def route(self, recipient: Recipient, message: MessageInfo) -> tuple[NextHop, ...]:
        """The next hops of a recipient, best first; one message takes one way to a domain."""
        return await self._hops(recipient.address.domain, message.id)

    async def _hops(self, domain: str, seed: str) -> tuple[NextHop, ...]:
        return await self._resolve(self._routes.find(domain), domain, seed)

    async def _resolve(self, target: Target, domain: str, seed: str) -> tuple[NextHop, ...]:
        match target:
            case ByExchange(name, route):
                manner = self._manners.get(route)
                assert manner is not None
                return await self._exchange.hops(name or domain, manner, seed)
            case ByRoute(name):
                hops = self._route_hops[name]
                if hops.weighted:
                    return hops.ordered(seed)
                return await self._resolve(ByExchange(domain, name), domain, seed)
            case _:
                return (target,)

    async def _hops_of(self, address: Address) -> tuple[NextHop, ...]:
        return await self._hops(address.domain, "")

    @hookimpl
    async def deliver(self, delivery: Delivery) -> list[Result] | None:
        """Deliver over ``smtp``, ``lmtp`` and ``maildir``; other transports are another plugin's."""
        match delivery.next_hop.transport:
            case "smtp" | "lmtp":
                results = await self._smtp.deliver(delivery)
            case "maildir":
                results = await self._maildir.deliver(delivery)
            case _:
                return None
        if self._archive.outgoing is not None:
            await self._archive.delivered(delivery, results)
        return results
