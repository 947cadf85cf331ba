"""Ordered rules, clients by name and by certificate, modes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mailward import Address, DnsFault, Masks, Recipient, Resolver, Session
from mailward_relay.clients import Clients
from mailward_relay.rules import Rules
from mailward_relay.settings import Relaying

STRANGER = Session(client_ip="192.0.2.1")
FRIEND = Session(client_ip="203.0.113.9")
LIAR = Session(client_ip="203.0.113.10")
PRINT = "ab" * 32


def refusal(relay: Any, session: Session, address: str, source_route: str = "") -> str:
    """The refusal of a recipient; empty where it is accepted."""
    recipient = Recipient(Address.parse(address), source_route=source_route)
    answer = asyncio.run(relay.rcpt_to(session, recipient))
    return "" if answer is None else f"{answer.code} {answer.enhanced}"


ORDERED = (
    "deny from 10.0.0.7 to any",
    "Allow FROM 10.0.0.0/255.0.0.0 TO any",
    "deny from 192.0.2.0/24 to secret.example",
    "allow from any to *.house.example",
    "allow from 2001:db8::/32 to p?rtner.example",
)


@pytest.mark.parametrize(
    ("client", "domain", "allowed"),
    [
        pytest.param("10.0.0.7", "x.house.example", False, id="KAV-ACC-03 the first match wins, a host before its net"),
        pytest.param("10.9.9.9", "anywhere.example", True, id="KAV-ACC-03 dotted mask"),
        pytest.param("192.0.2.9", "secret.example", False, id="KAV-ACC-03 prefix"),
        pytest.param("192.0.2.9", "a.house.example", True, id="KAV-ACC-03 mask of domains"),
        pytest.param("192.0.2.9", "house.example", False, id="KAV-ACC-03 no match is a denial"),
        pytest.param("2001:db8::5", "partner.example", True, id="KAV-ACC-03 question mark, IPv6"),
        pytest.param("2001:db8::5", "paartner.example", False, id="KAV-ACC-03 one character for one"),
        pytest.param("198.51.100.1", "A.HOUSE.example", True, id="KAV-ACC-03 case does not matter"),
    ],
)
def test_rules_decide_in_order(make_relay: Any, client: str, domain: str, allowed: bool) -> None:
    relay = make_relay(rules=ORDERED)
    expected = "" if allowed else "550 5.7.1"
    assert refusal(relay, Session(client_ip=client), f"b@{domain}") == expected


@pytest.mark.parametrize("domain", ["b\u00fccher.example", "xn--bcher-kva.example", "bu\u0308cher.example"])
@pytest.mark.parametrize("written", ["b\u00fccher.example", "xn--bcher-kva.example"])
def test_a_rule_about_an_international_domain_holds_for_all_its_spellings(
    make_relay: Any, written: str, domain: str
) -> None:
    relay = make_relay(rules=(f"deny from any to {written}",), allow=("203.0.113.9",))
    assert refusal(relay, FRIEND, f"b@{domain}") == "550 5.7.1"
    assert refusal(relay, FRIEND, "b@other.example") == ""


def test_a_rule_goes_before_the_lists(make_relay: Any) -> None:
    relay = make_relay(
        rules=("deny from 203.0.113.0/24 to house.example", "deny from any to closed.example"),
        local={"house.example": "mx", "closed.example": "mx", "open.example": "mx"},
        allow=("203.0.113.9",),
    )
    assert refusal(relay, FRIEND, "b@house.example") == "550 5.7.1"
    assert refusal(relay, STRANGER, "b@house.example") == ""
    assert refusal(relay, FRIEND, "b@closed.example") == "550 5.7.1"
    assert refusal(relay, FRIEND, "b@elsewhere.example") == ""


def test_a_rule_for_a_domain_lets_no_percent_hack_through(make_relay: Any) -> None:
    relay = make_relay(rules=("allow from any to house.example",))
    assert refusal(relay, STRANGER, "b@house.example") == ""
    assert refusal(relay, STRANGER, "b%other.example@house.example") == "550 5.7.1"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("permit from any to any", "is no rule; allowed: allow|deny from CLIENT to DOMAIN"),
        ("allow from any", "is no rule"),
        ("allow from 10.0.0.256 to any", "rules: 'allow from 10.0.0.256 to any': '10.0.0.256' is no client address"),
        ("allow from mail.* to any", "'mail.\\*' is no client; allowed: an address, a prefix"),
    ],
)
def test_a_wrong_rule_is_an_error_at_load(make_relay: Any, rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        make_relay(rules=(rule,))


@pytest.mark.parametrize(
    ("entry", "session", "expected"),
    [
        pytest.param("friend.partner.example", FRIEND, "", id="SAV-RLY-04 name"),
        pytest.param("*.partner.example", FRIEND, "", id="SAV-RLY-04 domain"),
        pytest.param("*.PARTNER.example", FRIEND, "", id="case does not matter"),
        pytest.param("*.friend.partner.example", FRIEND, "550 5.7.1", id="wildcard is not the bare name"),
        pytest.param("*.partner.example", LIAR, "550 5.7.1", id="SAV-RLY-04 a PTR that is not confirmed"),
        pytest.param("*.partner.example", STRANGER, "550 5.7.1", id="no PTR"),
        pytest.param("203.0.113.*", FRIEND, "", id="SAV-RLY-04 last element of an address"),
        pytest.param("203.*", FRIEND, "", id="SAV-RLY-04 1.*"),
    ],
)
def test_clients_by_confirmed_name(
    make_relay: Any, resolver: Resolver, entry: str, session: Session, expected: str
) -> None:
    assert refusal(make_relay(resolver, allow=(entry,)), session, "b@other.example") == expected
    assert refusal(make_relay(resolver, rules=(f"allow from {entry} to any",)), session, "b@other.example") == expected


def test_a_name_that_cannot_be_looked_up_is_no_refusal_for_good(make_relay: Any) -> None:
    class Silent(Resolver):
        async def names(self, address: str) -> tuple[str, ...]:
            raise DnsFault("no answer")

    relay = make_relay(Silent(), allow=("*.partner.example",), local={"house.example": "mx"})
    assert refusal(relay, FRIEND, "b@other.example") == "451 4.4.3"
    assert refusal(relay, FRIEND, "b@house.example") == ""


def test_dns_is_not_asked_where_no_entry_is_a_name(make_relay: Any) -> None:
    class Forbidden(Resolver):
        async def names(self, address: str) -> tuple[str, ...]:
            raise AssertionError("asked")

    relay = make_relay(Forbidden(), allow=("10.0.0.0/8",), rules=("allow from 10.0.0.1 to any",))
    assert refusal(relay, FRIEND, "b@other.example") == "550 5.7.1"


@pytest.mark.parametrize("entry", ["*.*.example", "a.*", "*example", "*", "any", "host_1", "1.2.3.4.5", "10.0.0.1/8"])
def test_only_the_forms_of_the_list_are_taken(entry: str) -> None:
    if entry in ("*", "any", "host_1"):
        Clients((entry,))
        return
    with pytest.raises(ValueError, match=r"allowed: |bits set beyond"):
        Clients((entry,))


@pytest.mark.parametrize(
    ("listed", "shown", "expected"),
    [
        ((PRINT,), PRINT, ""),
        ((":".join(["AB"] * 32),), PRINT, ""),
        (("*",), PRINT, ""),
        ((PRINT,), "cd" * 32, "550 5.7.1"),
        ((), PRINT, "550 5.7.1"),
        (("*",), "", "550 5.7.1"),
    ],
)
def test_clients_by_certificate(make_relay: Any, listed: Any, shown: str, expected: str) -> None:
    relay = make_relay(allow_certificates=listed)
    assert refusal(relay, Session(client_ip="192.0.2.1", client_cert=shown), "b@other.example") == expected


def test_a_wrong_fingerprint_is_an_error(make_relay: Any) -> None:
    with pytest.raises(ValueError, match="'ab:cd' is no SHA-256 fingerprint; allowed: 64 hex digits"):
        make_relay(allow_certificates=("ab:cd",))


def test_sav_rly_01_everybody_may_relay_where_that_is_the_mode(
    make_relay: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    relay = make_relay(relaying=Relaying.EVERYBODY)
    assert refusal(relay, STRANGER, "b@other.example") == ""
    asyncio.run(relay.start())
    assert "everybody may relay" in capsys.readouterr().out


def test_protected_domains_are_of_the_house_and_routed_like_others(make_relay: Any) -> None:
    relay = make_relay(protected_domains=Masks(["*.house.example"]), default="10.0.0.1")
    assert refusal(relay, STRANGER, "b@a.house.example") == ""
    assert relay.locality(Recipient(Address.parse("b@a.house.example"))) is True
    assert relay.locality(Recipient(Address.parse("b@house.example"))) is False
    assert refusal(relay, STRANGER, "b@house.example") == "550 5.7.1"


def test_source_routes_are_refused_unless_allowed(make_relay: Any) -> None:
    local = {"house.example": "mx"}
    assert refusal(make_relay(local=local), STRANGER, "b@house.example", "@x.example") == "553 5.1.3"
    assert refusal(make_relay(local=local, refuse_source_routes=False), STRANGER, "b@house.example", "@x") == ""


def test_hooks_that_have_nothing_to_do_are_not_called(make_relay: Any) -> None:
    assert make_relay().idle == {"mail_from", "data", "event"}
    assert "mail_from" not in make_relay(forbidden_characters="!").idle


def test_no_rules_say_nothing() -> None:
    async def names() -> tuple[str, ...]:
        raise AssertionError("asked")

    assert not Rules(())
    assert asyncio.run(Rules(()).verdict("10.0.0.1", "x.example", names)) is None
