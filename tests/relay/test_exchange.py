"""Next hops by DNS, from a real name server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mailward import (
    Address,
    Clock,
    DnsFault,
    Envelope,
    MailExchanger,
    MessageInfo,
    NameNotFound,
    NextHop,
    NoRoute,
    Ourselves,
    Recipient,
    Resolver,
)
from mailward_relay import RelaySettings
from mailward_relay.exchange import MAX_HOPS, Exchange
from mailward_relay.manner import BY_MX, Manners
from mailward_relay.ours import Ours
from mailward_relay.sts import PolicyStore
from mailward_relay.sts_policy import PolicyFolder

PLAIN = Manners(RelaySettings(), Path).plain
INFO = MessageInfo("m1", Envelope(), 3)


def exchange_of(resolver: Resolver, clock: Clock = Clock(), **settings: Any) -> Exchange:  # noqa: B008 frozen
    policies = PolicyStore(resolver, PLAIN.verified, clock.monotonic, None, PolicyFolder(Path, clock.time, None))
    ours = Ours(Ourselves("gate.example"), (), 25, resolver, clock.monotonic, None)
    return Exchange(RelaySettings(**settings), resolver, ours, policies, clock, 200.0)


def hosts(exchange: Exchange, domain: str, seed: str = "") -> list[str]:
    return [hop.host for hop in asyncio.run(exchange.hops(domain, PLAIN, seed))]


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
    assert hosts(exchange_of(resolver), domain) == expected


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
        asyncio.run(exchange_of(resolver).hops(domain, PLAIN))
    assert (error.value.reply.code, error.value.reply.enhanced) == (code, enhanced)


def test_dns_fault_is_not_absence(resolver: Resolver) -> None:
    with pytest.raises(DnsFault):
        asyncio.run(exchange_of(resolver).hops("broken.example", PLAIN))


def test_equals_are_shuffled_behind_the_best(resolver: Resolver) -> None:
    orders = set()
    for seed in range(20):
        found = hosts(exchange_of(resolver), "equal.example", f"m{seed}")
        assert found[0] == "best.equal.example"
        assert sorted(found[1:]) == ["a.equal.example", "b.equal.example", "c.equal.example"]
        orders.add(tuple(found))
    assert len(orders) > 1


def test_number_of_hops_is_bounded(resolver: Resolver) -> None:
    class Many(Resolver):
        async def mx(self, domain: str) -> tuple[MailExchanger, ...]:
            return tuple(MailExchanger(10, f"m{number}.example") for number in range(1000))

    assert len(hosts(exchange_of(Many()), "many.example")) == MAX_HOPS


def test_route_of_the_plugin_uses_the_port_of_the_settings(make_relay: Any, resolver: Resolver) -> None:
    relay = make_relay(resolver, mx_port=2525, forward={"other.example": "mx.example"})
    hops = asyncio.run(relay.route(Recipient(Address.parse("b@other.example")), INFO))
    assert hops == tuple(NextHop("smtp", f"{host}.mx.example", 2525, route=BY_MX) for host in ("first", "second"))


def test_unreachable_mx_is_followed_by_the_next(make_relay: Any, send: Any, peer: Any, resolver: Resolver) -> None:
    async def run() -> None:
        async with peer().listening() as server:
            relay = make_relay(resolver, mx_port=server.port)
            hops = await relay.route(Recipient(Address.parse("b@mx.example")), INFO)
            first, second = [(await send(relay, 0, hop=hop))[0] for hop in reversed(hops)]
            assert (first.status, first.next_hop) == ("unreachable", f"smtp:second.mx.example:{server.port}")
            assert second.status == "delivered"
            await relay.stop()

    asyncio.run(run())


class Asked(Resolver):
    """Counts what it is asked, and answers what the test says."""

    def __init__(self, answer: tuple[MailExchanger, ...] | Exception) -> None:
        super().__init__()
        self.answer = answer
        self.questions = 0

    async def mx(self, domain: str) -> tuple[MailExchanger, ...]:
        self.questions += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def addresses(self, host: str) -> tuple[str, ...]:
        raise NameNotFound("no")


@pytest.mark.parametrize(
    ("ttl_s", "period_s", "kept_s"),
    [
        pytest.param(60, 1200, 1200, id="the period where DNS says less"),
        pytest.param(5000, 1200, 5000, id="what DNS says where that is longer"),
    ],
)
def test_kav_que_02_mx_records_are_kept_for_the_longer_of_ttl_and_period(
    ttl_s: float, period_s: float, kept_s: float
) -> None:
    now = [0.0]
    resolver = Asked((MailExchanger(10, "a.example", ttl_s),))
    exchange = exchange_of(resolver, Clock(monotonic=lambda: now[0]), mx_cache_s=period_s)
    for at, questions in ((0.0, 1), (kept_s - 1, 1), (kept_s + 1, 2)):
        now[0] = at
        assert hosts(exchange, "x.example") == ["a.example"]
        assert resolver.questions == questions


def test_kav_que_02_a_domain_that_does_not_exist_is_not_asked_for_again() -> None:
    now = [0.0]
    resolver = Asked(NameNotFound("no"))
    exchange = exchange_of(resolver, Clock(monotonic=lambda: now[0]), unresolved_cache_s=100.0)
    for at, questions in ((0.0, 1), (99.0, 1), (101.0, 2)):
        now[0] = at
        with pytest.raises(NoRoute):
            hosts(exchange, "x.example")
        assert resolver.questions == questions


def test_that_dns_did_not_answer_is_kept_for_less_than_the_first_retry() -> None:
    now = [0.0]
    resolver = Asked(DnsFault("no answer"))
    exchange = exchange_of(resolver, Clock(monotonic=lambda: now[0]))
    for at, questions in ((0.0, 1), (199.0, 1), (201.0, 2)):
        now[0] = at
        with pytest.raises(DnsFault):
            hosts(exchange, "x.example")
        assert resolver.questions == questions


def test_recipients_of_one_message_have_one_order_of_hosts(resolver: Resolver) -> None:
    exchange = exchange_of(resolver)
    assert len({tuple(hosts(exchange, "equal.example", "one message")) for _ in range(20)}) == 1
