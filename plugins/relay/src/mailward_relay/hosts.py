"""Lists of client addresses: who may relay (KAV-ACC-03, SAV-RLY-04)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

ALLOWED = "an address, a prefix (10.0.0.0/8), a dotted mask (10.0.0.0/255.0.0.0), 1.2.*, or IPv6 of the first two forms"

_STARRED = re.compile(r"((?:\d{1,3}\.){1,3})\*")
_LENGTHS = {4: 32, 6: 128}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_network(entry: str) -> Network:
    """One entry of a list as a network; raises ValueError with a message for the administrator."""
    text = entry.strip()
    if starred := _STARRED.fullmatch(text):
        octets = starred[1].rstrip(".").split(".")
        text = f"{'.'.join([*octets, *['0'] * (4 - len(octets))])}/{8 * len(octets)}"
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"{entry!r} is no client address; allowed: {ALLOWED}") from error
    address, _, mask = text.partition("/")
    if "." in mask and mask != str(network.netmask):
        raise ValueError(f"{entry!r} has the mask upside down; write {network.network_address}/{network.netmask}")
    if ipaddress.ip_address(address) != network.network_address:
        raise ValueError(f"{entry!r} has bits set beyond its mask; write {network}")
    return network


class Hosts:
    """A set of networks, asked in one look-up for each prefix length that occurs in it."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        found: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
        for network in map(parse_network, entries):
            shift = _LENGTHS[network.version] - network.prefixlen
            found[network.version].setdefault(shift, set()).add(int(network.network_address) >> shift)
        self._prefixes = {
            version: tuple((shift, frozenset(heads)) for shift, heads in sorted(by_shift.items()))
            for version, by_shift in found.items()
        }

    @property
    def everything(self) -> bool:
        """Whether an entry covers all of IPv4 or all of IPv6."""
        return any(shift == _LENGTHS[version] for version, found in self._prefixes.items() for shift, _ in found)

    def __contains__(self, client_ip: str) -> bool:
        try:
            address = ipaddress.ip_address(client_ip.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        number = int(address)
        return any(number >> shift in heads for shift, heads in self._prefixes[address.version])
