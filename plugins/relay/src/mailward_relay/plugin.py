"""The relay plugin: its hooks."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from mailward import Check, Delivery, NextHop, Plugin, Recipient, Reply, Result, Sender, Session, hookimpl
from mailward_relay.admission import Admission
from mailward_relay.checks import MOST_HOPS, check_hop, named_hops
from mailward_relay.exchange import Exchange
from mailward_relay.link import Opener
from mailward_relay.maildir import MaildirTransport
from mailward_relay.pool import Pool
from mailward_relay.routes import Routes
from mailward_relay.settings import RelaySettings
from mailward_relay.smtp import SmtpTransport
from mailward_relay.targets import ByExchange


class Relay(Plugin):
    """Who may relay, where mail goes next, and how it gets there."""

    Settings = RelaySettings
    version: ClassVar[str] = "0.1.0"

    settings: RelaySettings

    def setup(self) -> None:
        """Compile the tables; raises ValueError where an entry is wrong."""
        settings, context = self.settings, self.context
        self._routes = Routes(settings.local, settings.forward, settings.default, context.resolve_path)
        self._admission = Admission(
            settings.allow,
            self._routes.is_local,
            allow_authenticated=settings.allow_authenticated,
            forbidden_characters=settings.forbidden_characters,
        )
        self._exchange = Exchange(context.resolver, context.hostname, settings.mx_port)
        self._opener = Opener(settings, context.hostname, context.resolver, context.log)
        self._pool = Pool(
            self._opener.open,
            max_per_host=settings.max_per_host,
            max_messages=settings.max_messages,
            idle_s=settings.idle_s,
            quit_timeout_s=settings.quit_timeout_s,
        )
        self._smtp = SmtpTransport(settings, self._pool, context.clock.monotonic)
        self._maildir = MaildirTransport(context.hostname, context.clock, context.log)

    @hookimpl
    async def start(self) -> None:
        """Warn of tables that let everybody in."""
        if self._routes.local.is_everything and self.context.place != "scan":
            self.context.log.warning("local has the entry *: every domain is local, and everybody may relay")

    @hookimpl
    async def stop(self) -> None:
        """Part from the next hops."""
        await self._pool.close()

    @hookimpl
    async def check(self) -> list[Check]:
        """Whether the next hops that the tables name are there, and whether the tables let everybody in."""
        hops = named_hops(self.settings, self.context.resolve_path)[:MOST_HOPS]
        found = await asyncio.gather(*(check_hop(hop, self._opener.open) for hop in hops))
        if self._routes.local.is_everything:
            detail = "local has the entry *: every domain is local, and everybody may relay"
            found.append(Check("relaying", False, detail, "name the domains of the house in relay.local", warning=True))
        return found

    @hookimpl(quick=True)
    def mail_from(self, sender: Sender) -> Reply | None:
        """Refuse forbidden characters (SAV-RLY-06)."""
        return self._admission.sender(sender)

    @hookimpl(quick=True)
    def rcpt_to(self, session: Session, recipient: Recipient) -> Reply | None:
        """Refuse what is neither for the house nor from a client that may relay (SAV-RLY-02)."""
        return self._admission.recipient(session, recipient)

    @hookimpl(quick=True)
    def locality(self, recipient: Recipient) -> bool:
        """Local is what stands on the left of ``local`` (SAV-RTE-01)."""
        return self._routes.is_local(recipient.address.domain)

    @hookimpl
    async def route(self, recipient: Recipient) -> tuple[NextHop, ...]:
        """The next hops of a recipient, best first."""
        target = self._routes.find(recipient.address.domain)
        if isinstance(target, ByExchange):
            return await self._exchange.hops(target.domain)
        return (target,)

    @hookimpl
    async def deliver(self, delivery: Delivery) -> list[Result] | None:
        """Deliver over ``smtp`` and ``maildir``; other transports are another plugin's."""
        match delivery.next_hop.transport:
            case "smtp":
                return await self._smtp.deliver(delivery)
            case "maildir":
                return await self._maildir.deliver(delivery)
            case _:
                return None
