"""What a client may say, in which order, and what it is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from harness.client import Client
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN, plain
from harness.wait import until

Start = Callable[..., Gateway]
House = tuple[Gateway, Hop]
_NUMBERS = count()
MAIL = "MAIL FROM:<author@sender.example>"
RCPT = "RCPT TO:<reader@house.example>"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_hop() as hop:
        settings = {"relay": {"default": hop.route}, "gateway": {"max_message_bytes": 100_000, "max_recipients": 5}}
        with running(tmp_path_factory.mktemp("protocol"), settings) as gateway:
            yield gateway, hop


@pytest.fixture
def client(house: House) -> Iterator[Client]:
    """A connection that was greeted; afterwards it must still be in sync, or closed."""
    with house[0].client() as opened:
        yield opened


@pytest.fixture
def to() -> str:
    """An address of this test alone."""
    return f"p{next(_NUMBERS)}@house.example"


def test_the_greeting_and_ehlo_say_what_is_offered(house: House) -> None:
    with house[0].client(greet=False) as client:
        greeting = client.read()
        assert greeting.code == 220
        assert greeting.text.startswith("mx.example.test ESMTP")
        lines = client.say("EHLO client.example").text.split("\n")
    assert lines[0].split()[0] == "mx.example.test"
    assert {"SIZE 100000", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"} <= set(lines[1:])


def test_helo_gets_one_line(house: House, to: str) -> None:
    gateway, hop = house
    with gateway.client(greet=False) as client:
        client.read()
        assert client.say("HELO old.example").text == "mx.example.test"
        assert client.send(CLEAN, to).code == 250
    assert b" with SMTP id " in hop.wait_for(to).content


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ((MAIL,), 503),
        ((RCPT,), 503),
        (("DATA",), 503),
        (("EHLO",), 501),
        (("EHLO two words",), 501),
        (("EHLO a.example", RCPT), 503),
        (("EHLO a.example", MAIL, "DATA"), 503),
        (("EHLO a.example", MAIL, MAIL), 503),
        (("EHLO a.example", MAIL, RCPT, "DATA now"), 501),
        (("EHLO a.example", MAIL, RCPT, "RSET", RCPT), 503),
        (("EHLO a.example", MAIL, RCPT, "EHLO a.example", RCPT), 503),
        (("EHLO a.example", "MAIL FROM:<a@b.example> SIZE=100001"), 552),
        (("EHLO a.example", "MAIL FROM:<a@b.example> SIZE=100000"), 250),
        (("EHLO a.example", "MAIL FROM:<a@b.example> SIZE=x"), 501),
        (("EHLO a.example", "MAIL FROM:<a@b.example> BODY=BINARYMIME"), 501),
        (("EHLO a.example", "MAIL FROM:<a@b.example> UNKNOWN=1"), 555),
        (("EHLO a.example", "MAIL FROM:a@b.example"), 501),
        (("EHLO a.example", "MAIL FROM:<a@b.example"), 501),
        (("EHLO a.example", "MAIL FROM:<a b@b.example>"), 553),
        (("EHLO a.example", "MAIL FROM:<>"), 250),
        (("EHLO a.example", "MAIL from:<a@b.example>"), 250),
        (("EHLO a.example", "MAIL FROM: <a@b.example>"), 250),
        (("EHLO a.example", "MAIL FROM:<" + "a" * 330 + "@b.example>"), 553),
        (("EHLO a.example", 'MAIL FROM:<"a b"@b.example>'), 250),
        (("EHLO a.example", "MAIL FROM:<gr\u00fcn@b.example>"), 553),
        (("EHLO a.example", "MAIL FROM:<gr\u00fcn@b.example> SMTPUTF8"), 250),
        (("EHLO a.example", MAIL, "RCPT TO:<gr\u00fcn@b.example>"), 553),
        (("EHLO a.example", MAIL, "RCPT TO:<>"), 501),
        (("EHLO a.example", MAIL, "RCPT TO:<a@b.example> NOTIFY=NEVER,DELAY"), 501),
        # the syntax is good; the relay plugin refuses it unless refuse_source_routes = false
        (("EHLO a.example", MAIL, "RCPT TO:<@hop.example:a@b.example>"), 553),
        (("EHLO a.example", "MAIL FROM:<@hop.example:a@b.example>"), 250),
        (("EHLO a.example", "VRFY somebody"), 252),
        (("EHLO a.example", "EXPN list"), 502),
        (("EHLO a.example", "NOOP"), 250),
        (("EHLO a.example", "RSET"), 250),
        (("EHLO a.example", "HELP"), 214),
        (("EHLO a.example", "QUIT"), 221),
        (("EHLO a.example", "STARTTLS"), 502),
        (("EHLO a.example", "BDAT 0 LAST"), 503),
        (("EHLO a.example", "BDAT \u0663 LAST"), 500),
        (("EHLO a.example", ""), 500),
        (("EHLO a.example", "\x00\x01"), 500),
    ],
)
def test_each_command_gets_its_code(house: House, said: tuple[str, ...], code: int) -> None:
    with house[0].client(greet=False) as client:
        client.read()
        replies = [client.say(line) for line in said]
    assert replies[-1].code == code, replies[-1]
    assert all(reply.code < 400 for reply in replies[:-1])


def test_bytes_that_are_no_utf_8_are_refused(client: Client) -> None:
    assert client.say(b"MAIL FROM:<gr\xfcn@b.example> SMTPUTF8").code == 500
    assert client.say(MAIL).code == 250


def test_commands_may_come_in_one_packet(client: Client, house: House, to: str) -> None:
    client.write(f"{MAIL}\r\nRCPT TO:<{to}>\r\nRCPT TO:<bad\r\nDATA\r\n".encode())
    assert [client.read().code for _ in range(4)] == [250, 250, 501, 354]
    client.write(CLEAN + b".\r\nMAIL FROM:<>\r\nRSET\r\nNOOP\r\nQUIT\r\n")
    assert [client.read().code for _ in range(5)] == [250, 250, 250, 250, 221]
    assert client.hung_up
    assert house[1].wait_for(to).body == CLEAN


def test_content_that_comes_before_it_is_asked_for_is_refused(client: Client, house: House, to: str) -> None:
    client.write(f"{MAIL}\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode() + CLEAN + b".\r\n")
    assert [client.read().code for _ in range(2)] == [250, 250]
    assert client.read().code == 503
    assert client.hung_up
    assert not house[1].to(to)


def test_a_bare_line_feed_ends_no_command(client: Client) -> None:
    client.write(f"{MAIL}\n".encode())
    assert client.read().code == 500
    assert client.say(MAIL).code == 250


def test_a_long_command_is_refused_and_the_next_one_understood(client: Client) -> None:
    assert client.say("NOOP " + "x" * 3_000).code == 500
    assert client.say("NOOP").code == 250


def test_a_command_without_end_is_cut_off(client: Client) -> None:
    client.write(b"NOOP " + b"x" * 300_000)
    assert client.read().code == 500
    assert client.hung_up


def test_after_too_many_bad_commands_the_connection_ends(client: Client) -> None:
    codes = [client.say("WHAT").code for _ in range(10)]
    assert codes == [500] * 10
    assert client.read().code == 421
    assert client.hung_up


def test_too_many_recipients_are_put_off(client: Client, house: House, to: str) -> None:
    client.say(MAIL)
    codes = [client.say(f"RCPT TO:<{number}{to}>").code for number in range(7)]
    assert codes == [250] * 5 + [452] * 2
    assert client.content(CLEAN).code == 250
    assert len(house[1].wait_for(f"0{to}").recipients) == 5


def test_a_recipient_that_is_named_twice_gets_one_copy(client: Client, house: House, to: str) -> None:
    client.say(MAIL)
    for _ in range(2):
        assert client.say(f"RCPT TO:<{to}>").code == 250
    assert client.content(CLEAN).code == 250
    assert len(house[1].wait_for(to).recipients) == 1


def test_a_message_over_the_size_is_refused_when_it_has_come(client: Client, house: House, to: str) -> None:
    assert client.send(plain(b"x" * 98 + b"\r\n") + (b"x" * 98 + b"\r\n") * 1_000, to).code == 552
    assert client.send(CLEAN, to).code == 250
    assert house[1].wait_for(to).body == CLEAN
    assert len(house[1].to(to)) == 1
    assert not house[0].stored("tmp")


def test_a_message_of_exactly_the_size_is_accepted(client: Client, house: House, to: str) -> None:
    message = plain(b"")
    message += b"x" * (100_000 - len(message) - 2) + b"\r\n"
    assert client.send(message, to).code == 250
    assert house[1].wait_for(to).body == message
    assert client.send(b"X" + message, to).code == 552


def test_an_empty_message_is_delivered(client: Client, house: House, to: str) -> None:
    assert client.send(b"", to).code == 250
    assert house[1].wait_for(to).body == b""


def test_a_message_without_sender_stays_without_sender(client: Client, house: House, to: str) -> None:
    assert client.send(CLEAN, to, sender="").code == 250
    assert house[1].wait_for(to).sender.startswith("FROM:<>")


def test_international_addresses_reach_a_next_hop_that_knows_them(client: Client, house: House) -> None:
    assert client.say("MAIL FROM:<grün@sender.example> SMTPUTF8").code == 250
    assert client.say("RCPT TO:<блин@house.example>").code == 250
    assert client.content("Subject: grün\r\n\r\nHallo\r\n".encode()).code == 250
    arrived = house[1].wait_for("блин@house.example")
    assert "SMTPUTF8" in arrived.sender
    assert arrived.sender.startswith("FROM:<grün@sender.example>")


def test_rset_forgets_the_message_and_keeps_the_greeting(client: Client, house: House, to: str) -> None:
    client.envelope(f"forgotten{to}")
    assert client.say("RSET").code == 250
    assert client.send(CLEAN, to).code == 250
    arrived = house[1].wait_for(to)
    assert len(arrived.recipients) == 1


def test_connections_over_the_limit_are_turned_away(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, gateway={"max_connections": 2, "connection_wait_s": 0.2})
    with up.client(), up.client() as second:
        with up.client(greet=False) as third:
            assert third.read().code == 421
            assert third.hung_up
        assert up.logged("refused", stage="connect")["rule"] == "max_connections"
        assert second.send(CLEAN, "reader@house.example").code == 250

    def again() -> bool:
        with up.client(greet=False) as client:
            return client.read().code == 220

    until(again, "room for another connection")


def test_messages_over_the_limit_of_a_connection_are_put_off(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, gateway={"max_messages": 2})
    with up.client() as client:
        assert [client.send(CLEAN).code for _ in range(2)] == [250, 250]
        assert client.say(MAIL).code == 421
        assert client.hung_up


def test_a_client_that_says_nothing_is_cut_off(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, gateway={"command_timeout_s": 1, "data_end_timeout_s": 1})
    with up.client() as silent, up.client() as halfway:
        halfway.envelope("reader@house.example")
        assert halfway.say("DATA").code == 354
        halfway.write(b"Subject: half\r\n")
        assert silent.read().code in (0, 421)
        assert halfway.read().code in (0, 421)
    until(lambda: not up.stored(), "the half message to go")
    assert not hop.arrived


def test_a_stranger_may_not_relay(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, relay={"allow": [], "local": {"house.example": hop.route}})
    with up.client() as client:
        client.say(MAIL)
        refused = client.say("RCPT TO:<somebody@elsewhere.example>")
        assert (refused.code, refused.text.split()[0]) == (550, "5.7.1")
        assert client.say(RCPT).code == 250
        assert client.content(CLEAN).code == 250
    arrived = hop.wait_for("reader@house.example")
    assert len(arrived.recipients) == 1
    line = up.logged("refused", stage="rcpt_to")
    assert (line["plugin"], line["to"]) == ("relay", "somebody@elsewhere.example")


def test_a_message_that_goes_in_circles_is_refused(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    hops = b"Received: from a by b; Mon, 02 Nov 2026 10:00:00 +0000\r\n"
    assert up.send(hops * 30 + CLEAN).code == 250
    assert up.send(hops * 31 + CLEAN).code == 554
