"""Directions: whether mail comes in, goes out, or stays in the house."""

from __future__ import annotations

import ipaddress
from enum import StrEnum

from mailward import Envelope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Direction(StrEnum):
    """Which way mail goes."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


def network(text: str) -> Network:
    """An address or network from the settings; raises ValueError that says what is allowed."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"{text!r} is no address and no network; allowed: as in '10.0.0.5' or '10.0.0.0/8'") from error


def direction_of(envelope: Envelope, inside: tuple[Network, ...]) -> Direction:
    """The direction of a copy, whose recipients are all in the house or all outside.

    Mail comes from inside where its client authenticated or has an address of ``inside``. The sender's
    address does not count: anybody can write it.
    """
    if envelope.recipients and not all(one.local for one in envelope.recipients):
        return Direction.OUTBOUND
    return Direction.INTERNAL if _from_inside(envelope, inside) else Direction.INBOUND


def _from_inside(envelope: Envelope, inside: tuple[Network, ...]) -> bool:
    if envelope.session.user:
        return True
    try:
        client = ipaddress.ip_address(envelope.session.client_ip)
    except ValueError:
        return False
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return any(client in one for one in inside)
