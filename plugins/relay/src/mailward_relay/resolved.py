"""Clients and senders that DNS knows nothing of (KAV-ACC-01, KAV-ACC-02)."""

from __future__ import annotations

from attrs import frozen

from mailward import DnsFault, NameNotFound, Reply, Resolver, Sender, Session

MOST_EXCHANGERS = 10
NO_NAME = Reply(554, "5.7.25", "Your address has no name in DNS")
NAME_UNKNOWN_NOW = Reply(421, "4.7.25", "The name of your address could not be looked up, try again later")
NO_SENDER_DOMAIN = Reply(550, "5.1.8", "The sender's domain has no mail host with an address")
SENDER_TAKES_NO_MAIL = Reply(550, "5.7.27", "The sender's domain accepts no mail")
SENDER_UNKNOWN_NOW = Reply(451, "4.1.8", "The sender's domain could not be looked up, try again later")


@frozen
class Resolved:
    """Asks DNS for what a client or sender claims to be."""

    resolver: Resolver

    async def client(self, session: Session) -> Reply | None:
        """The refusal of a client whose address has no name, or None (KAV-ACC-01)."""
        try:
            await self.resolver.names(session.client_ip.partition("%")[0])
        except NameNotFound:
            return NO_NAME
        except DnsFault:
            return NAME_UNKNOWN_NOW
        return None

    async def sender(self, sender: Sender) -> Reply | None:
        """The refusal of a sender to whose domain no mail could go, or None (KAV-ACC-02).

        The null sender has none, and an address literal is its own host.
        """
        domain = sender.address.domain
        if not domain or domain.startswith("["):
            return None
        try:
            hosts = [record.host for record in await self.resolver.mx(domain)]
        except NameNotFound:
            hosts = [domain]
        except DnsFault:
            return SENDER_UNKNOWN_NOW
        named = [host for host in hosts if host]
        return await self._any_address(named) if named else SENDER_TAKES_NO_MAIL

    async def _any_address(self, hosts: list[str]) -> Reply | None:
        refusal = NO_SENDER_DOMAIN
        for host in hosts[:MOST_EXCHANGERS]:
            try:
                await self.resolver.addresses(host)
            except NameNotFound:
                continue
            except DnsFault:
                refusal = SENDER_UNKNOWN_NOW
            else:
                return None
        return refusal
