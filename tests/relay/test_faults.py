"""Peers that fail, lie, stall and vanish."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import frozen

from mailward import NextHop
from mailward_relay.wire import MAX_TEXT

CLOSE, STALL = "close", "stall"


def attempt(peer: Any, send: Any, relay: Any, *arguments: Any, **keywords: Any) -> Any:
    """The result of one delivery of one recipient."""

    async def run() -> Any:
        async with peer.listening():
            try:
                return (await send(relay, peer.port, *arguments, **keywords))[0]
            finally:
                await relay.stop()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param({"GREETING": "421 4.3.2 busy"}, 421, id="421 greeting"),
        pytest.param({"GREETING": "554 5.3.2 go away"}, 554, id="5xx greeting"),
        pytest.param({"GREETING": CLOSE}, None, id="closed before the greeting"),
        pytest.param({"GREETING": "HTTP/1.1 400 Bad Request"}, None, id="another protocol"),
        pytest.param({"GREETING": "999 what"}, None, id="no such code"),
        pytest.param({"EHLO": "421 4.3.2 busy"}, 421, id="421 to EHLO"),
        pytest.param({"EHLO": CLOSE}, None, id="closed at EHLO"),
        pytest.param({"EHLO": "550 no", "HELO": "550 no"}, 550, id="neither EHLO nor HELO"),
        pytest.param({"MAIL": "421 4.3.2 busy"}, 421, id="421 to MAIL"),
        pytest.param({"MAIL": CLOSE}, None, id="closed at MAIL"),
        pytest.param({"MAIL": "354 what"}, 354, id="354 to MAIL"),
        pytest.param({"RCPT": CLOSE}, None, id="closed at RCPT"),
        pytest.param({"RCPT": "banana"}, None, id="no reply to RCPT"),
        pytest.param({"RCPT": "٢٥٠ ok"}, None, id="digits that are none"),
        pytest.param({"DATA": "250 what"}, 250, id="250 to DATA"),
        pytest.param({"DATA": "421 4.3.2 busy"}, 421, id="421 to DATA"),
        pytest.param({"DATA": CLOSE}, None, id="closed at DATA"),
    ],
)
def test_next_hop_that_cannot_be_spoken_to(make_relay: Any, send: Any, peer: Any, script: Any, code: Any) -> None:
    server = peer(script=script)
    result = attempt(server, send, make_relay())
    assert result.status == "unreachable"
    assert (result.reply and result.reply.code) == code
    assert result.detail
    assert server.messages == []


def test_refused_connection_is_unreachable(make_relay: Any, send: Any, unused_port: int) -> None:
    result = asyncio.run(send(make_relay(), unused_port))[0]
    assert (result.status, result.reply) == ("unreachable", None)
    assert result.detail == f"connecting to 127.0.0.1 port {unused_port}: Connection refused"


def test_host_without_address_is_unreachable(make_relay: Any, send: Any, resolver: Any) -> None:
    relay = make_relay(resolver)
    absent = asyncio.run(send(relay, 0, hop=NextHop("smtp", "absent.example", 25)))[0]
    assert (absent.status, absent.detail) == ("unreachable", "absent.example has no address")
    broken = asyncio.run(send(relay, 0, hop=NextHop("smtp", "broken.example", 25)))[0]
    assert (broken.status, broken.detail) == ("unreachable", "the address of broken.example could not be looked up")


@pytest.mark.parametrize("action", [CLOSE, "banana", "250-never ends\r\n" * 5000])
def test_lost_after_the_end_of_data_is_deferred(make_relay: Any, send: Any, peer: Any, action: str) -> None:
    server = peer(script={"END": action})
    result = attempt(server, send, make_relay())
    assert result.status == "deferred"
    assert "after the end of data; it may have arrived" in result.detail
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("where", "setting", "status"),
    [
        ("GREETING", "initial_timeout_s", "unreachable"),
        ("EHLO", "hello_timeout_s", "unreachable"),
        ("MAIL", "mail_timeout_s", "unreachable"),
        ("RCPT", "rcpt_timeout_s", "unreachable"),
        ("DATA", "data_initiation_timeout_s", "unreachable"),
        ("END", "data_termination_timeout_s", "deferred"),
    ],
)
def test_kav_tmo_01_silence(make_relay: Any, send: Any, peer: Any, where: str, setting: str, status: str) -> None:
    result = attempt(peer(script={where: STALL}), send, make_relay(**{setting: 1.0}))
    assert result.status == status
    assert "in time" in result.detail or "Timed out" in result.detail
    assert result.elapsed_ms > 900


def test_reply_that_drips_in_does_not_reset_the_time_out(make_relay: Any, send: Any, dripping: int) -> None:
    result = asyncio.run(asyncio.wait_for(send(make_relay(mail_timeout_s=1.0), dripping), 10))[0]
    assert result.status == "unreachable"


def test_peer_that_takes_no_content(make_relay: Any, send: Any, blob: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        for answer in (b"250 x\r\n", b"250 a\r\n", b"250 b\r\n", b"354 c\r\n"):
            await reader.readline()
            writer.write(answer)
        await asyncio.sleep(3)
        writer.close()

    async def run() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024)
        try:
            relay = make_relay(write_timeout_s=1.0)
            return (await send(relay, server.sockets[0].getsockname()[1], b"x" * 78 + b"\r\n" * 20_000_000))[0]
        finally:
            server.close()
            await asyncio.sleep(2.5)

    result = asyncio.run(run())
    assert (result.status, result.detail) == ("unreachable", "the peer took no content in time")


def test_refusal_before_the_end_of_data_counts(make_relay: Any, send: Any, blob: Any) -> None:
    result = asyncio.run(early(make_relay(), send, b"552 5.3.4 too much\r\n"))
    assert (result.status, str(result.reply)) == ("failed", "552 5.3.4 too much")


def test_consent_before_the_end_of_data_is_a_lie(make_relay: Any, send: Any, blob: Any) -> None:
    result = asyncio.run(early(make_relay(), send, b"250 2.0.0 fine\r\n"))
    assert result.status == "unreachable"
    assert "before the end of data" in result.detail


async def early(relay: Any, send: Any, answer: bytes) -> Any:
    """Deliver to a peer that answers while the content still comes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        for reply in (b"250 x\r\n", b"250 a\r\n", b"250 b\r\n", b"354 c\r\n"):
            await reader.readline()
            writer.write(reply)
        await reader.read(1000)
        writer.write(answer)
        while await reader.read(65_536):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        return (await send(relay, server.sockets[0].getsockname()[1], Slow()))[0]
    finally:
        server.close()
        await asyncio.sleep(0.05)


class Slow:
    """Content that takes its time."""

    size_bytes = 100_000

    async def chunks(self, max_bytes: int = 65_536) -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 998 + b"\r\n"
            await asyncio.sleep(0.01)


@frozen
class Broken:
    """Content whose file fails half-way."""

    size_bytes: int = 2000

    async def chunks(self, max_bytes: int = 65_536) -> AsyncIterator[bytes]:
        yield b"first half\r\n" * 100
        raise OSError(5, "Input/output error")


def test_content_that_breaks_off_is_never_ended(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer()
    with pytest.raises(OSError, match="Input/output error"):
        attempt(server, send, make_relay(), Broken())
    assert server.messages == []


def test_cancelled_delivery_is_never_ended(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening():
            relay = make_relay()
            task = asyncio.create_task(send(relay, server.port, Slow()))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await relay.stop()
            await asyncio.sleep(0.05)
        assert server.messages == []

    asyncio.run(run())


@pytest.mark.parametrize("where", ["GREETING", "EHLO", "MAIL", "END"])
@pytest.mark.parametrize("lie", [b"250 " + b"x" * 10_000_000 + b"\r\n", b"x" * 10_000_000, b"250-x\r\n" * 1_500_000])
def test_ten_megabytes_of_reply_are_not_kept(make_relay: Any, send: Any, peer: Any, where: str, lie: bytes) -> None:
    tracemalloc.start()
    result = attempt(peer(script={where: lie}), send, make_relay())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.status == ("deferred" if where == "END" else "unreachable")
    # The peer runs in this process: the transport's copy of what it sends is its own.
    assert most < 2 * len(lie) + 3_000_000
    assert len(result.detail) <= MAX_TEXT + 200


def test_hostile_text_is_sanitised_and_bounded(make_relay: Any, send: Any, peer: Any) -> None:
    text = b"550-5.7.1 \x1b[31mred\x00\x07\r\n550 5.7.1 \xe2\x80\xae\xff" + b"y" * 3000 + b"\r\n"
    result = attempt(peer(script={"RCPT": text}), send, make_relay())
    assert result.status == "failed"
    assert result.reply.enhanced == "5.7.1"
    assert all(char.isprintable() or char == "\n" for char in result.reply.text)
    assert result.reply.text.startswith(" [31mred")
    assert len(result.reply.text) <= MAX_TEXT


def test_replies_nobody_asked_for_break_the_connection(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(script={"END": "250 2.0.0 taken\r\n250 and\r\n250 more"})
    result = attempt(server, send, make_relay())
    assert result.status == "delivered"
    assert "QUIT" not in server.commands
