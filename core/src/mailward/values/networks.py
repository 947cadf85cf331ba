"""Sets of IP addresses and networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from attrs import frozen

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@frozen
class Networks:
    """Addresses and networks, as in ``192.0.2.1``, ``10.0.0.0/8``, ``2001:db8::/32``."""

    networks: tuple[_Network, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Networks:
        """Read a list of addresses and networks; raises ValueError that names what is neither."""
        found: list[_Network] = []
        for text in texts:
            try:
                found.append(ipaddress.ip_network(text))
            except ValueError as error:
                raise ValueError(f"{text!r} is no address and no network: {error}") from None
        return cls(tuple(found))

    def __contains__(self, address: str) -> bool:
        if not self.networks:
            return False
        try:
            wanted = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(wanted in network for network in self.networks)
