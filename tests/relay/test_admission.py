"""Who may send to whom."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mailward import NULL, Address, Recipient, Sender, Session

STRANGER = Session(client_ip="203.0.113.9")
FRIEND = Session(client_ip="10.0.0.9")
USER = Session(client_ip="203.0.113.9", user="alice")

CASES = [
    pytest.param(STRANGER, "b@house.example", 0, id="SAV-RLY-02 to the house"),
    pytest.param(STRANGER, "b@HOUSE.example", 0, id="SAV-RTE-04 case does not matter"),
    pytest.param(STRANGER, "b@sub.house.example", 550, id="SAV-RTE-04 exact name is not its subdomains"),
    pytest.param(STRANGER, "b@x.wide.example", 0, id="SAV-RTE-04 wildcard"),
    pytest.param(STRANGER, "b@wide.example", 550, id="SAV-RTE-04 wildcard is not the bare name"),
    pytest.param(STRANGER, "b@relay.example", 550, id="SAV-RTE-01 the right side is not local"),
    pytest.param(STRANGER, "b@forwarded.example", 550, id="SAV-RTE-06 forwarding makes nothing local"),
    pytest.param(STRANGER, "b@other.example", 550, id="SAV-RLY-02 foreign to foreign"),
    pytest.param(FRIEND, "b@other.example", 0, id="SAV-RLY-02 listed client"),
    pytest.param(USER, "b@other.example", 0, id="SAV-RLY-02 client that logged in"),
    pytest.param(STRANGER, "b%other.example@house.example", 550, id="percent hack"),
    pytest.param(STRANGER, "other.example!b@house.example", 550, id="bang path"),
    pytest.param(STRANGER, '"b@other.example"@house.example', 550, id="quoted route"),
    pytest.param(STRANGER, "b%other.example%house.example@house.example", 550, id="nested percent hack"),
    pytest.param(STRANGER, "x!b%house.example@house.example", 550, id="mixed hack"),
    pytest.param(STRANGER, "b%house.example@house.example", 0, id="percent to ourselves"),
    pytest.param(STRANGER, "house.example!b@house.example", 0, id="bang to ourselves"),
    pytest.param(FRIEND, "b%other.example@house.example", 0, id="hack of a client that may relay anyway"),
]


def refusal(answer: Any) -> int:
    return 0 if answer is None else int(answer.code)


@pytest.fixture
def relay(make_relay: Any) -> Any:
    return make_relay(
        local={"house.example": "relay.example:25", "*.wide.example": "mx"},
        forward={"forwarded.example": "[10.0.0.9]"},
        allow=("10.0.0.0/8",),
    )


@pytest.mark.parametrize(("session", "recipient", "code"), CASES)
def test_recipient(relay: Any, session: Session, recipient: str, code: int) -> None:
    answer = asyncio.run(relay.rcpt_to(session, Recipient(Address.parse(recipient))))
    assert refusal(answer) == code
    if answer is not None:
        assert (answer.enhanced, answer.text) == ("5.7.1", "Relaying denied")


def test_source_route_of_an_address_that_was_not_parsed(relay: Any) -> None:
    address = Address("@other.example:b@third.example", "house.example")
    assert refusal(asyncio.run(relay.rcpt_to(STRANGER, Recipient(address)))) == 550


def test_closed_without_any_setting(make_relay: Any) -> None:
    relay = make_relay()
    assert refusal(asyncio.run(relay.rcpt_to(STRANGER, Recipient(Address.parse("b@house.example"))))) == 550
    assert (
        refusal(asyncio.run(relay.rcpt_to(Session(client_ip="127.0.0.1"), Recipient(Address.parse("b@x.example")))))
        == 550
    )


def test_login_counts_only_where_allowed(make_relay: Any) -> None:
    relay = make_relay(allow_authenticated=False)
    assert refusal(asyncio.run(relay.rcpt_to(USER, Recipient(Address.parse("b@other.example"))))) == 550


@pytest.mark.parametrize(
    ("address", "refused"),
    [("a!b@x.example", True), ("a%b@x.example", True), ("ab@x.example", False), ('"a!"@x.example', True)],
)
def test_sav_rly_06_forbidden_characters(make_relay: Any, address: str, refused: bool) -> None:
    relay = make_relay(forbidden_characters="!%", allow=("10.0.0.0/8",))
    parsed = Address.parse(address)
    assert refusal(relay.mail_from(Sender(parsed))) == (553 if refused else 0)
    assert refusal(asyncio.run(relay.rcpt_to(FRIEND, Recipient(parsed)))) == (553 if refused else 0)


def test_sav_rly_06_is_off_unless_set_and_passes_the_null_sender(make_relay: Any) -> None:
    assert make_relay().mail_from(Sender(Address.parse("a!b@x.example"))) is None
    assert make_relay(forbidden_characters="!").mail_from(Sender(NULL)) is None


@pytest.mark.parametrize("characters", ["@", "!a", "0"])
def test_forbidding_ordinary_characters_is_an_error(make_relay: Any, characters: str) -> None:
    with pytest.raises(ValueError, match="allowed: any characters but @"):
        make_relay(forbidden_characters=characters)


def test_locality_is_the_left_side(relay: Any) -> None:
    asked = ["b@house.example", "b@x.wide.example", "b@wide.example", "b@relay.example", "b@other.example"]
    answers = [relay.locality(Recipient(Address.parse(address))) for address in asked]
    assert answers == [True, True, False, False, False]


def test_wrong_entry_of_allow_names_the_setting(make_relay: Any) -> None:
    with pytest.raises(ValueError, match=r"allow: '\*.\*.example' is no client; allowed: "):
        make_relay(allow=("*.*.example",))
