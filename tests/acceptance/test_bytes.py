"""A message that nobody edits arrives byte for byte, our trace header aside."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import dkim  # type: ignore[import-untyped]
import pytest
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN, head, parts, plain
from harness.servers import Postfix, Sink
from harness.signing import make_key
from harness.trace import untraced

Start = Callable[..., Gateway]


def noise(length: int) -> bytes:
    """Lines of every byte but CR, LF and NUL, the same ones each time."""
    source = random.Random(7)
    row = bytes(source.choices(ALLOWED, k=50_000))
    block = b"".join(row[at : at + 900] + b"\r\n" for at in range(0, len(row), 900))
    return (block * (length // len(block) + 1))[: length - 2].rstrip(b"\r\n") + b"\r\n"


ALLOWED = [byte for byte in range(1, 256) if byte not in (10, 13)]

BODIES: dict[str, bytes] = {
    "a short text": b"Good day.\r\n",
    "no body": b"",
    "one empty line": b"\r\n",
    "many empty lines": b"\r\n" * 50,
    "8-bit text": "Grüße aus Köln, 東京から\r\n".encode(),
    "bytes that are no text": b"\xff\xfe\x80\x01\x7f\t\x0b\x0c\r\n",
    "a line of 100,000 bytes": b"x" * 100_000 + b"\r\n",
    "spaces at line ends": b"a \r\n b\t\r\n\t\r\n",
    "dots": b".\r\n..\r\n...\r\n.x\r\n..x\r\n\r\n.\r\n",
    "a dot on the last line": b"text\r\n.\r\n",
    "60 KB of noise": noise(60_000),
    "140 KB of noise": noise(140_000),
    "1 MB of noise": noise(1_000_000),
    "an mbox From line": b"From me to you\r\n>From you to me\r\n",
}

ODD: dict[str, bytes] = {
    "a folded subject": head("a test", b"X-Long: one\r\n\ttwo\r\n   three") + b"\r\nBody\r\n",
    "a header of its own kind": b"subject:no space\r\nX-Y : odd\r\n\r\nBody\r\n",
    "no header at all": b"just a line without a colon\r\n",
    "a body without header": b"\r\nJust a body.\r\n",
    "only a header": head("a test"),
    "a broken multipart": parts(b"Content-Type: text/plain\r\n\r\nunfinished\r\n").replace(b"--\r\n", b"\r\n"),
    "8-bit bytes in the header": b"Subject: gr\xfc\xdfe\r\nFrom: \xe4@b.example\r\n\r\nBody\r\n",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Hop]]:
    """A gateway that delivers whatever its structure is, before a scripted next hop."""
    settings = {"disposition": {"ambiguous": "deliver", "unchecked": "deliver"}}
    with (
        open_hop() as hop,
        running(tmp_path_factory.mktemp("bytes"), {"relay": {"default": hop.route}, **settings}) as up,
    ):
        yield up, hop


@pytest.mark.parametrize("name", BODIES)
def test_a_body_arrives_byte_for_byte(house: tuple[Gateway, Hop], name: str) -> None:
    gateway, hop = house
    message = plain(BODIES[name])
    to = f"body{list(BODIES).index(name)}@house.example"
    reply = gateway.send(message, to)
    assert reply.code == 250, reply
    assert hop.wait_for(to).body == message


@pytest.mark.parametrize("name", ODD)
def test_a_message_of_odd_form_arrives_byte_for_byte(house: tuple[Gateway, Hop], name: str) -> None:
    gateway, hop = house
    to = f"odd{list(ODD).index(name)}@house.example"
    reply = gateway.send(ODD[name], to)
    assert reply.code == 250, reply
    assert hop.wait_for(to).body == ODD[name]


def test_a_message_that_arrives_byte_by_byte_is_the_same(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    message = plain(b"..\r\n.\r\r\n".replace(b"\r\r", b"\r") + b"end\r\n")
    with gateway.client() as client:
        client.envelope("bytewise@house.example")
        assert client.say("DATA").code == 354
        for byte in message.replace(b"\r\n.", b"\r\n..") + b".\r\n":
            client.write(bytes([byte]))
        assert client.read().code == 250
    assert hop.wait_for("bytewise@house.example").body == message


def test_smtp_sink_writes_down_what_was_sent(gateway: Start, sink: Callable[..., Sink]) -> None:
    hop = sink()
    up = gateway(hop)
    messages = [plain(body) for body in BODIES.values()]
    for number, message in enumerate(messages):
        up.settled(up.send(message, f"{number}@house.example").id)
    arrived = {dump.recipients: dump for dump in hop.wait_for(len(messages))}
    for number, message in enumerate(messages):
        assert arrived[(f"{number}@house.example",)].holds(message), list(BODIES)[number]


def test_what_postfix_passes_on_is_what_was_sent(gateway: Start, postfix: Callable[[Hop], Postfix], hop: Hop) -> None:
    up = gateway(postfix(hop))
    messages = [plain(BODIES[name]) for name in ("a short text", "8-bit text", "dots", "1 MB of noise")]
    for number, message in enumerate(messages):
        assert up.send(message, f"{number}@house.example").code == 250
    for number, message in enumerate(messages):
        content = hop.wait_for(f"{number}@house.example").content
        ours = content.index(b"Received: from", 1)
        assert b"(Postfix)" in content[:ours]
        assert untraced(content[ours:]) == message


@pytest.mark.parametrize("form", ["simple", "relaxed"])
def test_a_dkim_signature_verifies_after_the_gateway(house: tuple[Gateway, Hop], form: str) -> None:
    gateway, hop = house
    key = make_key()
    message = CLEAN + b" \t \r\n\r\n"
    canonical = (form.encode(), form.encode())
    signed = dkim.sign(message, b"s", b"sender.example", key.private, canonicalize=canonical) + message
    assert gateway.send(signed, f"dkim-{form}@house.example").code == 250
    arrived = hop.wait_for(f"dkim-{form}@house.example").content
    assert dkim.verify(arrived, dnsfunc=lambda *_, **__: key.record)
    assert not dkim.verify(arrived.replace(b"attachment.", b"Attachment."), dnsfunc=lambda *_, **__: key.record)
