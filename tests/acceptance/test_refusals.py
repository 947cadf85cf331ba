"""A next hop that refuses, wavers or knows less than the sender: retried, returned, or passed on as it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from harness.gateway import Gateway, running
from harness.hop import KEYWORDS, Hop, open_hop, ordinary
from harness.mails import CLEAN
from harness.wait import until

House = tuple[Gateway, Hop]


def answers(verb: str, text: str) -> Callable[[str, str], str | None]:
    """A next hop that answers one command in its own way."""
    return lambda said, argument: text if said == verb else None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_hop() as hop:
        settings = {"relay": {"default": hop.route, "idle_s": 0}}
        with running(tmp_path_factory.mktemp("refusals"), settings) as gateway:
            yield gateway, hop


@pytest.fixture
def house(place: House) -> House:
    """The gateway and a next hop that is as new."""
    gateway, hop = place
    until(lambda: not gateway.stored(), "the queue to be empty", story=gateway.story)
    hop.answer, hop.keywords = ordinary, KEYWORDS
    with hop.lock:
        hop.arrived.clear()
    return place


def test_a_temporary_refusal_is_tried_again(house: House) -> None:
    up, hop = house
    hop.answer = answers("RCPT", "451 4.2.1 Mailbox busy")
    reply = up.send(CLEAN, "reader@house.example")
    up.logged("queued", id=reply.id, queue="slow")
    assert "451" in up.log("delivered", id=reply.id)[0]["results"][0]
    hop.answer = ordinary
    assert hop.wait_for("reader@house.example").body == CLEAN


def test_a_refusal_for_good_comes_back_to_the_sender(house: House) -> None:
    up, hop = house
    hop.answer = lambda verb, argument: "550 5.1.1 No such user" if verb == "RCPT" and "nobody@" in argument else None
    reply = up.send(CLEAN, "reader@house.example", "nobody@house.example")
    assert reply.code == 250
    assert hop.wait_for("reader@house.example").body == CLEAN
    notice = hop.wait_for("author@sender.example")
    assert notice.sender.startswith("FROM:<>")
    for needed in (
        b"Content-Type: multipart/report; report-type=delivery-status",
        b"Final-Recipient: rfc822; nobody@house.example",
        b"Action: failed",
        b"Status: 5.1.1",
        b"550 5.1.1 No such user",
        b"Subject: a test",
    ):
        assert needed in notice.content, needed
    assert b"reader@house.example" not in notice.content.partition(b"Subject: a test")[0].partition(b"To: ")[0]
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)


def test_a_notification_that_is_refused_is_given_up(house: House) -> None:
    up, hop = house
    hop.answer = answers("RCPT", "550 5.1.1 No such user")
    reply = up.send(CLEAN, "nobody@house.example")
    notice = up.logged("bounced", id=reply.id)["notification"]
    assert up.logged("bounced", id=notice)["notification"] == "suppressed"
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)
    assert not hop.arrived


def test_a_next_hop_that_hangs_up_after_the_content_is_tried_again(house: House) -> None:
    up, hop = house
    tries: list[str] = []

    def first_time(verb: str, argument: str) -> str | None:
        if verb == ".":
            tries.append(argument)
            return "" if len(tries) == 1 else None
        return None

    hop.answer = first_time
    up.send(CLEAN, "reader@house.example")
    assert hop.wait_for("reader@house.example").body == CLEAN
    assert len(tries) == 2


def test_parameters_for_delivery_notifications_reach_a_next_hop_that_knows_them(house: House) -> None:
    up, hop = house
    with up.client() as client:
        assert client.say("MAIL FROM:<author@sender.example> RET=HDRS ENVID=QQ+2B314159 BODY=8BITMIME").code == 250
        recipient = "RCPT TO:<reader@house.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;reader+2Bx@house.example"
        assert client.say(recipient).code == 250
        assert client.content(CLEAN).code == 250
    arrived = hop.wait_for("reader@house.example")
    for word in ("RET=HDRS", "ENVID=QQ+2B314159", "BODY=8BITMIME"):
        assert word in arrived.sender
    for word in ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;reader+2Bx@house.example"):
        assert word in arrived.recipients[0]


def test_parameters_for_delivery_notifications_are_kept_from_a_next_hop_that_does_not(house: House) -> None:
    up, hop = house
    hop.keywords = ("8BITMIME",)
    with up.client() as client:
        client.say("MAIL FROM:<author@sender.example> RET=HDRS ENVID=x")
        client.say("RCPT TO:<reader@house.example> NOTIFY=FAILURE")
        assert client.content(CLEAN).code == 250
    arrived = hop.wait_for("reader@house.example")
    assert "RET" not in arrived.sender
    assert "ENVID" not in arrived.sender
    assert "NOTIFY" not in arrived.recipients[0]


def test_nobody_is_told_of_a_failure_where_the_sender_wants_no_notice(house: House) -> None:
    up, hop = house
    hop.answer = lambda verb, argument: "550 5.1.1 No" if verb == "RCPT" and "nobody@" in argument else None
    with up.client() as client:
        client.say("MAIL FROM:<author@sender.example>")
        client.say("RCPT TO:<nobody@house.example> NOTIFY=NEVER")
        reply = client.content(CLEAN)
    assert up.logged("bounced", id=reply.id)["notification"] == "suppressed"
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)
    assert not hop.arrived
