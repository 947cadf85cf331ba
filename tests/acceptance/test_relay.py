"""What the specifications say of relaying and routing, named by ID, on mail that flows through the program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen
from harness.gateway import Gateway, running
from harness.hop import KEYWORDS, Hop, open_hop, ordinary
from harness.mails import CLEAN, INFECTED
from harness.wait import until


@frozen
class House:
    """A gateway of the house: clients of this machine are strangers; three next hops."""

    gateway: Gateway
    inner: Hop
    partner: Hop
    outside: Hop
    folder: Path


def settings(inner: Hop, partner: Hop, outside: Hop, folder: Path) -> dict[str, object]:
    return {
        "relay": {
            "idle_s": 120,
            "allow": ["10.0.0.0/8"],
            "local": {
                "house.example": inner.route,
                "*.house.example": "route:house",
                "[192.0.2.7]": inner.route,
            },
            "forward": {"p?rtner.example": f"[{partner.route}]", "*.partner.example": f"[{partner.route}]"},
            "default": outside.route,
            "rules": ["allow from 127.0.0.0/8 to *.example.org", "allow from any to *partner.example"],
            "forbidden_characters": "!",
            "route": {"house": {"hosts": {"127.0.0.1:9": 1}, "backup": [inner.route]}},
            "recipients": {"listed": ["*@*.house.example", "*@[192.0.2.7]"], "call_forward": True},
            "archive": {"incoming": str(folder / "in"), "outgoing": str(folder / "out")},
        },
        "antivirus": {"on_infected": ["drop"]},
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("relay")
    with (
        open_hop() as inner,
        open_hop() as partner,
        open_hop() as outside,
        running(folder, settings(inner, partner, outside, folder)) as gateway,
    ):
        yield House(gateway, inner, partner, outside, folder)


@pytest.fixture
def house(place: House) -> House:
    """The house with next hops as new."""
    until(lambda: not place.gateway.stored(), "the queue to be empty", story=place.gateway.story)
    for hop in (place.inner, place.partner, place.outside):
        hop.answer, hop.keywords = ordinary, KEYWORDS
        with hop.lock:
            hop.arrived.clear()
    return place


def test_sav_rly_03_refused_recipients_do_not_hold_up_the_others(house: House) -> None:
    with house.gateway.client() as client:
        assert client.say("MAIL FROM:<a@sender.example>").code == 250
        assert client.say("RCPT TO:<bob@house.example>").code == 250
        refused = client.say("RCPT TO:<x@elsewhere.example>")
        assert (refused.code, refused.text) == (550, "5.7.1 Relaying denied")
        assert client.say("RCPT TO:<carol@house.example>").code == 250
        assert client.say("DATA").code == 354
        client.write(CLEAN + b".\r\n")
        assert client.read().code == 250
    assert house.inner.wait_for("carol@house.example").body == CLEAN
    assert len(house.inner.wait_for("bob@house.example").recipients) == 2
    line = house.gateway.logged("refused", to="x@elsewhere.example")
    assert (line["plugin"], line["stage"]) == ("relay", "rcpt_to")


def test_sav_rly_05_sms_relay_01_a_stranger_sends_to_the_house_and_nowhere_else(house: House) -> None:
    assert house.gateway.send(CLEAN, "bob@house.example").code == 250
    for sender in ("a@sender.example", "boss@house.example"):
        reply = house.gateway.send(CLEAN, "x@elsewhere.example", sender=sender)
        assert reply.code == 550, "the From address must not count"
    assert house.outside.arrived == []


def test_sav_rly_06_sms_relay_02_forbidden_characters_are_refused_on_both_sides_local_or_not(house: House) -> None:
    with house.gateway.client() as client:
        assert client.say("MAIL FROM:<a!b@sender.example>").code == 553
        assert client.say("MAIL FROM:<a@sender.example>").code == 250
        assert client.say("RCPT TO:<x!y@house.example>").code == 553
        assert client.say("RCPT TO:<@a.example:bob@house.example>").code == 553
        assert client.say("RCPT TO:<x%elsewhere.example@house.example>").code == 550


def test_kav_acc_03_rules_let_through_what_they_name(house: House) -> None:
    assert house.gateway.send(CLEAN, "x@sub.example.org").code == 250
    assert house.outside.wait_for("x@sub.example.org").body == CLEAN
    assert house.gateway.send(CLEAN, "x@example.org").code == 550


def test_sav_rte_03_sms_route_02_a_pair_goes_to_the_right_side(house: House) -> None:
    for address in ("bob@house.example", "bob@[192.0.2.7]"):
        assert house.gateway.send(CLEAN, address).code == 250
        assert house.inner.wait_for(address).body == CLEAN


def test_sav_rte_04_a_wildcard_takes_another_route_which_fails_over(house: House) -> None:
    reply = house.gateway.send(CLEAN, "bob@deep.house.example")
    assert house.inner.wait_for("bob@deep.house.example").body == CLEAN
    line = house.gateway.settled(reply.id)
    assert "connected to 127.0.0.1" in line["results"][0]


def test_kav_rte_01_forward_routes_are_followed(house: House) -> None:
    for address in ("x@partner.example", "x@portner.example", "x@a.partner.example"):
        if "portner" in address:
            assert house.gateway.send(CLEAN, address).code == 550, "a route admits nobody"
            continue
        assert house.gateway.send(CLEAN, address).code == 250
        assert house.partner.wait_for(address).body == CLEAN
    assert house.outside.arrived == []


def test_sav_rte_05_sms_route_01_all_else_goes_the_default_way(house: House) -> None:
    assert house.gateway.send(CLEAN, "x@www.example.org").code == 250
    assert house.outside.wait_for("x@www.example.org").body == CLEAN


def test_sav_dlv_04_the_connected_to_record_says_actual_or_cached(house: House) -> None:
    said = []
    for _ in range(2):
        reply = house.gateway.send(CLEAN, "x@www.example.org")
        said.append(house.gateway.settled(reply.id)["results"][0])
    assert "(cached)" in said[1]
    assert all("(actual)" in text or "(cached)" in text for text in said)


def test_an_unknown_recipient_is_refused_before_the_message_comes(house: House) -> None:
    house.inner.answer = lambda verb, text: "550 5.1.1 who" if verb == "RCPT" and "eve@" in text else None
    reply = house.gateway.send(CLEAN, "eve@house.example")
    assert (reply.code, "5.1.1" in reply.text) == (550, True)
    assert house.inner.to("eve@house.example") == []


def test_kav_arc_01_what_comes_in_and_what_goes_out_is_archived(house: House) -> None:
    clean = house.gateway.send(CLEAN, "bob@house.example")
    infected = house.gateway.send(INFECTED["plain"], "carol@house.example")
    house.inner.wait_for("bob@house.example")

    def kept(folder: str, message_id: str) -> list[Path]:
        return list((house.folder / folder).glob(f"20*/{message_id}.eml"))

    for message_id, raw in ((clean.id, CLEAN), (infected.id, INFECTED["plain"])):
        (copy,) = kept("in", message_id)
        assert copy.read_bytes() == raw
    (sent,) = until(lambda: kept("out", clean.id), "the delivered message to be archived")
    assert sent.read_bytes().endswith(CLEAN)
    assert sent.read_bytes() != CLEAN, "as it went out, trace header and all"
    (blocked,) = until(lambda: kept("out", infected.id), "the blocked message to be archived")
    assert blocked.read_bytes() == INFECTED["plain"]
    record = until(lambda: (text := blocked.with_suffix(".json")).exists() and text.read_text(), "its record")
    assert json.loads(record.splitlines()[0])["blocked"] == ["drop"]
    assert list((house.folder / "out" / "stash").glob("*.eml")) == []
