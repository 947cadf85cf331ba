"""Next hops by DNS, from a real name server."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from mailward import Address, DnsFault, MailExchanger, NextHop, NoRoute, Recipient, Resolver
from mailward_relay.exchange import MAX_HOPS, Exchange


def hosts(exchange: Exchange, domain: str) -> list[str]:
    return [hop.host for hop in asyncio.run(exchange.hops(domain))]


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        pytest.param("mx.example", ["first.mx.example", "second.mx.example"], id="by preference"),
        pytest.param("implicit.example", ["implicit.example"], id="SAV-RTE-02 no MX, A"),
        pytest.param("six.example", ["six.example"], id="no MX, AAAA"),
        pytest.param("loop.example", ["far.example"], id="ourselves and all behind us left out"),
        pytest.param("[127.0.0.9]", ["127.0.0.9"], id="address literal"),
        pytest.param("[ipv6:2001:db8::1]", ["2001:db8::1"], id="IPv6 literal"),
    ],
)
def test_hops(resolver: Resolver, domain: str, expected: list[str]) -> None:
    assert hosts(Exchange(resolver, "gate.example"), domain) == expected


@pytest.mark.parametrize(
    ("domain", "code", "enhanced"),
    [
        pytest.param("null.example", 556, "5.1.10", id="RFC 7505 null MX"),
        pytest.param("absent.example", 550, "5.1.2", id="NXDOMAIN"),
        pytest.param("empty.example", 550, "5.1.2", id="neither MX nor address"),
        pytest.param("selfish.example", 554, "5.4.6", id="only ourselves"),
        pytest.param("gate.example", 554, "5.4.6", id="our own name"),
        pytest.param("[300.1.1.1]", 550, "5.1.2", id="literal that is none"),
        pytest.param(f"{'a' * 64}.example", 550, "5.1.2", id="label that DNS cannot hold"),
    ],
)
def test_no_route_for_good(resolver: Resolver, domain: str, code: int, enhanced: str) -> None:
    with pytest.raises(NoRoute) as error:
        asyncio.run(Exchange(resolver, "gate.example").hops(domain))
    assert (error.value.reply.code, error.value.reply.enhanced) == (code, enhanced)


def test_dns_fault_is_not_absence(resolver: Resolver) -> None:
    with pytest.raises(DnsFault):
        asyncio.run(Exchange(resolver, "gate.example").hops("broken.example"))


def test_equals_are_shuffled_behind_the_best(resolver: Resolver) -> None:
    orders = set()
    for seed in range(20):
        found = hosts(Exchange(resolver, "gate.example", shuffle=random.Random(seed).shuffle), "equal.example")
        assert found[0] == "best.equal.example"
        assert sorted(found[1:]) == ["a.equal.example", "b.equal.example", "c.equal.example"]
        orders.add(tuple(found))
    assert len(orders) > 1


def test_number_of_hops_is_bounded(resolver: Resolver) -> None:
    class Many(Resolver):
        async def mx(self, domain: str) -> tuple[MailExchanger, ...]:
            return tuple(MailExchanger(10, f"m{number}.example") for number in range(1000))

    assert len(hosts(Exchange(Many(), "gate.example"), "many.example")) == MAX_HOPS


def test_route_of_the_plugin_uses_the_port_of_the_settings(make_relay: Any, resolver: Resolver) -> None:
    relay = make_relay(resolver, mx_port=2525, forward={"other.example": "mx.example"})
    hops = asyncio.run(relay.route(Recipient(Address.parse("b@other.example"))))
    assert hops == (NextHop("smtp", "first.mx.example", 2525), NextHop("smtp", "second.mx.example", 2525))


def test_unreachable_mx_is_followed_by_the_next(make_relay: Any, send: Any, peer: Any, resolver: Resolver) -> None:
    async def run() -> None:
        async with peer().listening() as server:
            relay = make_relay(resolver, mx_port=server.port)
            hops = await relay.route(Recipient(Address.parse("b@mx.example")))
            first, second = [(await send(relay, 0, hop=hop))[0] for hop in reversed(hops)]
            assert (first.status, first.next_hop) == ("unreachable", f"smtp:second.mx.example:{server.port}")
            assert second.status == "delivered"
            await relay.stop()

    asyncio.run(run())
