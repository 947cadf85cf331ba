"""Where the gateway is reached: its name, and the addresses at which its listeners take connections."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from mailward import Ourselves
from mailward.hooks.machine import machine_addresses

MACHINE = frozenset(map(ipaddress.ip_address, ("192.0.2.1", "2001:db8::1", "127.0.0.1", "::1")))


def at(port: int, *places: tuple[str, int]) -> Ourselves:
    ourselves = Ourselves("mx.example.com", lambda: MACHINE)
    ourselves.listen(places)
    return ourselves


@pytest.mark.parametrize(
    ("bound", "address", "ours"),
    [
        pytest.param("192.0.2.1", "192.0.2.1", True, id="the address that is bound"),
        pytest.param("192.0.2.1", "::ffff:192.0.2.1", True, id="as IPv6"),
        pytest.param("192.0.2.1", "192.0.2.2", False, id="another address"),
        pytest.param("192.0.2.1", "127.0.0.1", False, id="loopback that is not bound"),
        pytest.param("192.0.2.1", "0.0.0.0", False, id="any, and loopback is not bound"),
        pytest.param("127.0.0.1", "127.0.0.1", True, id="loopback"),
        pytest.param("127.0.0.1", "127.0.0.2", False, id="another server's loopback"),
        pytest.param("127.0.0.1", "0.0.0.0", True, id="any is loopback"),
        pytest.param("0.0.0.0", "192.0.2.1", True, id="all IPv4 addresses: of the machine"),
        pytest.param("0.0.0.0", "127.9.9.9", True, id="all: every loopback address"),
        pytest.param("0.0.0.0", "2001:db8::1", False, id="all IPv4, asked for IPv6"),
        pytest.param("::", "192.0.2.1", True, id="all: IPv4"),
        pytest.param("::", "2001:db8::1", True, id="all: IPv6"),
        pytest.param("::", "::", True, id="all: any"),
        pytest.param("::", "198.51.100.1", False, id="all: not of the machine"),
        pytest.param("fe80::1%eth0", "fe80::1", True, id="with a zone"),
        pytest.param("::", "mx.example.com", False, id="a name is no address"),
    ],
)
def test_an_address_is_ours_where_a_listener_takes_connections_to_it(bound: str, address: str, ours: bool) -> None:
    assert (address in at(25, (bound, 25), ("192.0.2.99", 587)).at(25)) is ours


def test_only_listeners_of_the_port_count() -> None:
    ourselves = at(25, ("0.0.0.0", 10025))
    assert not ourselves.at(25)
    assert "192.0.2.1" not in ourselves.at(25)
    assert "192.0.2.1" in ourselves.at(10025)


def test_the_name_is_ours_in_any_spelling() -> None:
    ourselves = at(25)
    assert ourselves.is_named("MX.example.com.")
    assert not ourselves.is_named("mx2.example.com")


def test_the_kernel_lists_the_addresses_that_can_be_bound() -> None:
    found = machine_addresses()
    assert ipaddress.ip_address("127.0.0.1") in found
    for address in found:
        if not address.is_link_local:
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.bind((str(address), 0))
