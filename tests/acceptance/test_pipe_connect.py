"""Early pipelining: commands that come before the greeting, on listeners that offer PIPECONNECT and on others."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count

import pytest
from attrs import frozen
from harness.certificates import Authority
from harness.client import Reply, TlsClient
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN
from harness.wait import until

NAMES = ("gateway", "lmtp", "allowing", "starttls", "implicit", "proxy", "trusting", "crowded", "late")
DOOR = """
import asyncio
from mailward import Plugin, Reply, hookimpl

class Door(Plugin):
    \"\"\"Lets nobody be greeted while the file "shut" is there, and refuses whom "refused" names.\"\"\"

    @hookimpl
    async def connect(self, session):
        shut = self.context.base / "shut"
        if shut.exists():
            (self.context.base / "waiting").touch()
            while shut.exists():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)  # what was sent before the door opened is read by now
        refused = self.context.base / "refused"
        if refused.exists() and session.client_ip in refused.read_text().split():
            return Reply(554, "5.7.1", "Not you")
"""
FLIGHT = "EHLO client.example\r\nMAIL FROM:<author@sender.example>\r\nRCPT TO:<{to}>\r\n"
HEADER = b"PROXY TCP4 %s 127.0.0.1 4711 25\r\n"
REFUSAL = Reply(554, "5.7.1 Not you")
MIB = 1024 * 1024
_NUMBERS = count()


@frozen
class House:
    """A gateway with a door that can be shut, its next hop, and the authority of its certificate."""

    gateway: Gateway
    hop: Hop
    authority: Authority

    def client(self, name: str) -> TlsClient:
        """A connection to a listener, of which nothing was read."""
        return TlsClient(self.gateway.ports[NAMES.index(name)])

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Nobody is greeted before the end of the block, at which somebody waits for that."""
        file, waiting = self.gateway.folder / "shut", self.gateway.folder / "waiting"
        waiting.unlink(missing_ok=True)
        file.touch()
        try:
            yield
            until(waiting.exists, "a client to wait at the door", story=self.gateway.story)
        finally:
            file.unlink()

    def early(self, name: str, said: bytes, last: bool = False) -> TlsClient:
        """A connection that said this before it was greeted, and where it is the ``last`` ended its side."""
        with self.shut():
            client = self.client(name)
            client.write(said)
            if last:
                client.shut()
        return client

    @contextmanager
    def refusing(self, address: str) -> Iterator[None]:
        """Clients with this address are refused in the block."""
        file = self.gateway.folder / "refused"
        file.write_text(address)
        try:
            yield
        finally:
            file.unlink()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("pipe-connect")
    authority = Authority.make(folder / "tls")
    here = {"listen": ["127.0.0.1:0"]}
    tls = {**here, "tls_certificate": str(authority.issue("mx.example.test"))}
    listeners = {
        "lmtp": {**here, "protocol": "lmtp"},
        "allowing": {**here, "early_talkers": "allow"},
        "starttls": {**tls, "tls": "starttls"},
        "implicit": {**tls, "tls": "implicit"},
        "proxy": {**here, "proxy_from": ["127.0.0.1"]},
        "trusting": {**here, "xclient_from": ["127.0.0.1"]},
        "crowded": {**here, "proxy_from": ["127.0.0.1"], "max_connections_per_address": 1},
        "late": {**here, "pipe_connect": False},
    }
    settings = {
        "plugins": ["relay", "content", "antivirus", "./door.py"],
        "gateway": {"listen": ["127.0.0.1:0"], "pipe_connect": True, "connection_wait_s": 0},
        "diagnostics": {"inbound": "all"},
        "door": {"timeout_s": 60},
        "listener": listeners,
    }
    with (
        open_hop() as hop,
        running(folder / "gateway", {**settings, "relay": {"default": hop.route}}, {"door.py": DOOR}) as gateway,
    ):
        yield House(gateway, hop, authority)


@pytest.fixture
def to() -> str:
    return f"e{next(_NUMBERS)}@house.example"


def codes(client: TlsClient, number: int) -> list[int]:
    """The codes of the next replies."""
    return [client.read().code for _ in range(number)]


@pytest.mark.parametrize(("name", "hello"), [("gateway", "EHLO"), ("lmtp", "LHLO"), ("late", "EHLO")])
def test_early_pipelining_is_offered_where_it_is_allowed(house: House, name: str, hello: str) -> None:
    with house.client(name) as client:
        client.read()
        offered = client.say(f"{hello} client.example").text.split("\n")
    assert ("PIPECONNECT" in offered) is (name != "late")


def test_each_early_command_is_answered_in_its_turn(house: House, to: str) -> None:
    with house.early("gateway", f"{FLIGHT.format(to=to)}RCPT TO:<bad\r\nDATA\r\n".encode()) as client:
        assert client.read().text.startswith("mx.example.test ESMTP")
        assert "PIPECONNECT" in client.read().text
        assert codes(client, 4) == [250, 250, 501, 354]
        client.write(CLEAN + b".\r\nQUIT\r\n")
        assert codes(client, 2) == [250, 221]
        assert client.hung_up
    assert house.hop.wait_for(to).body == CLEAN


@pytest.mark.parametrize("last", [False, True])
def test_a_whole_conversation_may_come_early(house: House, to: str, last: bool) -> None:
    """Exim says all of a small message at once, by BDAT, and ends its side behind it."""
    said = FLIGHT.format(to=to).encode() + b"BDAT %d LAST\r\n" % len(CLEAN) + CLEAN + b"QUIT\r\n"
    with house.early("gateway", said, last) as client:
        assert codes(client, 6) == [220, 250, 250, 250, 250, 221]
        assert client.hung_up
    assert house.hop.wait_for(to).body == CLEAN


def test_a_message_over_lmtp_may_come_early(house: House, to: str) -> None:
    with house.early("lmtp", FLIGHT.format(to=to).replace("EHLO", "lhlo").encode() + b"DATA\r\n") as client:
        assert codes(client, 5) == [220, 250, 250, 250, 354]
        client.write(CLEAN + b".\r\n")
        assert client.read().code == 250
    assert house.hop.wait_for(to).body == CLEAN


def test_content_is_waited_for_even_so(house: House, to: str) -> None:
    """Content behind DATA before the go-ahead is what a client does that was talked into speaking SMTP."""
    with house.early("gateway", FLIGHT.format(to=to).encode() + b"DATA\r\n" + CLEAN + b".\r\n") as client:
        assert codes(client, 5) == [220, 250, 250, 250, 503]
        assert client.hung_up
    assert not house.hop.to(to)


@pytest.mark.parametrize(
    "said",
    [
        b"PUT / HTTP/1.1\r\nHost: mx.example.test\r\n\r\nEHLO client.example\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"MAIL FROM:<author@sender.example>\r\n",
        b"HELO client.example\r\n",
        b"LHLO client.example\r\n",
        b"EHLOclient.example\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nEHLO client.example\r\n",
        b" ",
    ],
)
def test_who_begins_with_anything_but_the_hello_is_an_early_talker(house: House, said: bytes) -> None:
    """A browser that is made to speak to us cannot say EHLO first."""
    with house.early("gateway", said) as client:
        assert client.read() == Reply(554, "5.5.0 Commands came before the greeting")
        assert client.hung_up
    with house.early("allowing", said) as client:
        assert client.read().code == 220


def test_a_hello_may_be_half_there_at_the_greeting(house: House) -> None:
    with house.early("gateway", b"eh") as client:
        assert client.read().code == 220
        assert client.say("LO client.example").code == 250


def test_others_are_early_talkers_as_ever(house: House, to: str) -> None:
    with house.early("late", FLIGHT.format(to=to).encode()) as client:
        assert client.read() == Reply(554, "5.5.0 Commands came before the greeting")
        assert client.hung_up


# TLS


def test_starttls_may_be_the_last_early_command(house: House, to: str) -> None:
    with house.early("starttls", b"EHLO client.example\r\nSTARTTLS\r\n") as client:
        assert codes(client, 3) == [220, 250, 220]
        client.encrypt(house.authority.trusting())
        client.write(FLIGHT.format(to=to).encode() + b"DATA\r\n")
        assert "PIPECONNECT" in client.read().text
        assert codes(client, 3) == [250, 250, 354]
        client.write(CLEAN + b".\r\n")
        assert client.read().code == 250
    assert b" with ESMTPS id " in house.hop.wait_for(to).content


def test_nothing_that_came_in_the_clear_behind_starttls_is_obeyed_in_tls(house: House, to: str) -> None:
    with house.early("starttls", b"EHLO client.example\r\nSTARTTLS\r\n" + FLIGHT.format(to=to).encode()) as client:
        assert codes(client, 3) == [220, 250, 220]
        client.encrypt(house.authority.trusting())
        assert client.say("DATA").code == 503
        assert client.say("MAIL FROM:<author@sender.example>").code == 503
    house.gateway.logged("protocol_violation", detail="commands in the clear after STARTTLS")


def test_commands_may_come_early_in_tls(house: House, to: str) -> None:
    with house.client("implicit") as client:
        with house.shut():
            client.encrypt(house.authority.trusting())
            client.write(FLIGHT.format(to=to).encode() + b"DATA\r\n")
        assert codes(client, 5) == [220, 250, 250, 250, 354]
        client.write(CLEAN + b".\r\n")
        assert client.read().code == 250
    assert b" with ESMTPS id " in house.hop.wait_for(to).content


def test_a_client_that_speaks_in_the_clear_where_tls_begins_gets_no_answer(house: House, to: str) -> None:
    with house.client("implicit") as client:
        client.write(FLIGHT.format(to=to).encode())
        assert client.read().code == 0


# in front


def test_commands_may_come_right_behind_a_proxy_header(house: House, to: str) -> None:
    said = HEADER % b"127.0.0.1" + FLIGHT.format(to=to).encode() + b"DATA\r\n"
    with house.early("proxy", said) as client:
        assert codes(client, 5) == [220, 250, 250, 250, 354]
        client.write(CLEAN + b".\r\n")
        assert client.read().code == 250
    assert house.hop.wait_for(to).body == CLEAN


def test_commands_without_the_header_are_cut_off(house: House, to: str) -> None:
    with house.client("proxy") as client:
        client.write(FLIGHT.format(to=to).encode())
        assert client.read().code == 0


def test_a_filter_may_say_early_whom_it_speaks_for(house: House, to: str) -> None:
    said = b"EHLO filter.example\r\nXCLIENT ADDR=192.0.2.33 LOGIN=eve\r\n" + FLIGHT.format(to=to).encode()
    with house.early("trusting", said + b"DATA\r\n") as client:
        assert codes(client, 7) == [220, 250, 220, 250, 250, 250, 354]
        client.write(CLEAN + b".\r\n")
        assert client.read().code == 250
    assert house.gateway.logged("judged", to=[to])["client"] == "192.0.2.33"


def test_who_is_not_trusted_gets_no_other_session_by_being_early(house: House, to: str) -> None:
    said = b"EHLO client.example\r\nXCLIENT ADDR=192.0.2.33 LOGIN=eve\r\n" + FLIGHT.format(to=to).encode()
    with house.early("gateway", said + b"DATA\r\n") as client:
        assert codes(client, 7) == [220, 250, 550, 250, 250, 250, 354]
        client.write(CLEAN + b".\r\n")
        assert client.read().code == 250
    assert house.gateway.logged("judged", to=[to])["client"] == "127.0.0.1"


# refused


@pytest.mark.parametrize("last", [False, True])
def test_a_refused_client_has_an_answer_for_each_early_command(house: House, to: str, last: bool) -> None:
    said = FLIGHT.format(to=to).encode() + b"DATA\r\nQUIT\r\n"
    with house.refusing("127.0.0.1"), house.early("gateway", said, last) as client:
        assert [client.read() for _ in range(5)] == [REFUSAL] * 5
        assert client.read().code == 221
        assert client.hung_up


def test_a_refused_client_may_speak_after_its_refusal(house: House, to: str) -> None:
    """What it sent early may be on its way still when the refusal is said."""
    with house.refusing("127.0.0.1"), house.client("gateway") as client:
        assert client.read() == REFUSAL
        client.write(FLIGHT.format(to=to).encode() + b"DATA\r\n")
        assert [client.read() for _ in range(4)] == [REFUSAL] * 4
        assert client.say("QUIT").code == 221
        assert client.hung_up


def test_the_chunk_of_a_refused_client_is_no_commands(house: House, to: str) -> None:
    chunk = b"QUIT\r\n" * 30_000
    said = FLIGHT.format(to=to).encode() + b"BDAT %d\r\n" % len(chunk) + chunk + b"BDAT 0 LAST\r\nRSET\r\nQUIT\r\n"
    with house.refusing("127.0.0.1"), house.client("gateway") as client:
        client.write(said)
        assert [client.read() for _ in range(7)] == [REFUSAL] * 7
        assert client.read().code == 221
        assert client.hung_up


@pytest.mark.parametrize("said", [b"BDAT x\r\n", b"BDAT\r\n", b"WHAT\r\n", b"\r\n"])
def test_a_refused_client_that_makes_no_sense_is_cut_off(house: House, said: bytes) -> None:
    with house.refusing("127.0.0.1"), house.client("gateway") as client:
        client.write(b"EHLO client.example\r\n" + said + b"MAIL FROM:<author@sender.example>\r\n")
        assert [client.read() for _ in range(2)] == [REFUSAL] * 2
        assert client.hung_up


@pytest.mark.parametrize("said", [b"PUT / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"MAIL FROM:<a@b.c>\r\n"])
def test_a_refused_client_that_does_not_begin_with_the_hello_is_cut_off(house: House, said: bytes) -> None:
    with house.refusing("127.0.0.1"), house.client("gateway") as client:
        assert client.read() == REFUSAL
        client.write(said)
        assert client.hung_up


def test_no_refused_client_is_listened_to_without_end(house: House) -> None:
    with house.refusing("127.0.0.1"), house.client("gateway") as client:
        client.write(b"EHLO client.example\r\n" + b"NOOP\r\n" * 2_000)
        told = 0
        while client.read() == REFUSAL:
            told += 1
    assert told == 1_001


def test_a_refused_client_takes_nobodys_place(house: House) -> None:
    """Only one connection of an address is let in; the refused one is listened to still."""
    header = HEADER % b"192.0.2.51"
    with house.client("crowded") as refused, house.client("crowded") as other:
        with house.refusing("192.0.2.51"):
            refused.write(header)
            assert refused.read() == REFUSAL
        other.write(header + b"EHLO client.example\r\n")
        assert codes(other, 2) == [220, 250]
        assert refused.say("EHLO client.example") == REFUSAL
        assert refused.say("QUIT").code == 221


def test_a_client_too_many_is_told_to_come_back_for_each_command(house: House, to: str) -> None:
    header = HEADER % b"192.0.2.52"
    with house.client("crowded") as first, house.client("crowded") as second:
        first.write(header)
        assert first.read().code == 220
        second.write(header + FLIGHT.format(to=to).encode() + b"DATA\r\nQUIT\r\n")
        assert codes(second, 6) == [421] * 5 + [221]
        assert second.hung_up


def test_the_client_that_a_filter_speaks_for_may_be_refused_early(house: House, to: str) -> None:
    said = b"EHLO filter.example\r\nXCLIENT ADDR=192.0.2.53\r\n" + FLIGHT.format(to=to).encode() + b"DATA\r\nQUIT\r\n"
    with house.refusing("192.0.2.53"), house.client("trusting") as client:
        client.write(said)
        assert codes(client, 2) == [220, 250]
        assert [client.read() for _ in range(5)] == [REFUSAL] * 5
        assert client.read().code == 221
        assert client.hung_up


def test_a_client_is_refused_in_tls(house: House, to: str) -> None:
    with house.client("implicit") as client, house.refusing("127.0.0.1"):
        client.encrypt(house.authority.trusting())
        client.write(FLIGHT.format(to=to).encode() + b"QUIT\r\n")
        assert [client.read() for _ in range(4)] == [REFUSAL] * 4
        assert client.read().code == 221


def test_nothing_secret_of_a_refused_client_is_written_down(house: House) -> None:
    with house.refusing("127.0.0.1"), house.client("gateway") as client:
        client.write(b"EHLO mark-of-this-test\r\nAUTH PLAIN c2VjcmV0\r\nQUIT\r\n")
        assert codes(client, 4) == [554, 554, 554, 221]
        assert client.hung_up
    written = [file.read_text() for file in (house.gateway.state / "diagnostics" / "inbound").glob("*")]
    assert not any("c2VjcmV0" in one for one in written)


def pour(client: TlsClient, line: bytes, most: int) -> None:
    """Send a line again and again until the network takes no more of it, or so many bytes are sent."""
    client._socket.setblocking(False)
    while most > 0 and select.select([], [client._socket], [], 0.2)[1]:
        most -= client._socket.send(line)


def test_a_flood_before_the_greeting_fills_no_memory(house: House, to: str) -> None:
    before = house.gateway.peak_bytes()
    with house.shut(), ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(house.client("gateway"))
            pour(client, b"EHLO client.example\r\n" * 10_000, 16 * MIB)
    with house.client("gateway") as client:
        client.greet()
        assert client.send(CLEAN, to).code == 250
    assert house.gateway.peak_bytes() - before < 40 * MIB
