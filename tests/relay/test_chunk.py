"""Messages that go in one chunk together with their commands (RFC 3030, RFC 2920)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mailward import NextHop

CHUNKING = ("PIPELINING", "SIZE 10000000", "8BITMIME", "CHUNKING")
MESSAGE = b"Subject: x\r\n\r\n.\r\n..\r\nx\r\n"
THREE = ("b@rcpt.example", "c@rcpt.example", "d@rcpt.example")
CLOSE = "close"


def deliver(server: Any, send: Any, relay: Any, *bodies: Any, **keywords: Any) -> list[Any]:
    """The results of messages to a scripted peer, one after the other."""

    async def run() -> list[Any]:
        async with server.listening():
            try:
                return [one for body in bodies for one in await send(relay, server.port, body, **keywords)]
            finally:
                await relay.stop()

    return asyncio.run(run())


def test_commands_and_content_leave_in_one_piece(bursts: Any) -> None:
    result, read = bursts(
        (
            b"220 x\r\n",
            b"250-x\r\n250-CHUNKING\r\n250 PIPELINING\r\n",
            b"250 a\r\n250 b\r\n250 2.0.0 taken\r\n",
            b"221 e\r\n",
        ),
        MESSAGE,
    )
    assert (result.status, str(result.reply)) == ("delivered", "250 2.0.0 taken")
    assert read[1:] == [
        b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@rcpt.example>\r\nBDAT %d LAST\r\n" % len(MESSAGE) + MESSAGE,
        b"QUIT\r\n",
        b"",
    ]


@given(st.lists(st.sampled_from([b".", b"..", b"a", b"", b"\xe4", b"." * 70]), max_size=40), st.integers(1, 200))
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_the_peer_gets_the_bytes_of_the_content(
    make_relay: Any, send: Any, peer: Any, blob: Any, lines: list[bytes], cut: int
) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    server = peer(extensions=CHUNKING)
    (result,) = deliver(server, send, make_relay(), blob(content, cut))
    assert result.status == "delivered"
    assert server.messages == [content]


def test_content_without_final_line_end_gets_one(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=CHUNKING)
    deliver(server, send, make_relay(), b"no end")
    assert server.messages == [b"no end\r\n"]


@pytest.mark.parametrize(
    ("extensions", "settings", "size_bytes", "command"),
    [
        pytest.param(CHUNKING, {}, 65_536, "BDAT 65536 LAST", id="as large as it may be"),
        pytest.param(CHUNKING, {}, 65_538, "DATA", id="larger"),
        pytest.param(CHUNKING, {"chunking": False}, 10, "DATA", id="turned off"),
        pytest.param(CHUNKING[1:], {}, 10, "DATA", id="without PIPELINING"),
        pytest.param(CHUNKING[:-1], {}, 10, "DATA", id="without CHUNKING"),
    ],
)
def test_which_messages_go_in_a_chunk(
    make_relay: Any, send: Any, peer: Any, extensions: Any, settings: Any, size_bytes: int, command: str
) -> None:
    server = peer(extensions=extensions)
    content = b"x" * (size_bytes - 2) + b"\r\n"
    (result,) = deliver(server, send, make_relay(**settings), content)
    assert result.status == "delivered"
    assert server.messages == [content]
    assert server.commands[3] == command


def test_lmtp_has_data(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> Any:
        server = peer(extensions=CHUNKING)
        async with server.listening():
            relay = make_relay()
            (result,) = await send(relay, server.port, MESSAGE, hop=NextHop("lmtp", "127.0.0.1", server.port))
            await relay.stop()
            return result, server.commands

    result, commands = asyncio.run(run())
    assert (result.status, commands[3]) == ("delivered", "DATA")


@pytest.mark.parametrize(
    ("script", "statuses"),
    [
        pytest.param({"MAIL": "550 5.7.1 no"}, "failed failed failed", id="sender refused"),
        pytest.param({"MAIL": "451 4.7.1 later", "BDAT": "503 5.5.1 what"}, "deferred deferred deferred", id="later"),
        pytest.param({"RCPT": ["250 ok", "550 no", "450 later"]}, "delivered failed deferred", id="some recipients"),
        pytest.param({"RCPT": "550 no", "BDAT": "554 none"}, "failed failed failed", id="no recipient"),
        pytest.param({"RCPT": ["250 ok", "550 no"], "BDAT": "452 full"}, "deferred failed failed", id="no room"),
        pytest.param({"BDAT": "554 5.7.1 spam"}, "failed failed failed", id="content refused"),
        pytest.param({"BDAT": "354 what"}, "deferred deferred deferred", id="an answer that is none"),
    ],
)
def test_replies_become_results(make_relay: Any, send: Any, peer: Any, script: Any, statuses: str) -> None:
    server = peer(extensions=CHUNKING, script=script)
    results = deliver(server, send, make_relay(), MESSAGE, to=THREE)
    assert " ".join(result.status for result in results) == statuses


def test_what_a_refused_chunk_leaves_is_reset(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=CHUNKING, script={"BDAT": ["554 5.7.1 spam", "250 ok", "250 ok"]})
    results = deliver(server, send, make_relay(), MESSAGE, MESSAGE, MESSAGE)
    assert [result.status for result in results] == ["failed", "delivered", "delivered"]
    assert [word for word in (line.split()[0] for line in server.commands) if word not in ("RCPT", "EHLO")] == (
        ["MAIL", "BDAT", "RSET", "MAIL", "BDAT", "MAIL", "BDAT", "QUIT"]
    )


@pytest.mark.parametrize(
    ("script", "status", "detail"),
    [
        pytest.param({"MAIL": CLOSE}, "unreachable", "was lost", id="gone when it was spoken to"),
        pytest.param({"MAIL": "421 4.3.2 busy"}, "unreachable", "closes the connection", id="421 to MAIL"),
        pytest.param({"RCPT": "421 4.3.2 busy"}, "unreachable", "closes the connection", id="421 to RCPT"),
        pytest.param({"RCPT": CLOSE}, "deferred", "it may have arrived", id="closed at RCPT"),
        pytest.param({"BDAT": CLOSE}, "deferred", "it may have arrived", id="closed at BDAT"),
        pytest.param({"BDAT": "banana"}, "deferred", "it may have arrived", id="no reply to BDAT"),
        pytest.param({"BDAT": "421 4.3.2 busy"}, "deferred", "", id="421 to BDAT"),
    ],
)
def test_a_connection_that_breaks(make_relay: Any, send: Any, peer: Any, script: Any, status: str, detail: str) -> None:
    (result,) = deliver(peer(extensions=CHUNKING, script=script), send, make_relay(), MESSAGE)
    assert result.status == status
    assert detail in result.detail


@pytest.mark.parametrize("refusal", ["500 5.5.1 what", "501 5.5.4 what", "502 5.5.1 what", "503 5.5.1 what", "504 no"])
def test_a_peer_that_does_not_know_what_it_offers_gets_data(
    make_relay: Any, send: Any, peer: Any, refusal: str
) -> None:
    script = {"BDAT": refusal, "RCPT": lambda line: "550 no" if "c@" in line else "250 yes"}
    server = peer(extensions=CHUNKING, script=script)
    results = deliver(server, send, make_relay(), MESSAGE, b"second\r\n", to=THREE)
    assert [result.status for result in results] == ["delivered", "failed", "delivered"] * 2
    verbs = [line.split()[0] for line in server.commands]
    assert verbs == [*_in_chunk(3), *_with_data(3), *_with_data(3)[1:], "QUIT"]
    assert server.messages[1:] == [MESSAGE, b"second\r\n"]
    assert server.connections == 2


def _in_chunk(recipients: int) -> list[str]:
    return ["EHLO", "MAIL", *["RCPT"] * recipients, "BDAT"]


def _with_data(recipients: int) -> list[str]:
    return ["EHLO", "MAIL", *["RCPT"] * recipients, "DATA"]


@pytest.mark.parametrize("script", [{"MAIL": ["550 no", "250 ok"]}, {"RCPT": ["550 no", "250 ok"]}])
def test_who_reads_content_as_commands_gets_no_other_message_on_that_connection(
    make_relay: Any, send: Any, peer: Any, script: Any
) -> None:
    server = peer(extensions=CHUNKING, script={**script, "BDAT": "500 what"})
    results = deliver(server, send, make_relay(), MESSAGE, MESSAGE)
    assert [result.status for result in results] == ["failed", "delivered"]
    assert [line.split()[0] for line in server.commands] == [*_in_chunk(1), *_with_data(1), "QUIT"]


@pytest.mark.parametrize("answer", [CLOSE, "banana", "354 go on"])
def test_after_a_chunk_without_answer_other_messages_go_with_data(
    make_relay: Any, send: Any, peer: Any, answer: str
) -> None:
    server = peer(extensions=CHUNKING, script={"BDAT": answer})
    results = deliver(server, send, make_relay(), MESSAGE, MESSAGE)
    assert [result.status for result in results] == ["deferred", "delivered"]
    assert [line.split()[0] for line in server.commands] == [*_in_chunk(1), *_with_data(1), "QUIT"]


def test_a_message_that_was_tried_before_goes_with_data(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=CHUNKING)
    (result,) = deliver(server, send, make_relay(), MESSAGE, attempts=1)
    assert result.status == "delivered"
    assert server.commands[3] == "DATA"


def test_who_was_refused_stays_so_where_the_connection_breaks(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=CHUNKING, script={"RCPT": ["550 no", "250 ok"], "BDAT": CLOSE})
    results = deliver(server, send, make_relay(), MESSAGE, to=THREE)
    assert [result.status for result in results] == ["failed", "deferred", "deferred"]


def test_a_kept_connection_that_was_closed_costs_nothing(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=CHUNKING, script={"MAIL": ["250 ok", CLOSE, "250 ok"]})
    results = deliver(server, send, make_relay(), MESSAGE, b"second\r\n")
    assert [result.status for result in results] == ["delivered", "delivered"]
    assert server.messages == [MESSAGE, b"second\r\n"]
    assert server.connections == 2
