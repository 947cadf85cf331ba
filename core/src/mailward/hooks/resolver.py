"""DNS for plugins: asynchronous, cached, with a deadline, faults told apart from absence."""

from __future__ import annotations

import contextlib
import ipaddress

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename
from attrs import field, frozen
from dns.resolver import Answer

from mailward.hooks.dns_cache import DnsCache
from mailward.hooks.name_server import name_server
from mailward.values.errors import DnsFault, NameNotFound

MAX_NAMES = 10
"""PTR records of one address that are looked at: a client with a thousand names costs no more than ten."""


@frozen
class MailExchanger:
    """One MX record (RFC 5321 section 5.1).

    ``ttl_s`` is how long DNS vouches for it from now on; ``authentic`` says that the resolver has
    verified it by DNSSEC.
    """

    preference: int
    host: str
    ttl_s: float = field(default=0.0, eq=False)
    authentic: bool = field(default=False, eq=False)


@frozen
class TlsaRecord:
    """One TLSA record (RFC 6698 section 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


class Resolver:
    """Look-ups through the configured name servers, or the system's where none are named.

    Every method raises `NameNotFound` where DNS says there is no such thing, and `DnsFault`
    where DNS did not say (time-out, SERVFAIL, refused): the first is a fact, the second is not.
    """

    def __init__(self, servers: tuple[str, ...] = (), timeout_s: float = 5.0, cache_entries: int = 10_000) -> None:
        self._servers = servers
        self._timeout_s = timeout_s
        self._cache = DnsCache(cache_entries)
        self._resolver: dns.asyncresolver.Resolver | None = None

    @property
    def servers(self) -> tuple[str, ...]:
        """The name servers that are asked; empty where none is configured anywhere."""
        try:
            return tuple(str(server) for server in self._ready().nameservers)
        except (DnsFault, ValueError):
            return ()

    def _ready(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            try:
                made = dns.asyncresolver.Resolver(configure=not self._servers)
            except dns.exception.DNSException as error:
                raise DnsFault(f"no name server is configured: {error}") from error
            if self._servers:
                made.nameservers = [
                    dns.nameserver.Do53Nameserver(address, port) for address, port in map(name_server, self._servers)
                ]
            made.cache = self._cache
            made.lifetime = self._timeout_s
            # RFC 6840 section 5.7: asks the resolver to say whether it verified the answer.
            made.flags = dns.flags.RD | dns.flags.AD
            self._resolver = made
        return self._resolver

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> Answer:
        try:
            return await self._ready().resolve(name, kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer) as error:
            raise NameNotFound(f"{name} has no {kind.name} record") from error
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise DnsFault(f"no answer for {name} {kind.name}: {type(error).__name__}") from error

    async def mx(self, domain: str) -> tuple[MailExchanger, ...]:
        """The MX records of a domain, lowest preference value first. A null MX has host ``""`` (RFC 7505)."""
        answer = await self._ask(domain, dns.rdatatype.MX)
        ttl_s, authentic = self._cache.left_s(answer), _authentic(answer)
        found = [MailExchanger(r.preference, str(r.exchange).rstrip("."), ttl_s, authentic) for r in answer]
        return tuple(sorted(found, key=lambda mx: (mx.preference, mx.host)))

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The IPv4 and IPv6 addresses of a host, IPv4 first; an address literal answers itself."""
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        found: list[str] = []
        fault: DnsFault | None = None
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                found += [str(r.address) for r in await self._ask(host, kind)]
            except NameNotFound:
                continue
            except DnsFault as error:
                fault = error
        if found:
            return tuple(found)
        raise fault or NameNotFound(f"{host} has no address")

    async def txt(self, name: str) -> tuple[str, ...]:
        """The TXT records of a name, each joined from its strings."""
        answer = await self._ask(name, dns.rdatatype.TXT)
        return tuple(b"".join(r.strings).decode("utf-8", "replace") for r in answer)

    async def names(self, address: str) -> tuple[str, ...]:
        """The names that PTR records give an IP address, in lower case, without the last dot."""
        answer = await self._ask(str(dns.reversename.from_address(address)), dns.rdatatype.PTR)
        return tuple(str(r.target).rstrip(".").lower() for r in answer)

    async def confirmed_names(self, address: str) -> tuple[str, ...]:
        """The names of an IP address that have that address in turn: what a client may be called by.

        At most `MAX_NAMES` names are looked at. Raises `DnsFault` where DNS did not say and no name is
        confirmed; an address without a confirmed name has the empty tuple.
        """
        wanted = ipaddress.ip_address(address)
        confirmed: list[str] = []
        fault: DnsFault | None = None
        try:
            names = (await self.names(address))[:MAX_NAMES]
        except NameNotFound:
            names = ()
        for name in names:
            try:
                if wanted in map(ipaddress.ip_address, await self.addresses(name)):
                    confirmed.append(name)
            except NameNotFound:
                continue
            except DnsFault as error:
                fault = error
        if fault is not None and not confirmed:
            raise fault
        return tuple(confirmed)

    async def tlsa(self, host: str, port: int) -> tuple[TlsaRecord, ...]:
        """The TLSA records of a TCP service that DNSSEC vouches for; none where the answer is not authentic.

        RFC 7672 section 2.2: what is not authenticated counts as absent.
        """
        try:
            answer = await self._ask(f"_{port}._tcp.{host}", dns.rdatatype.TLSA)
        except NameNotFound:
            return ()
        if not _authentic(answer):
            return ()
        return tuple(TlsaRecord(r.usage, r.selector, r.mtype, bytes(r.cert)) for r in answer)

    async def vouched_names(self, host: str) -> tuple[str, ...]:
        """The names under which TLSA records of a host count, in the order in which they are asked for.

        RFC 7672 section 2.2.2: where DNSSEC vouches for the addresses, the name that has them after all aliases
        (CNAME), then the host's own; where it vouches for the alias alone, the host's own; else none, and none for
        an address. Raises as all methods do.
        """
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            return ()
        fault: DnsFault | NameNotFound | None = None
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                answer = await self._ask(host, kind)
            except NameNotFound as error:
                fault = fault or error
                continue
            own, last = host.lower().rstrip("."), str(answer.canonical_name).lower().rstrip(".")
            if _authentic(answer):
                return (own,) if last == own else (last, own)
            return (own,) if last != own and await self._is_alias_vouched_for(host) else ()
        raise fault or NameNotFound(f"{host} has no address")

    async def _is_alias_vouched_for(self, host: str) -> bool:
        try:
            return _authentic(await self._ask(host, dns.rdatatype.CNAME))
        except NameNotFound:
            return False


def _authentic(answer: Answer) -> bool:
    return bool(answer.response.flags & dns.flags.AD)
