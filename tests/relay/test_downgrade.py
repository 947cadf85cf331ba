"""8-bit content, sizes and internationalised headers at next hops that do not take them."""

from __future__ import annotations

import asyncio
import email
import email.policy
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailward import Address, Message, Sender
from mailward_relay.downgrade import Unconvertible, downgrade

TEXT = "Grüße aus Köln — größer = besser.\r\n.\r\nEnde \r\n"
PLAIN = b"From: a@b.example\r\nContent-Type: text/plain; charset=utf-8\r\n"
SIMPLE = PLAIN + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + TEXT.encode()
MIXED = (
    b"Subject: two\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--x\r\n"
    b"Content-Type: text/html; charset=iso-8859-1\r\n\r\n<p>gr\xfc\xdfe</p>\r\n--x\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"\x80\x81\xff\x01bytes\r\n--x\r\n"
    b"Content-Type: text/plain\r\n\r\nascii stays = as it is \r\n--x\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\ninnen gr\xc3\xbcn\r\n--x--\r\nepilogue\r\n"
)
SIGNED = (
    b'Content-Type: multipart/signed; boundary=s; protocol="application/pgp-signature"\r\n\r\n--s\r\n'
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngr\xc3\xbcn\r\n--s\r\n"
    b"Content-Type: application/pgp-signature\r\n\r\nsignature\r\n--s--\r\n"
)
DKIM = b"DKIM-Signature: v=1; a=rsa-sha256; d=b.example; b=xx\r\n" + SIMPLE


def converted(raw: bytes) -> tuple[bytes, tuple[str, ...]]:
    with Message.from_bytes(raw) as message:
        made = downgrade(message)
    return made.apply(raw), made.breaks


def contents(raw: bytes) -> list[tuple[str, Any]]:
    """What the standard library reads in a message: type and decoded bytes of each leaf."""
    parsed = email.message_from_bytes(raw, policy=email.policy.compat32)
    return [
        (part.get_content_type(), part.get_payload(decode=True)) for part in parsed.walk() if not part.is_multipart()
    ]


def test_rfc_6152_text_becomes_quoted_printable_and_says_the_same() -> None:
    made, breaks = converted(SIMPLE)
    assert made.isascii()
    assert b"Content-Transfer-Encoding: quoted-printable\r\n" in made
    assert b"8bit" not in made
    assert contents(made) == contents(SIMPLE) == [("text/plain", TEXT.encode())]
    assert breaks == ()
    assert all(len(line) <= 76 for line in made.partition(b"\r\n\r\n")[2].split(b"\r\n"))


def test_rfc_6152_every_part_is_converted_and_ascii_ones_stay_as_they_are() -> None:
    made, breaks = converted(MIXED)
    assert made.isascii()
    assert contents(made) == contents(MIXED)
    assert b"ascii stays = as it is \r\n" in made
    assert b"Content-Transfer-Encoding: 7bit\r\n" in made
    assert b"Content-Transfer-Encoding: base64\r\n\r\ngIH/AWJ5dGVz\r\n" in made
    assert b"preamble\r\n" in made
    assert b"epilogue\r\n" in made
    assert breaks == ()


def test_what_is_7_bit_already_is_not_touched() -> None:
    raw = b"Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain\r\n"
    assert converted(raw) == (raw, ())


def test_header_fields_stay_as_they_came() -> None:
    raw = b"Subject: gr\xc3\xbcn\r\n" + SIMPLE
    made, _ = converted(raw)
    assert made.startswith(b"Subject: gr\xc3\xbcn\r\n")
    assert made.partition(b"\r\n\r\n")[2].isascii()


def test_a_part_without_a_field_gets_one() -> None:
    made, _ = converted(PLAIN + b"\r\ngr\xc3\xbcn\r\n")
    assert made.startswith(PLAIN)
    assert b"\r\nContent-Transfer-Encoding: quoted-printable\r\n" in made.partition(b"\r\n\r\n")[0] + b"\r\n"


@pytest.mark.parametrize("head", [b"", b"From: a@b.example\r\n", PLAIN])
def test_kav_que_03_what_was_not_mime_says_that_it_is_now_and_trace_stays_on_top(head: bytes) -> None:
    trace = b"Received: from x by y; Mon, 02 Nov 2026 10:00:00 +0000\r\n"
    made, _ = converted(trace + head + b"\r\ngr\xc3\xbcn\r\n")
    assert made.startswith(trace + head)
    parsed = email.message_from_bytes(made)
    assert parsed.get_all("MIME-Version") == ["1.0"]
    assert parsed.get_payload(decode=True) == b"gr\xc3\xbcn\r\n"
    bare, _ = converted(b"\r\ngr\xc3\xbcn\r\n")
    assert email.message_from_bytes(bare).get_all("MIME-Version") == ["1.0"]


def test_each_message_in_a_message_says_it_for_itself_and_once() -> None:
    made, _ = converted(MIXED)
    parsed = email.message_from_bytes(made)
    assert parsed.get_all("MIME-Version") == ["1.0"]
    (inner,) = [part for part in parsed.walk() if part["Subject"] == "inner"]
    assert inner.get_all("MIME-Version") == ["1.0"]
    assert made.count(b"MIME-Version") == 2


def test_repeated_fields_become_one() -> None:
    raw = PLAIN + b"Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngr\xc3\xbcn\r\n"
    made, _ = converted(raw)
    assert made.count(b"Content-Transfer-Encoding") == 1


@pytest.mark.parametrize(
    ("raw", "breaks"), [(SIGNED, ("multipart/signed",)), (DKIM, ("DKIM",)), (SIMPLE, ())], ids=["PGP", "DKIM", "none"]
)
def test_it_is_said_which_signatures_break(raw: bytes, breaks: tuple[str, ...]) -> None:
    assert converted(raw)[1] == breaks


def test_a_signature_beside_what_is_converted_holds() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n"
        + SIGNED.replace(b"gr\xc3\xbcn", b"green")
        + b"--m\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ngr\xc3\xbcn\r\n--m--\r\n"
    )
    made, breaks = converted(raw)
    assert breaks == ()
    assert SIGNED.replace(b"gr\xc3\xbcn", b"green") in made


@pytest.mark.parametrize(
    "raw",
    [
        MIXED.replace(b"preamble", b"pr\xc3\xa4ambel"),
        MIXED.replace(b"epilogue", b"\xff"),
    ],
    ids=["preamble", "epilogue"],
)
def test_what_stands_outside_the_parts_cannot_be_converted(raw: bytes) -> None:
    with pytest.raises(Unconvertible, match="outside the parts"):
        converted(raw)


PIECES = st.sampled_from(
    [b"gr\xc3\xbcn", b"\xff\xfe", b" \r\n", b"\t\r\n", b"=", b".\r\n", b"\r\n", b"x" * 80, b"--x\r\n"]
)


@given(st.lists(PIECES, max_size=30).map(b"".join), st.sampled_from(["text/plain", "application/pdf", "text/html"]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_content_is_it_is_7_bit_afterwards_and_decodes_to_the_same(body: bytes, kind: str) -> None:
    raw = b"Content-Type: " + kind.encode() + b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body
    made, _ = converted(raw)
    assert made.isascii()
    with Message.from_bytes(raw) as before, Message.from_bytes(made) as after:
        assert after.root.content == before.root.content


@given(st.integers(0, 10_000))
@settings(max_examples=200)
def test_a_damaged_message_is_converted_rightly_or_not_at_all(seed: int) -> None:
    noise = random.Random(seed)
    raw = bytearray(MIXED)
    for _ in range(noise.randrange(1, 6)):
        at = noise.randrange(len(raw))
        raw[at : at + noise.randrange(3)] = bytes(noise.choice(b"\r\n:-x=\xff \x00") for _ in range(noise.randrange(3)))
    try:
        made, _ = converted(bytes(raw))
    except Unconvertible:
        return
    with Message.from_bytes(made) as after:
        for start, end, what in after.spans():
            assert what == "header" or bytes(after.raw[start:end]).isascii()


def deliver(peer: Any, send: Any, relay: Any, body: bytes, **keywords: Any) -> Any:
    async def run() -> Any:
        async with peer.listening():
            try:
                return (await send(relay, peer.port, body, **keywords))[0]
            finally:
                await relay.stop()

    return asyncio.run(run())


def test_a_next_hop_without_8bitmime_gets_7_bit_content(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=("PIPELINING", "SIZE 100000"))
    announced = Sender(Address.parse("a@b.example"), (("BODY", "8BITMIME"),))
    result = deliver(server, send, make_relay(), SIMPLE, sender=announced)
    assert result.status == "delivered"
    assert "converted to 7-bit" in result.detail
    (message,) = server.messages
    assert message.isascii()
    assert contents(message) == contents(SIMPLE)
    assert server.commands[1] == f"MAIL FROM:<a@b.example> SIZE={len(message)}"


def test_a_next_hop_with_8bitmime_gets_the_bytes(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=("8BITMIME",))
    assert deliver(server, send, make_relay(), SIGNED).status == "delivered"
    assert server.messages == [SIGNED]


@pytest.mark.parametrize(
    ("body", "mode", "expected"),
    [
        pytest.param(SIGNED, "unsigned", "554 5.6.2", id="signed mail fails and says why"),
        pytest.param(DKIM, "unsigned", "554 5.6.2", id="DKIM counts as signed"),
        pytest.param(SIGNED, "always", "delivered", id="or is converted where that is set"),
        pytest.param(SIMPLE, "never", "554 5.6.1", id="never"),
        pytest.param(MIXED.replace(b"preamble", b"\xff"), "unsigned", "554 5.6.3", id="cannot be converted"),
        pytest.param(b"Subject: x\r\n\r\nascii\r\n", "never", "delivered", id="7-bit content always goes"),
    ],
)
def test_kav_que_03_what_cannot_pass_fails_with_a_reason(
    make_relay: Any, send: Any, peer: Any, body: bytes, mode: str, expected: str
) -> None:
    from mailward_relay.settings import Downgrade

    result = deliver(peer(extensions=()), send, make_relay(downgrade=Downgrade(mode)), body)
    if expected == "delivered":
        assert result.status == "delivered"
        assert ("which breaks its signature: multipart/signed" in result.detail) is (body == SIGNED)
    else:
        assert (result.status, f"{result.reply.code} {result.reply.enhanced}") == ("failed", expected)


@pytest.mark.parametrize(("offered", "status"), [("SIZE 20", "failed"), ("SIZE 0", "delivered"), ("SIZE", "delivered")])
def test_kav_que_03_a_message_beyond_the_size_that_is_offered_is_not_sent(
    make_relay: Any, send: Any, peer: Any, offered: str, status: str
) -> None:
    server = peer(extensions=(offered,))
    result = deliver(server, send, make_relay(), b"Subject: x\r\n\r\nmore than that\r\n")
    assert result.status == status
    if status == "failed":
        assert str(result.reply) == "552 5.3.4 The next hop takes messages of 20 bytes at most"
        assert not any(command.startswith("MAIL") for command in server.commands)


@pytest.mark.parametrize(("extensions", "status"), [(("8BITMIME",), "failed"), (("8BITMIME", "SMTPUTF8"), "delivered")])
def test_an_internationalised_header_needs_smtputf8(
    make_relay: Any, send: Any, peer: Any, extensions: Any, status: str
) -> None:
    asked = Sender(Address.parse("a@b.example"), (("SMTPUTF8", ""),))
    result = deliver(
        peer(extensions=extensions), send, make_relay(), "Subject: grün\r\n\r\nx\r\n".encode(), sender=asked
    )
    assert result.status == status
    if status == "failed":
        assert result.reply.enhanced == "5.6.7"


def test_a_link_carries_mail_after_what_did_not_suit(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer(extensions=("SIZE 30",))
        async with server.listening():
            relay = make_relay()
            statuses = [(await send(relay, server.port, body))[0].status for body in (b"x" * 50, b"x\r\n")]
            assert statuses == ["failed", "delivered"]
            await relay.stop()
        assert server.connections == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("extensions", "relayed"), [((), True), (("DSN",), False)], ids=["peer without DSN", "peer with DSN"]
)
def test_rfc_3461_success_is_ours_to_tell_where_the_peer_offers_no_dsn(
    make_relay: Any, send: Any, peer: Any, extensions: Any, relayed: bool
) -> None:
    result = deliver(peer(extensions=extensions), send, make_relay(), b"Subject: x\r\n\r\nx\r\n")
    assert (result.relayed, result.final) == (relayed, False)
