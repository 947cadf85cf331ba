"""DNS for plugins: asynchronous, cached, with a deadline, faults told apart from absence."""

from __future__ import annotations

import ipaddress

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename
from attrs import frozen
from dns.resolver import Answer

from mailward.values.errors import DnsFault, NameNotFound


@frozen
class MailExchanger:
    """One MX record (RFC 5321 section 5.1)."""

    preference: int
    host: str


class Resolver:
    """Look-ups through the configured name servers, or the system's where none are named.

    Every method raises `NameNotFound` where DNS says there is no such thing, and `DnsFault`
    where DNS did not say (time-out, SERVFAIL, refused): the first is a fact, the second is not.
    """

    def __init__(self, servers: tuple[str, ...] = (), timeout_s: float = 5.0, cache_entries: int = 10_000) -> None:
        self._servers = servers
        self._timeout_s = timeout_s
        self._cache = dns.resolver.LRUCache(cache_entries)
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
                    dns.nameserver.Do53Nameserver(address, port) for address, port in map(_split, self._servers)
                ]
            made.cache = self._cache
            made.lifetime = self._timeout_s
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
        found = [MailExchanger(r.preference, str(r.exchange).rstrip(".")) for r in answer]
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


def _split(server: str) -> tuple[str, int]:
    if server.startswith("["):
        host, _, port = server[1:].partition("]")
        return host, int(port.lstrip(":") or 53)
    if server.count(":") == 1:
        host, _, port = server.partition(":")
        return host, int(port)
    return server, 53
