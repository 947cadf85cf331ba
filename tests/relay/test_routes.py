"""The routing tables."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mailward import Address, Envelope, MessageInfo, NextHop, Recipient
from mailward_relay.routes import Routes
from mailward_relay.targets import ByExchange, Target, parse_target

LOCAL = {
    "exact.example": "10.0.0.5:2525",
    "*.example": "10.0.0.1",
    "*.deep.example": "10.0.0.2",
    "bare.example": "",
    "mx.example": "mx",
    "folder.example": "maildir:/var/mail/x",
    "192.0.2.7": "10.0.0.7",
    "[2001:db8::7]": "10.0.0.8",
    "bücher.test": "10.0.0.9",
}
FORWARD = {
    "first.test": "[relay.test]",
    "*.test": "domain.test",
    "second.test": "never.test:25",
    "a?c.*": "10.1.1.1:26",
    "box.test2": "smtp://host.test:27",
}

FOUND = [
    pytest.param("exact.example", NextHop("smtp", "10.0.0.5", 2525), id="SAV-RTE-04 exact beats wildcard"),
    pytest.param("other.example", NextHop("smtp", "10.0.0.1", 25), id="SAV-RTE-03 port 25"),
    pytest.param("a.deep.example", NextHop("smtp", "10.0.0.2", 25), id="SAV-RTE-04 longest wildcard"),
    pytest.param("deep.example", NextHop("smtp", "10.0.0.1", 25), id="SAV-RTE-04 wildcard is not the bare name"),
    pytest.param("a.exact.example", NextHop("smtp", "10.0.0.1", 25), id="SAV-RTE-04 exact is not its subdomains"),
    pytest.param("bare.example", ByExchange("bare.example"), id="SAV-RTE-02 left side only"),
    pytest.param("mx.example", ByExchange("mx.example"), id="SAV-RTE-02 mx"),
    pytest.param("folder.example", NextHop("maildir", path="/var/mail/x"), id="maildir"),
    pytest.param("[192.0.2.7]", NextHop("smtp", "10.0.0.7", 25), id="SAV-RTE-01 address"),
    pytest.param("[ipv6:2001:db8:0::7]", NextHop("smtp", "10.0.0.8", 25), id="address in another spelling"),
    pytest.param("bücher.test", NextHop("smtp", "10.0.0.9", 25), id="international domain"),
    pytest.param("xn--bcher-kva.test", NextHop("smtp", "10.0.0.9", 25), id="international domain in IDNA"),
    pytest.param("first.test", NextHop("smtp", "relay.test", 25), id="KAV-RTE-01 host"),
    pytest.param("second.test", ByExchange("domain.test"), id="KAV-RTE-01 first match wins, bare name is its MX"),
    pytest.param("abc.org", NextHop("smtp", "10.1.1.1", 26), id="KAV-RTE-01 general mask"),
    pytest.param("box.test2", NextHop("smtp", "host.test", 27), id="KAV-RTE-01 smtp URL"),
    pytest.param("else.where", NextHop("smtp", "smart.host", 587), id="SAV-RTE-05 default"),
    pytest.param("[192.0.2.8]", NextHop("smtp", "smart.host", 587), id="SAV-RTE-05 default for an address"),
]


def path(text: str) -> Any:
    return text


@pytest.mark.parametrize(("domain", "target"), FOUND)
def test_find(domain: str, target: Target) -> None:
    assert Routes(LOCAL, FORWARD, "smart.host:587", path).find(domain) == target


@pytest.mark.parametrize(
    ("order", "winner"), [(["any", "*.a.test", "x.a.test"], "any"), (["x.a.test", "*.a.test", "any"], "x.a.test")]
)
def test_kav_rte_01_order_decides_between_forward_masks(order: list[str], winner: str) -> None:
    ports = {"any": 1, "*.a.test": 2, "x.a.test": 3}
    routes = Routes({}, {mask: f"host.test:{ports[mask]}" for mask in order}, "", path)
    assert routes.find("x.a.test") == NextHop("smtp", "host.test", ports[winner])


def test_sav_rte_05_local_wins_over_forward() -> None:
    routes = Routes({"x.example": "mx"}, {"any": "10.0.0.1:25"}, "10.0.0.2:25", path)
    assert routes.find("x.example") == ByExchange("x.example")


def test_star_makes_everything_local() -> None:
    routes = Routes({"*": "10.0.0.1", "x.example": "10.0.0.2"}, {}, "", path)
    assert routes.is_local("any.where")
    assert routes.find("x.example") == NextHop("smtp", "10.0.0.2", 25)
    assert routes.find("[192.0.2.1]") == NextHop("smtp", "10.0.0.1", 25)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("host.test", NextHop("smtp", "host.test", 25)),
        ("HOST.test:26", NextHop("smtp", "host.test", 26)),
        ("[2001:db8::1]:26", NextHop("smtp", "2001:db8::1", 26)),
        ("[2001:db8::1]", NextHop("smtp", "2001:db8::1", 25)),
        ("[host.test:26]", NextHop("smtp", "host.test", 26)),
        ("[10.0.0.1]", NextHop("smtp", "10.0.0.1", 25)),
        ("smtp://[2001:db8::1]:26", NextHop("smtp", "2001:db8::1", 26)),
        ("", ByExchange()),
        ("MX", ByExchange()),
    ],
)
def test_target_of_a_local_entry(text: str, target: Target) -> None:
    assert parse_target(text, path) == target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("host.test", ByExchange("host.test")),
        ("host.test:25", NextHop("smtp", "host.test", 25)),
        ("[host.test]", NextHop("smtp", "host.test", 25)),
        ("10.0.0.1", NextHop("smtp", "10.0.0.1", 25)),
        ("smtp://host.test", NextHop("smtp", "host.test", 25)),
        ("mx", ByExchange()),
    ],
)
def test_kav_rte_01_target_of_a_forward_entry(text: str, target: Target) -> None:
    assert parse_target(text, path, bare_is_domain=True) == target


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"local": {"exa_mple..com": "mx"}}, r"local: 'exa_mple..com' = 'mx': the name is no domain; allowed: "),
        ({"local": {"a*.example": "mx"}}, r"local: 'a\*.example' = 'mx': the name is no domain; allowed: "),
        ({"local": {"x.example": "a b"}}, r"local: 'x.example' = 'a b': is no target; allowed: mx, host"),
        ({"local": {"x.example": "host:0"}}, r"'host:0': has a port out of range; allowed: 1 to 65535"),
        ({"local": {"x.example": "host:70000"}}, r"has a port out of range"),
        ({"local": {"x.example": "::1"}}, r"IPv6 address without brackets; write \[::1\]"),
        ({"local": {"x.example": "maildir:"}}, r"has no path; write maildir:"),
        ({"local": {"x.example": "mx", "X.example": "mx"}}, r"named twice"),
        ({"forward": {"x y": "mx"}}, r"forward: 'x y' is no mask of domains; allowed: "),
        ({"forward": {"x.example": "[a b]"}}, r"forward: 'x.example' = '\[a b\]': is no target"),
        ({"default": "a:b"}, r"default = 'a:b': is no target"),
        ({"mail_timeout_s": 0.5}, r"out of range; allowed: 1 to 1200"),
        ({"data_initiation_timeout_s": 2401.0}, r"out of range; allowed: 1 to 2400"),
        ({"data_termination_timeout_s": 7201.0}, r"out of range; allowed: 1 to 7200"),
        ({"max_per_host": 0}, r"out of range; allowed: 1 to 1024"),
    ],
)
def test_wrong_settings_are_explained(make_relay: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_relay(**settings)


def test_relative_maildir_starts_at_the_configuration(make_relay: Any, tmp_path: Any) -> None:
    relay = make_relay(default="maildir:mail/house")
    hops = asyncio.run(relay.route(Recipient(Address.parse("b@x.example")), MessageInfo("m1", Envelope(), 3)))
    assert hops == (NextHop("maildir", path=str(tmp_path / "mail/house")),)


def test_long_domains_are_looked_up_by_labels() -> None:
    routes = Routes({"*.x.example": "mx"}, {}, "10.0.0.1", path)
    assert routes.is_local(f"{'a.' * 100}x.example")
    assert not routes.is_local(f"{'a.' * 100}y.example")
