"""What is said to a peer, and what its answers mean."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mailward import NULL, Address, Recipient, Sender
from mailward_relay.stuffing import DotStuffer

PLAIN = ("SIZE 10000000", "8BITMIME")
THREE = ("b@rcpt.example", "c@rcpt.example", "d@rcpt.example")


def deliver(peer: Any, send: Any, relay: Any, *arguments: Any, **keywords: Any) -> list[Any]:
    """One delivery to a scripted peer."""

    async def run() -> list[Any]:
        async with peer.listening():
            try:
                return list(await send(relay, peer.port, *arguments, **keywords))
            finally:
                await relay.stop()

    return asyncio.run(run())


def test_pipelined_and_plain_dialogue_are_the_same(make_relay: Any, send: Any, peer: Any) -> None:
    dialogues = []
    for extensions in (("PIPELINING", *PLAIN), PLAIN, ()):
        server = peer(extensions=extensions)
        (result,) = deliver(server, send, make_relay(), b"Subject: x\r\n\r\nx\r\n")
        assert (result.status, str(result.reply)) == ("delivered", "250 2.0.0 taken")
        assert result.detail == f"connected to 127.0.0.1:{server.port} (actual)"
        assert server.messages == [b"Subject: x\r\n\r\nx\r\n"]
        dialogues.append(server.commands)
    ehlo, mail, rest = "EHLO gate.example", "MAIL FROM:<a@sender.example>", ["RCPT TO:<b@rcpt.example>", "DATA", "QUIT"]
    assert dialogues == [[ehlo, f"{mail} SIZE=17", *rest], [ehlo, f"{mail} SIZE=17", *rest], [ehlo, mail, *rest]]


def test_pipelined_commands_travel_together(bursts: Any) -> None:
    result, read = bursts(
        (
            b"220 x\r\n",
            b"250-x\r\n250 PIPELINING\r\n",
            b"250 a\r\n250 b\r\n354 c\r\n",
            b"250 d\r\n",
            b"221 e\r\n",
        )
    )
    assert result.status == "delivered"
    assert read[1:3] == [
        b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@rcpt.example>\r\nDATA\r\n",
        b"Subject: hello\r\n\r\ngood day\r\n.\r\n",
    ]


def test_helo_where_ehlo_is_unknown(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(script={"EHLO": "502 5.5.1 what"})
    (result,) = deliver(server, send, make_relay())
    assert result.status == "delivered"
    assert server.commands[:3] == ["EHLO gate.example", "HELO gate.example", "MAIL FROM:<a@sender.example>"]


@pytest.mark.parametrize("extensions", [("PIPELINING", *PLAIN), PLAIN], ids=["pipelined", "plain"])
@pytest.mark.parametrize(
    ("script", "statuses", "taken"),
    [
        ({}, "delivered delivered delivered", 1),
        ({"MAIL": "550 5.7.1 no"}, "failed failed failed", 0),
        ({"MAIL": "451 4.3.0 later"}, "deferred deferred deferred", 0),
        ({"MAIL": "452 4.3.1 full"}, "deferred deferred deferred", 0),
        ({"MAIL": "552 5.3.4 too big"}, "failed failed failed", 0),
        ({"RCPT": ["250 ok", "550 5.1.1 who", "450 4.2.0 busy"]}, "delivered failed deferred", 1),
        ({"RCPT": ["251 will forward"]}, "delivered delivered delivered", 1),
        ({"RCPT": "550 5.1.1 who"}, "failed failed failed", 0),
        ({"RCPT": "550 5.1.1 who", "DATA": "503 5.5.1 nobody"}, "failed failed failed", 0),
        ({"RCPT": "550 5.1.1 who", "DATA": "421 4.7.0 too many errors"}, "failed failed failed", 0),
        ({"RCPT": "550 5.1.1 who", "DATA": "close"}, "failed failed failed", 0),
        ({"RCPT": "550 5.1.1 who", "END": "close"}, "failed failed failed", 0),
        ({"RCPT": ["250 ok", "552 5.2.2 mailbox full", "250 ok"]}, "delivered failed delivered", 1),
        ({"RCPT": "452 4.5.3 too many"}, "deferred deferred deferred", 0),
        ({"RCPT": "552 too many"}, "deferred deferred deferred", 0),
        ({"DATA": "554 5.7.1 no"}, "failed failed failed", 0),
        ({"DATA": "451 4.3.0 later"}, "deferred deferred deferred", 0),
        ({"END": "554 5.6.0 bad"}, "failed failed failed", 1),
        ({"END": "451 4.3.0 later"}, "deferred deferred deferred", 1),
        ({"END": "354 what"}, "deferred deferred deferred", 1),
        ({"END": "421 4.3.2 going down"}, "deferred deferred deferred", 1),
        ({"RCPT": ["550 5.1.1 who", "250 ok", "250 ok"], "END": "451 4.3.0 later"}, "failed deferred deferred", 1),
    ],
)
def test_replies_become_results(
    make_relay: Any, send: Any, peer: Any, extensions: Any, script: Any, statuses: str, taken: int
) -> None:
    copies = {verb: list(action) if isinstance(action, list) else action for verb, action in script.items()}
    server = peer(extensions=extensions, script=copies)
    results = deliver(server, send, make_relay(), to=THREE)
    assert " ".join(result.status for result in results) == statuses
    assert all(result.reply is not None for result in results)
    assert len([message for message in server.messages if message]) == taken


def test_recipients_that_are_too_many_go_in_another_transaction(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(script={"RCPT": ["250 ok", "250 ok", "452 4.5.3 too many", "250 ok"]})
    results = deliver(server, send, make_relay(), to=THREE)
    assert [result.status for result in results] == ["delivered"] * 3
    assert len(server.messages) == 2
    assert server.commands.count("RCPT TO:<d@rcpt.example>") == 2
    assert server.connections == 1


def test_many_recipients_are_split(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer()
    to = [f"r{number}@rcpt.example" for number in range(25)]
    results = deliver(server, send, make_relay(max_recipients=10), to=to)
    assert {result.status for result in results} == {"delivered"}
    assert len(server.messages) == 3
    assert server.commands.count("RSET") == 0


def test_transaction_left_open_is_reset_before_the_next(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer(script={"DATA": ["451 4.3.0 later", "354 go"]})
        async with server.listening():
            relay = make_relay()
            assert [(await send(relay, server.port))[0].status for _ in range(2)] == ["deferred", "delivered"]
            await relay.stop()
        assert server.connections == 1
        assert [c for c in server.commands if c[:4] in ("RSET", "DATA")] == ["DATA", "RSET", "DATA"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("script", "dotted"),
    [
        pytest.param({"MAIL": "451 4.3.0 later"}, False, id="refused the sender, took the recipient"),
        pytest.param({"MAIL": "451 4.3.0 later", "RCPT": "503 5.5.1 no"}, True, id="refused both"),
        pytest.param({"RCPT": "451 4.3.0 later"}, True, id="refused the recipient"),
    ],
)
def test_who_refused_the_sender_and_takes_recipients_gets_no_empty_message(
    make_relay: Any, send: Any, peer: Any, script: Any, dotted: bool
) -> None:
    server = peer(script={**script, "DATA": "354 go"})
    (result,) = deliver(server, send, make_relay())
    assert result.status == "deferred"
    assert server.messages == [b""] * dotted


@pytest.mark.parametrize(
    ("sender", "recipient", "extensions", "mail", "rcpt"),
    [
        pytest.param((("BODY", "8BITMIME"),), (), ("8BITMIME",), " BODY=8BITMIME", "", id="RFC 6152"),
        pytest.param((("BODY", "8BITMIME"),), (), (), "", "", id="RFC 6152 not offered"),
        pytest.param((("BODY", "7BIT"),), (), ("8BITMIME",), "", "", id="not announced"),
        pytest.param((("SIZE", "1"),), (), ("SIZE",), " SIZE=3", "", id="RFC 1870 size as it is now"),
        pytest.param(
            (("RET", "HDRS"), ("ENVID", "QQ314159")),
            (("NOTIFY", "SUCCESS,FAILURE"), ("ORCPT", "rfc822;b@rcpt.example")),
            ("DSN",),
            " RET=HDRS ENVID=QQ314159",
            " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@rcpt.example",
            id="RFC 3461",
        ),
        pytest.param((("RET", "HDRS"),), (("NOTIFY", "NEVER"),), (), "", "", id="RFC 3461 not offered"),
        pytest.param((("ENVID", "a b\r\nRSET"),), (), ("DSN",), "", "", id="no parameter smuggles a command"),
        pytest.param((("AUTH", "<>"),), (), ("DSN",), "", "", id="others stay"),
    ],
)
def test_parameters(
    make_relay: Any, send: Any, peer: Any, sender: Any, recipient: Any, extensions: Any, mail: str, rcpt: str
) -> None:
    server = peer(extensions=extensions)
    address, to = Address.parse("a@sender.example"), Address.parse("b@rcpt.example")
    (result,) = deliver(
        server, send, make_relay(), b"x\r\n", sender=Sender(address, sender), to=[Recipient(to, recipient)]
    )
    assert result.status == "delivered"
    assert server.commands[1:3] == [f"MAIL FROM:<a@sender.example>{mail}", f"RCPT TO:<b@rcpt.example>{rcpt}"]


def test_null_sender(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=())
    deliver(server, send, make_relay(), sender=Sender(NULL))
    assert server.commands[1] == "MAIL FROM:<>"


@pytest.mark.parametrize(
    ("extensions", "sender", "statuses", "mail"),
    [
        (("SMTPUTF8", "8BITMIME"), "ä@sender.example", "delivered delivered", " BODY=8BITMIME SMTPUTF8"),
        (("SMTPUTF8",), "a@sender.example", "delivered delivered", " SMTPUTF8"),
        ((), "a@sender.example", "failed delivered", ""),
        ((), "ä@sender.example", "failed failed", None),
    ],
)
def test_rfc_6531_internationalised_addresses(
    make_relay: Any, send: Any, peer: Any, extensions: Any, sender: str, statuses: str, mail: str | None
) -> None:
    server = peer(extensions=extensions)
    results = deliver(server, send, make_relay(), sender=sender, to=["ö@rcpt.example", "b@rcpt.example"])
    assert " ".join(result.status for result in results) == statuses
    assert {r.reply.enhanced for r in results if r.status == "failed"} <= {"5.6.7"}
    if mail is not None:
        assert server.commands[1] == f"MAIL FROM:<{sender}>{mail}"


def test_smtputf8_was_asked_and_is_not_needed(make_relay: Any, send: Any, peer: Any) -> None:
    asked = Sender(Address.parse("a@sender.example"), (("SMTPUTF8", ""),))
    for extensions, suffix in ((("SMTPUTF8",), " SMTPUTF8"), ((), "")):
        server = peer(extensions=extensions)
        (result,) = deliver(server, send, make_relay(), sender=asked)
        assert result.status == "delivered"
        assert server.commands[1] == f"MAIL FROM:<a@sender.example>{suffix}"


def test_address_that_would_be_a_command_is_not_sent(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer()
    bad = Recipient(Address("b>\r\nRSET\r\nRCPT TO:<c", "rcpt.example"))
    results = deliver(server, send, make_relay(), to=[bad, "b@rcpt.example"])
    assert [result.status for result in results] == ["failed", "delivered"]
    assert "RSET" not in server.commands


LINES = st.lists(
    st.one_of(
        st.sampled_from([b"", b".", b"..", b".\0", b"x.", b". .", b"\xff.", b"\r", b".\r"]), st.binary(max_size=40)
    ),
    max_size=30,
)


def lines_of(pieces: list[bytes]) -> bytes:
    """Content as the gateway gives it: any bytes in lines that end in CRLF, and no LF elsewhere."""
    return b"".join(re.sub(rb"\r*\n", b"", piece).rstrip(b"\r") + b"\r\n" for piece in pieces)


@given(LINES, st.integers(1, 50))
@hypothesis_settings(max_examples=500)
def test_unstuffed_is_what_was_stuffed(pieces: list[bytes], cut: int) -> None:
    content = lines_of(pieces)
    stuffer = DotStuffer()
    wire = b"".join(stuffer.feed(content[start : start + cut]) for start in range(0, len(content), cut))
    wire += stuffer.end()
    assert (b"\r\n" + wire).endswith(b"\r\n.\r\n")
    assert b"\r\n.\r\n" not in (b"\r\n" + wire)[: -len(b".\r\n")]
    assert re.sub(rb"(\A|\r\n)\.", rb"\1", wire[: -len(b".\r\n")]) == content


@given(st.binary(max_size=300).map(lambda data: data.replace(b"x", b"\n.").replace(b"y", b"\r")), st.integers(1, 7))
def test_no_end_of_data_inside_whatever_counts_as_a_line_end(content: bytes, cut: int) -> None:
    stuffer = DotStuffer()
    wire = b"".join(stuffer.feed(content[start : start + cut]) for start in range(0, len(content), cut))
    assert not re.search(rb"(\A|\n)\.(\r|\n|\Z)", wire)
    assert (b"\r\n" + wire + stuffer.end()).endswith(b"\r\n.\r\n")


@pytest.mark.parametrize("extensions", [("PIPELINING", "8BITMIME"), ("8BITMIME",)], ids=["pipelined", "plain"])
@given(LINES, st.integers(1, 200))
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_peer_gets_the_bytes_of_the_content(
    make_relay: Any, send: Any, peer: Any, blob: Any, extensions: Any, pieces: list[bytes], cut: int
) -> None:
    server = peer(extensions=extensions)
    content = lines_of(pieces)
    (result,) = deliver(server, send, make_relay(), blob(content, cut))
    assert result.status == "delivered"
    assert server.messages == [content]


def test_content_without_final_line_end_gets_one(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer()
    deliver(server, send, make_relay(), b"no end")
    assert server.messages == [b"no end\r\n"]


def test_large_content_arrives_whole(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer()
    content = b"".join(b"." * (number % 7) + b"line %d\r\n" % number for number in range(400_000))
    (result,) = deliver(server, send, make_relay(), content)
    assert result.status == "delivered"
    assert server.messages == [content]


def without_parameters(line: str) -> str:
    return "555 5.5.4 what is that?" if "=" in line else "250 2.1.0 fine"


@pytest.mark.parametrize(
    ("extensions", "script"),
    [
        pytest.param(("SIZE", "DSN", "8BITMIME"), {}, id="one command at a time"),
        pytest.param(
            ("PIPELINING", "CHUNKING", "SIZE", "DSN", "8BITMIME"),
            {"RCPT": ["503 5.5.1 no", "250 ok"], "BDAT": "503 5.5.1 no"},
            id="all at once",
        ),
    ],
)
def test_a_peer_that_does_not_know_what_it_offers_gets_no_parameters(
    make_relay: Any, send: Any, peer: Any, extensions: tuple[str, ...], script: Any
) -> None:
    async def run() -> None:
        server = peer(extensions=extensions, script={"MAIL": without_parameters, **script})
        async with server.listening():
            relay = make_relay()
            for _ in range(2):
                (result,) = await send(relay, server.port)
                assert (result.status, result.relayed) == ("delivered", True)
            await relay.stop()
        assert sum(line == "DATA" for line in server.commands) == 2
        assert [line for line in server.commands if line.startswith("MAIL")] == [
            "MAIL FROM:<a@sender.example> SIZE=28",
            "MAIL FROM:<a@sender.example>",
            "MAIL FROM:<a@sender.example>",
        ]

    asyncio.run(run())


def picky(line: str) -> str:
    return without_parameters(line) if "bob@" in line else "250 2.1.5 fine"


@pytest.mark.parametrize(
    ("script", "statuses", "messages"),
    [
        pytest.param({"RCPT": picky}, "delivered delivered", 2, id="one recipient's parameters"),
        pytest.param({"RCPT": "555 5.5.4 never"}, "failed failed", 0, id="always: it is asked twice and no more"),
        pytest.param({"MAIL": "555 5.5.4 never"}, "failed failed", 0, id="always, the sender"),
        pytest.param(
            {"RCPT": picky, "MAIL": ["250 ok", "close"]}, "delivered deferred", 1, id="lost after one has the message"
        ),
        pytest.param({"RCPT": picky, "MAIL": ["250 ok", "451 4.3.0 later"]}, "delivered deferred", 1, id="put off"),
    ],
)
def test_only_those_whose_parameters_were_refused_are_tried_again(
    make_relay: Any, send: Any, peer: Any, script: Any, statuses: str, messages: int
) -> None:
    server = peer(extensions=("SIZE", "DSN", "8BITMIME"), script=script)
    notify = (("NOTIFY", "FAILURE"),)
    to = [Recipient(Address.parse(f"{name}@rcpt.example"), notify) for name in ("ann", "bob")]
    results = deliver(server, send, make_relay(), to=to)
    assert " ".join(result.status for result in results) == statuses
    assert len(server.messages) == messages
