"""Mail hosts that are ourselves: left out with all that are not better, whatever they are called (RFC 5321, 5.1)."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path
from typing import Any

import pytest
import structlog

from mailward import (
    Address,
    Clock,
    DnsFault,
    Envelope,
    MailExchanger,
    MessageInfo,
    NextHop,
    NoRoute,
    Ourselves,
    Recipient,
    Resolver,
)
from mailward_relay import RelaySettings
from mailward_relay.exchange import Exchange
from mailward_relay.manner import BY_MX, Manners
from mailward_relay.ours import Ours
from mailward_relay.sts import PolicyStore
from mailward_relay.sts_policy import PolicyFolder

INFO = MessageInfo("m1", Envelope(), 3)
PLAIN = Manners(RelaySettings(), Path).plain
MACHINE = frozenset(map(ipaddress.ip_address, ("192.0.2.1", "2001:db8::1", "127.0.0.1", "::1")))


def ourselves(*places: tuple[str, int]) -> Ourselves:
    found = Ourselves("gate.example", lambda: MACHINE)
    found.listen(places)
    return found


def hosts(resolver: Resolver, domain: str, known: Ourselves, *also: str, port: int = 25) -> list[str] | str:
    """The hosts that mail for a domain goes to, or why it goes nowhere."""
    ours = Ours(known, also, port, resolver, lambda: 0.0, structlog.get_logger())
    policies = PolicyStore(resolver, PLAIN.verified, lambda: 0.0, None, PolicyFolder(Path, lambda: 0.0, None))
    exchange = Exchange(RelaySettings(mx_port=port), resolver, ours, policies, Clock(), 200.0)
    try:
        return [hop.host for hop in asyncio.run(exchange.hops(domain, PLAIN))]
    except NoRoute as error:
        return error.reply.enhanced


ALL = ("0.0.0.0", 25)


@pytest.mark.parametrize(
    ("domain", "place", "also", "found"),
    [
        pytest.param("mirror.example", ALL, (), ["far.mirror.example"], id="an address of ours, under another name"),
        pytest.param("mirror.example", ("192.0.2.1", 25), (), ["far.mirror.example"], id="the address that is bound"),
        pytest.param("only.mirror.example", ALL, (), "5.4.6", id="nothing is left"),
        pytest.param("equal.mirror.example", ALL, (), "5.4.6", id="equal preference is left out too"),
        pytest.param("bare.mirror.example", ALL, (), "5.4.6", id="no MX, our address"),
        pytest.param("second.mirror.example", ALL, (), "5.4.6", id="the second address of the host"),
        pytest.param("loopback.mirror.example", ALL, (), "5.4.6", id="loopback"),
        pytest.param("any.mirror.example", ALL, (), "5.4.6", id="0.0.0.0"),
        pytest.param("[192.0.2.1]", ALL, (), "5.4.6", id="address literal"),
        pytest.param("[192.0.2.9]", ALL, (), ["192.0.2.9"], id="literal of another"),
        pytest.param(
            "mirror.example",
            ("0.0.0.0", 10025),
            (),
            ["far.mirror.example", "us.mirror.example", "behind.mirror.example"],
            id="a listener on another port",
        ),
        pytest.param(
            "mirror.example",
            ("192.0.2.7", 25),
            (),
            ["far.mirror.example", "us.mirror.example", "behind.mirror.example"],
            id="a listener on another address",
        ),
        pytest.param("nat.mirror.example", ALL, (), ["nat-host.mirror.example"], id="behind NAT, not told"),
        pytest.param("nat.mirror.example", ALL, ("203.0.113.77",), "5.4.6", id="behind NAT, told the address"),
        pytest.param("nat.mirror.example", ("10.0.0.1", 2525), ("203.0.113.64/26",), "5.4.6", id="told a prefix"),
        pytest.param("nat.mirror.example", ALL, ("NAT-host.mirror.example.",), "5.4.6", id="told the name"),
        pytest.param("broken-host.mirror.example", ALL, (), ["host.broken.example"], id="DNS did not say"),
    ],
)
def test_rfc_5321_section_5_1_hosts_that_are_ourselves(
    resolver: Resolver, domain: str, place: tuple[str, int], also: tuple[str, ...], found: list[str] | str
) -> None:
    assert hosts(resolver, domain, ourselves(place), *also) == found


def test_where_no_listener_could_be_met_no_address_is_asked_for() -> None:
    class Asked(Resolver):
        async def addresses(self, host: str) -> tuple[str, ...]:
            raise AssertionError("asked")

    ours = Ours(ourselves(("0.0.0.0", 10025)), (), 25, Asked(), lambda: 0.0, structlog.get_logger())
    assert asyncio.run(ours.among(["a.example", "gate.example"])) == {"gate.example"}


def test_addresses_that_cannot_be_read_are_told_once(capsys: pytest.CaptureFixture[str], resolver: Resolver) -> None:
    def refused() -> Any:
        raise PermissionError(1, "not permitted")

    known = Ourselves("gate.example", refused)
    known.listen([ALL])
    ours = Ours(known, (), 25, resolver, lambda: 0.0, structlog.get_logger())
    assert [ours.is_at(one) for one in ("192.0.2.1", "127.0.0.1")] == [False, True]
    assert capsys.readouterr().out.count("the addresses of this machine cannot be read") == 1


def test_hosts_that_hang_in_dns_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Resolver):
        async def addresses(self, host: str) -> tuple[str, ...]:
            if host == "quick.example":
                return ("192.0.2.1",)
            await asyncio.sleep(3600)
            raise AssertionError

    monkeypatch.setattr("mailward_relay.ours.LOOK_UP_S", 0.05)
    ours = Ours(ourselves(ALL), (), 25, Hanging(), lambda: 0.0, structlog.get_logger())
    assert asyncio.run(ours.among(["slow.example", "quick.example"])) == {"quick.example"}


class Turning(Resolver):
    """DNS that says nothing of a host while it is judged, and where it is when it is called."""

    speaks = False

    async def mx(self, domain: str) -> tuple[MailExchanger, ...]:
        return (MailExchanger(10, "turning.example"), MailExchanger(20, "behind.example"))

    async def addresses(self, host: str) -> tuple[str, ...]:
        if not self.speaks:
            raise DnsFault("no answer")
        return ("127.0.0.1",)


def looping(make_relay: Any, send: Any, server: Any, *, listens: bool) -> Any:
    """Route and deliver twice, as the queue does: the result of the first attempt, and the second route."""

    async def run() -> Any:
        async with server.listening():
            known = Ourselves("gate.example", lambda: MACHINE)
            known.listen([("127.0.0.1", server.port)] if listens else [])
            resolver = Turning()
            relay = make_relay(resolver, ourselves=known, mx_port=server.port)
            recipient = Recipient(Address.parse("b@x.example"))
            hop = (await relay.route(recipient, INFO))[0]
            resolver.speaks = True
            result = (await send(relay, 0, hop=hop))[0]
            try:
                second: Any = await relay.route(recipient, INFO)
            except NoRoute as error:
                second = error.reply.enhanced
            await relay.stop()
            return result, second

    return asyncio.run(run())


def test_a_host_that_turns_out_to_be_ourselves_is_not_called(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer()
    result, second = looping(make_relay, send, server, listens=True)
    assert (result.status, second) == ("deferred", "5.4.6")
    assert "127.0.0.1 is an address of ours" in result.detail
    assert server.connections == 0


@pytest.mark.parametrize("refused", [False, True], ids=["EHLO", "HELO"])
def test_a_host_that_answers_by_our_name_is_ourselves(make_relay: Any, send: Any, peer: Any, refused: bool) -> None:
    script = {"EHLO": "500 what?", "HELO": "250 GATE.example"} if refused else {"EHLO": "250 GATE.example hello"}
    server = peer(script=script)
    result, second = looping(make_relay, send, server, listens=False)
    assert (result.status, second) == ("deferred", "5.4.6")
    assert "answers by our own name, gate.example" in result.detail
    assert not any(command.startswith("MAIL") for command in server.commands)


def test_a_server_on_this_machine_that_a_table_names_is_not_ourselves(make_relay: Any, send: Any, peer: Any) -> None:
    """A filter behind us on 127.0.0.1:10025 has our name as a rule, and listeners of ours on other ports."""

    async def run() -> None:
        async with peer(script={"EHLO": "250 gate.example"}).listening() as server:
            local = {"house.example": f"127.0.0.1:{server.port}"}
            known = ourselves(ALL, ("127.0.0.1", server.port))
            relay = make_relay(ourselves=known, local=local, mx_port=server.port, also_known_as=["127.0.0.1"])
            hops = await relay.route(Recipient(Address.parse("b@house.example")), INFO)
            assert hops == (NextHop("smtp", "127.0.0.1", server.port),)
            assert (await send(relay, 0, hop=hops[0]))[0].status == "delivered"
            await relay.stop()

    asyncio.run(run())


def test_hosts_found_by_mx_are_told_from_those_that_a_table_names(make_relay: Any, resolver: Resolver) -> None:
    relay = make_relay(resolver)
    (hop,) = asyncio.run(relay.route(Recipient(Address.parse("b@implicit.example")), INFO))
    assert hop == NextHop("smtp", "implicit.example", 25, route=BY_MX)


@pytest.mark.parametrize("entry", ["", "300.1.1.1", "10.0.0.1/8", "no name", "mx.example.com:25"])
def test_what_is_neither_name_nor_address_is_an_error_at_load(make_relay: Any, entry: str) -> None:
    with pytest.raises(ValueError, match=r"allowed: mx\.example\.com, 192\.0\.2\.1"):
        make_relay(also_known_as=(entry,))
