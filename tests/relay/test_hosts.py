"""The list of clients that may relay."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward_relay.hosts import Hosts, parse_network

LISTED = [
    pytest.param("10.0.0.1", "10.0.0.1", True, id="KAV-ACC-03 address"),
    pytest.param("10.0.0.1", "10.0.0.2", False, id="KAV-ACC-03 other address"),
    pytest.param("10.0.0.0/8", "10.255.255.255", True, id="KAV-ACC-03 prefix"),
    pytest.param("10.0.0.0/8", "11.0.0.0", False, id="KAV-ACC-03 behind the prefix"),
    pytest.param("10.0.0.0/255.255.0.0", "10.0.255.1", True, id="KAV-ACC-03 dotted mask"),
    pytest.param("10.0.0.0/255.255.0.0", "10.1.0.0", False, id="KAV-ACC-03 behind the dotted mask"),
    pytest.param("1.2.3.*", "1.2.3.255", True, id="SAV-RLY-04 last element"),
    pytest.param("1.2.3.*", "1.2.4.1", False, id="SAV-RLY-04 other third element"),
    pytest.param("1.2.*", "1.2.200.1", True, id="SAV-RLY-04 last two elements"),
    pytest.param("1.*", "1.255.0.1", True, id="SAV-RLY-04 last three elements"),
    pytest.param("1.*", "11.0.0.1", False, id="SAV-RLY-04 elements are whole"),
    pytest.param("2001:db8::/32", "2001:db8:1::1", True, id="IPv6 prefix"),
    pytest.param("2001:db8::/32", "2001:db9::", False, id="behind the IPv6 prefix"),
    pytest.param("::1", "::1", True, id="IPv6 address"),
    pytest.param("fe80::/10", "fe80::1%eth0", True, id="IPv6 with zone"),
    pytest.param("127.0.0.1", "::ffff:127.0.0.1", True, id="IPv4 in IPv6"),
    pytest.param("0.0.0.0/0", "203.0.113.9", True, id="SAV-RLY-01 everybody"),
    pytest.param("0.0.0.0/0", "::1", False, id="everybody in IPv4 is nobody in IPv6"),
    pytest.param("10.0.0.0/8", "", False, id="unknown client"),
    pytest.param("10.0.0.0/8", "client.example", False, id="a name is no address"),
]


@pytest.mark.parametrize(("entry", "client", "listed"), LISTED)
def test_address_is_listed(entry: str, client: str, listed: bool) -> None:
    assert (client in Hosts([entry])) is listed


def test_empty_list_lists_nobody() -> None:
    assert "127.0.0.1" not in Hosts()


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("mail.example.com", "allowed: an address"),
        ("*.1.2.3", "allowed"),
        ("1.2.3.4*", "allowed"),
        ("*", "allowed"),
        ("", "allowed"),
        ("10.0.0.256", "allowed"),
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("10.0.0.0/0.255.255.255", "write 10.0.0.0/255.0.0.0"),
        ("10.0.0.0/255.0.255.0", "allowed"),
        ("2001:db8::1/32", "write 2001:db8::/32"),
    ],
)
def test_wrong_entry_says_what_is_allowed(entry: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse_network(entry)
    assert repr(entry) in str(error.value)
    assert hint in str(error.value)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.lists(st.ip_addresses(v=4), max_size=20))
def test_look_up_agrees_with_the_networks(
    base: ipaddress.IPv4Address, length: int, clients: list[ipaddress.IPv4Address]
) -> None:
    network = ipaddress.ip_network(f"{base}/{length}", strict=False)
    hosts = Hosts([str(network), "192.0.2.1", "198.51.100.0/24"])
    others = [ipaddress.ip_network("192.0.2.1"), ipaddress.ip_network("198.51.100.0/24")]
    for client in (*clients, base):
        assert (str(client) in hosts) is any(client in known for known in (network, *others))
