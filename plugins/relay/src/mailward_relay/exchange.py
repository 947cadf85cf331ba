"""Mail exchangers: from a domain to the hosts that take its mail (RFC 5321 section 5.1, RFC 7505)."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from typing import Any

from attrs import frozen

from mailward import MailExchanger, NameNotFound, NextHop, NoRoute, Reply, Resolver
from mailward_relay.routes import literal_key
from mailward_relay.targets import is_name

MAX_HOPS = 20
"""Hosts that are tried for one domain: a domain with a thousand MX records costs no more than one with twenty."""

NULL_MX = Reply(556, "5.1.10", "The recipient's domain accepts no mail")
NO_DOMAIN = Reply(550, "5.1.2", "The recipient's domain does not exist")
LOOP = Reply(554, "5.4.6", "Mail for the recipient's domain loops back to this system")
BAD_LITERAL = Reply(550, "5.1.2", "The recipient's domain is no address")


@frozen
class Exchange:
    """Finds the next hops of domains. ``hostname`` is our own name, which ends a loop."""

    resolver: Resolver
    hostname: str
    port: int = 25
    shuffle: Callable[[list[Any]], None] = random.shuffle

    async def hops(self, domain: str) -> tuple[NextHop, ...]:
        """The next hops of a domain, best first.

        Raises `NoRoute` where there is none for good; `DnsFault` passes through: nothing is known.
        """
        if domain.startswith("["):
            literal = literal_key(domain)
            if not literal:
                raise NoRoute(BAD_LITERAL)
            return (NextHop("smtp", literal[1:-1], self.port),)
        if not is_name(domain.lower()):
            raise NoRoute(NO_DOMAIN)
        try:
            records = await self.resolver.mx(domain)
        except NameNotFound:
            return await self._implicit(domain)
        if all(not record.host for record in records):
            raise NoRoute(NULL_MX)
        hosts = self._ordered([record for record in records if record.host])
        if not hosts:
            raise NoRoute(LOOP)
        return tuple(NextHop("smtp", host, self.port) for host in hosts[:MAX_HOPS])

    async def _implicit(self, domain: str) -> tuple[NextHop, ...]:
        try:
            await self.resolver.addresses(domain)
        except NameNotFound:
            raise NoRoute(NO_DOMAIN) from None
        if domain.lower() == self.hostname.lower():
            raise NoRoute(LOOP)
        return (NextHop("smtp", domain, self.port),)

    def _ordered(self, records: list[MailExchanger]) -> list[str]:
        """Hosts by preference, equals in random order, ours and all behind it left out against loops."""
        own = [record.preference for record in records if record.host.lower() == self.hostname.lower()]
        nearer = [record for record in records if not own or record.preference < min(own)]
        hosts: list[str] = []
        for _, group in groupby(sorted(nearer, key=attrgetter("preference")), key=attrgetter("preference")):
            equals = [record.host.lower() for record in group]
            self.shuffle(equals)
            hosts += equals
        return list(dict.fromkeys(hosts))
