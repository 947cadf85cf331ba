"""Where this gateway is reached: what a plugin needs to tell a way back to us from a way onward."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from attrs import frozen

from mailward.hooks.machine import IPAddress, machine_addresses


def _plain(text: str) -> IPAddress | None:
    """An address as connections take it: without a zone, IPv4 in IPv6 as IPv4; None where it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@frozen
class OwnAddresses:
    """Addresses that lead to this gateway at one moment; ``loopback``: every loopback address is among them."""

    addresses: frozenset[IPAddress] = frozenset()
    loopback: bool = False

    def __contains__(self, text: object) -> bool:
        address = _plain(str(text))
        if address is None:
            return False
        if address.is_unspecified:  # Linux connects to the loopback address then
            return self.loopback or any(own.is_loopback for own in self.addresses)
        return address in self.addresses or (self.loopback and address.is_loopback)

    def __bool__(self) -> bool:
        return self.loopback or bool(self.addresses)


class Ourselves:
    """The name of this gateway, and the places where its listeners are bound."""

    def __init__(
        self,
        hostname: str = "localhost",
        machine: Callable[[], frozenset[IPAddress]] = machine_addresses,
    ) -> None:
        """``machine`` gives the addresses of the machine, and raises OSError where it cannot."""
        self._hostname = hostname.lower()
        self._machine = machine
        self._places: frozenset[tuple[str, int]] = frozenset()

    def listen(self, places: Iterable[tuple[str, int]]) -> None:
        """The listeners are bound to these hosts (addresses) and ports."""
        self._places = frozenset(places)

    def is_named(self, host: str) -> bool:
        """Whether a host has the name of this gateway (`gateway.hostname`)."""
        return host.lower().rstrip(".") == self._hostname

    def at(self, port: int) -> OwnAddresses:
        """The addresses at which a connection to ``port`` ends at one of our own listeners.

        A listener on all addresses has those that the machine has now. Raises OSError where these
        cannot be found out.
        """
        bound = [address for host, at in self._places if at == port and (address := _plain(host)) is not None]
        versions = {address.version for address in bound if address.is_unspecified}
        if not versions:
            return OwnAddresses(frozenset(bound), loopback=False)
        # A listener on [::] takes IPv4 too.
        served = (4, 6) if 6 in versions else (4,)
        machine = {address for address in self._machine() if address.version in served}
        return OwnAddresses(frozenset({*bound, *machine}), loopback=True)
