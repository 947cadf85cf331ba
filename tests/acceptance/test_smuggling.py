"""Nothing but CRLF.CRLF ends a message; what else looks like an end is refused and never reaches the next hop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from harness.client import Client
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN
from harness.servers import Sink

House = tuple[Gateway, Hop]
_NUMBERS = count()
SECOND = (
    b"MAIL FROM:<evil@sender.example>\r\nRCPT TO:<victim@house.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nEvil\r\n"
)

ENDS: dict[str, bytes] = {
    "LF . LF": b"\n.\n",
    "LF . CRLF": b"\n.\r\n",
    "CR . CRLF": b"\r.\r\n",
    "CRLF . LF": b"\r\n.\n",
    "CRLF . CR": b"\r\n.\r",
    "CR . CR": b"\r.\r",
    "LF . CR": b"\n.\r",
    "CR . LF": b"\r.\n",
    "CR LF . CR CR LF": b"\r\n.\r\r\n",
    "CRLF NUL . CRLF": b"\r\n\0.\r\n",
    "CRLF . NUL CRLF": b"\r\n.\0\r\n",
    "LF LF . CRLF": b"\n\n.\r\n",
    "LF . CR CR LF": b"\n.\r\r\n",
}
FLAWS: dict[str, bytes] = {
    "a bare LF": b"one\ntwo\r\n",
    "a bare CR": b"one\rtwo\r\n",
    "a bare CR before CRLF": b"one\r\r\n",
    "a bare LF after CRLF": b"one\r\n\ntwo\r\n",
    "a NUL": b"one\0two\r\n",
    "a bare LF at the start": b"\none\r\n",
    "a bare CR in a line of its own": b"\r\n\r\r\n\r\n",
    "a bare LF far in": b"x" * 200_000 + b"\n" + b"y" * 10 + b"\r\n",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_hop() as hop, running(tmp_path_factory.mktemp("smuggling"), {"relay": {"default": hop.route}}) as gateway:
        yield gateway, hop


@pytest.fixture
def to() -> str:
    return f"s{next(_NUMBERS)}@house.example"


def begin(house: House, to: str) -> Client:
    client = house[0].client()
    assert client.envelope(to).code == 250
    assert client.say("DATA").code == 354
    return client


def in_sync(client: Client, house: House, to: str) -> None:
    """The next message of the connection is the only one that arrives."""
    assert client.send(CLEAN, to).code == 250
    assert house[1].wait_for(to).body == CLEAN
    assert len(house[1].to(to)) == 1
    assert not house[1].to("victim@house.example")
    assert client.say("QUIT").code == 221


@pytest.mark.parametrize("name", ENDS)
def test_no_other_sequence_ends_a_message(house: House, to: str, name: str) -> None:
    with begin(house, to) as client:
        client.write(b"Subject: first\r\n\r\nGood" + ENDS[name] + SECOND + b"\r\n.\r\n")
        reply = client.read()
        assert 500 <= reply.code < 600, reply
        in_sync(client, house, to)


@pytest.mark.parametrize("name", ENDS)
def test_no_other_sequence_ends_a_message_that_comes_byte_by_byte(house: House, to: str, name: str) -> None:
    with begin(house, to) as client:
        client.write(b"Subject: first\r\n\r\nGood")
        for byte in ENDS[name]:
            client.write(bytes([byte]))
        client.write(SECOND + b"\r\n.\r\n")
        assert 500 <= client.read().code < 600
        in_sync(client, house, to)


@pytest.mark.parametrize("name", FLAWS)
def test_content_with_a_flaw_is_refused(house: House, to: str, name: str) -> None:
    with begin(house, to) as client:
        client.write(b"Subject: first\r\n\r\n" + FLAWS[name] + b".\r\n")
        reply = client.read()
        assert (reply.code, reply.text.split()[0]) == (554, "5.6.0")
        in_sync(client, house, to)
    rule = "nul" if name == "a NUL" else "bare_line_ends"
    assert house[0].logged("refused", rule=rule)["stage"] == "data"


def test_a_flaw_in_the_last_line_is_seen(house: House, to: str) -> None:
    with begin(house, to) as client:
        client.write(b"Subject: first\r\n\r\none\r\ntwo\r\r\n.\r\n")
        assert client.read().code == 554
        in_sync(client, house, to)


def test_dots_are_stuffed_again_for_the_next_hop(house: House, to: str) -> None:
    content = b"Subject: dots\r\n\r\n.\r\n" + SECOND
    with begin(house, to) as client:
        client.write(content.replace(b"\r\n.\r\n", b"\r\n..\r\n") + b".\r\n")
        assert client.read().code == 250
        assert house[1].wait_for(to).body == content
        assert not house[1].to("victim@house.example")


def test_two_messages_after_one_another_are_two(gateway: Callable[..., Gateway], sink: Callable[..., Sink]) -> None:
    hop = sink()
    up = gateway(hop)
    with up.client() as client:
        assert client.send(CLEAN, "one@house.example").code == 250
        client.envelope("two@house.example")
        assert client.say("DATA").code == 354
        client.write(b"Subject: first\r\n\r\nGood\n.\r\n" + SECOND + b"\r\n.\r\n")
        assert client.read().code == 554
        assert client.send(CLEAN, "three@house.example").code == 250
    up.logged("delivered", 2)
    assert sorted(dump.recipients[0] for dump in hop.wait_for(2)) == ["one@house.example", "three@house.example"]
