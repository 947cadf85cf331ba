"""What DNS must know: of clients and senders, and of ourselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mailward import NULL, Address, Check, Resolver
from mailward.engine.gateway_settings import GatewaySettings
from mailward.gateway.clients import look_up, sender_refusal
from mailward_relay import RelaySettings
from mailward_relay.checks import check_names


@pytest.mark.parametrize(
    ("client_ip", "name", "code"),
    [
        pytest.param("203.0.113.9", "friend.partner.example", 0, id="KAV-ACC-01 a name"),
        pytest.param("203.0.113.10", "", 0, id="KAV-ACC-01 a name that is not confirmed"),
        pytest.param("192.0.2.1", "", 5, id="KAV-ACC-01 no name"),
    ],
)
def test_kav_acc_01_a_client_without_a_name_is_refused(
    resolver: Resolver, client_ip: str, name: str, code: int
) -> None:
    found = asyncio.run(look_up(resolver, client_ip, GatewaySettings(deny_unresolved_clients=True)))
    assert found.name == name
    assert (0 if found.refusal is None else found.refusal.code // 100) == code


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        pytest.param("a@mx.example", 0, id="MX with address"),
        pytest.param("a@implicit.example", 0, id="no MX, but an address"),
        pytest.param("a@absent.example", 5, id="KAV-ACC-02 NXDOMAIN"),
        pytest.param("a@toothless.example", 5, id="KAV-ACC-02 MX without an address"),
        pytest.param("a@null.example", 5, id="RFC 7505 null MX"),
        pytest.param("a@broken.example", 4, id="KAV-ACC-02 DNS fails: 4xx"),
        pytest.param("a@[192.0.2.1]", 0, id="address literal"),
        pytest.param("", 0, id="KAV-ACC-02 null sender"),
    ],
)
def test_kav_acc_02_a_sender_without_a_mail_host_is_refused(resolver: Resolver, sender: str, code: int) -> None:
    refusal = asyncio.run(sender_refusal(resolver, Address.parse(sender) if sender else NULL))
    assert (0 if refusal is None else refusal.code // 100) == code


def checks(resolver: Resolver, hostname: str, **settings: Any) -> dict[str, Check]:
    return {one.name: one for one in asyncio.run(check_names(RelaySettings(**settings), hostname, resolver))}


def test_sav_rte_07_our_name_and_our_domains_are_looked_up(resolver: Resolver) -> None:
    local = {"mx.example": "10.0.0.1", "absent.example": "mx", "*.wide.example": "mx", "192.0.2.1": "10.0.0.1"}
    found = checks(resolver, "good.gate.example", local=local)
    assert found.keys() == {"DNS for good.gate.example", "MX of mx.example", "MX of absent.example"}
    assert found["DNS for good.gate.example"].detail == "203.0.113.20 and back"
    assert found["MX of mx.example"].detail == "first.mx.example, second.mx.example"
    assert not found["MX of absent.example"].ok
    assert found["MX of absent.example"].warning


@pytest.mark.parametrize(
    ("hostname", "said"),
    [("gate.example", "PTR of 127.0.0.1 does not name it"), ("absent.example", "absent.example has no address")],
)
def test_sav_rte_07_a_name_that_others_would_not_trust_is_a_warning(
    resolver: Resolver, hostname: str, said: str
) -> None:
    (found,) = checks(resolver, hostname).values()
    assert (found.ok, found.warning, found.detail) == (False, True, said)


def test_dns_is_no_matter_where_all_mail_goes_to_one_host(resolver: Resolver) -> None:
    assert checks(resolver, "absent.example", default="10.0.0.1") == {}
    assert checks(resolver, "localhost") == {}
