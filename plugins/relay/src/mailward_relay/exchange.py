"""Mail exchangers: from a domain to the hosts that take its mail (RFC 5321 section 5.1, RFC 7505)."""

from __future__ import annotations

import random
from itertools import groupby, islice
from operator import attrgetter

from attrs import frozen

from mailward import Clock, DnsFault, Expiring, MailExchanger, NameNotFound, NextHop, NoRoute, Reply, Resolver
from mailward_relay.manner import BY_MX, DANE, STS, Manner
from mailward_relay.ours import Ours
from mailward_relay.routes import literal_key
from mailward_relay.settings import RelaySettings
from mailward_relay.sts import PolicyStore
from mailward_relay.targets import is_name

MAX_HOPS = 20
"""Hosts that are tried for one domain: a domain with a thousand MX records costs no more than one with twenty."""

NULL_MX = Reply(556, "5.1.10", "The recipient's domain accepts no mail")
NO_DOMAIN = Reply(550, "5.1.2", "The recipient's domain does not exist")
LOOP = Reply(554, "5.4.6", "Mail for the recipient's domain loops back to this system")
BAD_LITERAL = Reply(550, "5.1.2", "The recipient's domain is no address")


@frozen
class Exchangers:
    """The hosts of one domain: in groups of equal preference, best first; ``authentic``: DNSSEC vouches for them.

    ``version`` is that of `Ours` by which they were told from ourselves.
    """

    groups: tuple[tuple[str, ...], ...]
    authentic: bool
    version: int = 0

    def ordered(self, seed: str) -> list[str]:
        """The hosts, equals in an order drawn by ``seed``: recipients of one message have one order."""
        hosts: list[str] = []
        for equals in self.groups:
            drawn = list(equals)
            if len(drawn) > 1:
                random.Random(seed).shuffle(drawn)
            hosts += drawn
        return list(dict.fromkeys(hosts))[:MAX_HOPS]


class Exchange:
    """Finds the next hops of domains; ``ours`` knows which of them are ourselves, which ends a loop.

    What DNS said is kept (KAV-QUE-02): records for ``mx_cache_s`` or as long as DNS says, whichever is
    longer; that a domain does not exist for ``unresolved_cache_s``. That DNS did not answer is kept for
    ``fault_s`` seconds, less than the wait before the second attempt.
    """

    def __init__(
        self,
        settings: RelaySettings,
        resolver: Resolver,
        ours: Ours,
        policies: PolicyStore,
        clock: Clock,
        fault_s: float,
    ) -> None:
        self._port = settings.mx_port
        self._resolver = resolver
        self._ours = ours
        self._policies = policies
        self._mx_cache_s = settings.mx_cache_s
        self._unresolved_cache_s = settings.unresolved_cache_s
        self._fault_s = min(fault_s, settings.unresolved_cache_s)
        self._found: Expiring[str, Exchangers] = Expiring(clock.monotonic)
        self._absent: Expiring[str, Reply] = Expiring(clock.monotonic)
        self._faults: Expiring[str, str] = Expiring(clock.monotonic)

    async def hops(self, domain: str, manner: Manner, seed: str = "") -> tuple[NextHop, ...]:
        """The next hops of a domain, best first, to be spoken to in a manner or a stricter one.

        Raises `NoRoute` where there is none for good; `DnsFault` passes through: nothing is known.
        """
        if domain.startswith("["):
            literal = literal_key(domain)
            if not literal:
                raise NoRoute(BAD_LITERAL)
            if self._ours.is_at(literal[1:-1]):
                raise NoRoute(LOOP)
            return (NextHop("smtp", literal[1:-1], self._port, route=manner.name + BY_MX),)
        domain = domain.lower()
        if not is_name(domain):
            raise NoRoute(NO_DOMAIN)
        found = await self._exchangers(domain)
        hosts, route = found.ordered(seed), manner.name + BY_MX
        if manner.wants_sts:
            policy = await self._policies.of(domain)
            if policy is not None and policy.mode == "enforce":
                route += STS
                hosts = [host for host in hosts if policy.names(host)]
                if not hosts:
                    raise DnsFault(f"the MTA-STS policy of {domain} names none of its mail hosts")
        if manner.wants_dane and found.authentic:
            route += DANE
        return tuple(NextHop("smtp", host, self._port, route=route) for host in hosts)

    async def _exchangers(self, domain: str) -> Exchangers:
        found = self._found.get(domain)
        if found is not None and found.version == self._ours.version:
            return found
        absent = self._absent.get(domain)
        if absent is not None:
            raise NoRoute(absent)
        fault = self._faults.get(domain)
        if fault is not None:
            raise DnsFault(f"{fault} (from the cache)")
        try:
            found, keep_s = await self._ask(domain)
        except NoRoute as error:
            self._absent.put(domain, error.reply, self._unresolved_cache_s)
            raise
        except DnsFault as error:
            self._faults.put(domain, str(error), self._fault_s)
            raise
        self._found.put(domain, found, keep_s)
        return found

    async def _ask(self, domain: str) -> tuple[Exchangers, float]:
        """The exchangers, and for how many seconds they hold."""
        try:
            records = await self._resolver.mx(domain)
        except NameNotFound:
            return await self._implicit(domain), self._mx_cache_s
        if all(not record.host for record in records):
            raise NoRoute(NULL_MX)
        version = self._ours.version
        groups = await self._onward([record for record in records if record.host])
        if not groups:
            raise NoRoute(LOOP)
        authentic = all(record.authentic for record in records)
        return Exchangers(groups, authentic, version), max(self._mx_cache_s, min(record.ttl_s for record in records))

    async def _implicit(self, domain: str) -> Exchangers:
        """A domain without MX is its own host (RFC 5321 section 5.1); its addresses are looked up in any case."""
        version = self._ours.version
        try:
            await self._resolver.addresses(domain)
        except NameNotFound:
            raise NoRoute(NO_DOMAIN) from None
        if await self._ours.among([domain]):
            raise NoRoute(LOOP)
        return Exchangers(((domain,),), authentic=True, version=version)

    async def _onward(self, records: list[MailExchanger]) -> tuple[tuple[str, ...], ...]:
        """Hosts by preference, ours and all that are not better left out against loops (RFC 5321 section 5.1)."""
        ordered = sorted(records, key=attrgetter("preference"))
        hosts = dict.fromkeys(record.host.lower() for record in ordered)
        ours = await self._ours.among(islice(hosts, MAX_HOPS))
        own = [record.preference for record in ordered if record.host.lower() in ours]
        better = [record for record in ordered if not own or record.preference < own[0]]
        by_preference = groupby(better, key=attrgetter("preference"))
        return tuple(tuple(record.host.lower() for record in group) for _, group in by_preference)
