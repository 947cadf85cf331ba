"""Delivery to servers that others wrote: smtp-sink, Postfix, aiosmtpd."""

from __future__ import annotations

import asyncio
import re
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from mailward import Address, Recipient

SMALL = b"Subject: dots\r\n\r\n.\r\n..\r\n.leading\r\nmiddle.\r\n.\r\n"
BODY = b"Subject: dots\r\n\r\n.\r\n..\r\n.leading\r\nmiddle.\r\n" + b"line of text\r\n" * 5000 + b".\r\n"


def deliver(send: Any, relay: Any, port: int, times: int = 1, body: bytes = BODY, **keywords: Any) -> list[Any]:
    async def run() -> list[Any]:
        results: list[Any] = []
        for _ in range(times):
            results += await send(relay, port, body, **keywords)
        await relay.stop()
        return results

    return asyncio.run(run())


@pytest.mark.parametrize(
    "options", [(), ("-p",), ("-e",), ("-8",)], ids=["ESMTP", "no pipelining", "no ESMTP", "no 8BITMIME"]
)
def test_smtp_sink_gets_every_message(make_relay: Any, send: Any, sink: Any, options: tuple[str, ...]) -> None:
    server = sink(*options, dump=True)
    results = deliver(send, make_relay(), server.port, times=3, to=["b@rcpt.example", "c@rcpt.example"])
    assert {result.status for result in results} == {"delivered"}
    dumps = server.messages()
    assert len(dumps) == 3
    # smtp-sink writes lines with LF, below header fields of its own.
    assert all(dump.rstrip(b"\n").endswith(BODY.replace(b"\r\n", b"\n").rstrip(b"\n")) for dump in dumps)
    assert all(b"X-Rcpt-Args: <c@rcpt.example>" in dump for dump in dumps)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("-r", "data"), "deferred"),
        (("-r", "."), "deferred"),
        (("-r", "mail"), "deferred"),
        (("-r", "rcpt"), "deferred"),
        (("-f", "."), "failed"),
        (("-f", "rcpt"), "failed"),
        (("-f", "mail"), "failed"),
        (("-r", "connect"), "unreachable"),
        (("-f", "connect"), "unreachable"),
        (("-q", "connect"), "unreachable"),
        (("-q", "mail"), "unreachable"),
        (("-q", "rcpt"), "unreachable"),
        (("-q", "data"), "unreachable"),
        (("-q", "."), "deferred"),
        (("-f", "ehlo"), "delivered"),
    ],
)
def test_smtp_sink_with_faults(make_relay: Any, send: Any, sink: Any, options: tuple[str, ...], status: str) -> None:
    (result,) = deliver(send, make_relay(), sink(*options).port)
    assert result.status == status


def test_smtp_sink_takes_many_at_once(make_relay: Any, send: Any, sink: Any) -> None:
    server = sink()

    async def run() -> list[Any]:
        relay = make_relay(max_per_host=5)
        results = await asyncio.gather(*(send(relay, server.port) for _ in range(200)))
        await relay.stop()
        return [result for (result,) in results]

    results = asyncio.run(run())
    assert {result.status for result in results} == {"delivered"}
    assert sum("(actual)" in result.detail for result in results) <= 5 * 3


class Long:
    """Content that is made as it is read: 64 MB in 64 KiB pieces."""

    size_bytes = 1000 * 65_536

    async def chunks(self, max_bytes: int = 65_536) -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b".23456789abcde\r\n" * 4096


def test_memory_does_not_grow_with_the_message(make_relay: Any, send: Any, sink: Any) -> None:
    server = sink()

    async def run() -> Any:
        relay = make_relay()
        try:
            return (await send(relay, server.port, Long()))[0]
        finally:
            await relay.stop()

    tracemalloc.start()
    result = asyncio.run(run())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.status == "delivered"
    assert most < 3_000_000


class Keeper:
    """An aiosmtpd handler that keeps what it gets."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append((envelope, session.ssl is not None))
        return "250 2.0.0 kept"


@pytest.mark.parametrize("mode", ["none", "encrypt"])
def test_aiosmtpd_gets_the_bytes(make_relay: Any, send: Any, certificate: ssl.SSLContext, mode: str) -> None:
    keeper = Keeper()

    async def run() -> list[Any]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(
                keeper,
                hostname="peer.example",
                enable_SMTPUTF8=True,
                loop=loop,
                tls_context=certificate if mode == "encrypt" else None,
            ),
            "127.0.0.1",
            0,
        )
        relay = make_relay(tls=mode)
        results = [
            (await send(relay, server.sockets[0].getsockname()[1], BODY, sender="ä@sender.example"))[0]
            for _ in range(2)
        ]
        await relay.stop()
        server.close()
        return results

    results = asyncio.run(run())
    assert [result.status for result in results] == ["delivered"] * 2
    for envelope, secured in keeper.envelopes:
        assert envelope.original_content == BODY
        assert envelope.mail_from == "ä@sender.example"
        assert envelope.smtp_utf8
        assert secured is (mode == "encrypt")


def test_postfix_takes_and_delivers(make_relay: Any, send: Any, postfix: Any) -> None:
    to = ["b@rcpt.example", "c@other.example"]
    in_one_chunk = deliver(send, make_relay(), postfix.port, times=2, body=SMALL, to=to)
    by_data = deliver(send, make_relay(), postfix.port, times=2, body=BODY, to=to)
    for results in (in_one_chunk, by_data):
        assert [result.status for result in results] == ["delivered", "failed"] * 2
        assert results[1].reply.code in (550, 554)
        assert results[1].reply.enhanced.startswith("5.")
    found = postfix.wait_for_messages(4)
    for body in (SMALL, BODY):
        end = b"\n\n" + body.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n")
        assert sum(message.endswith(end) for message in found) == 2
    assert all(re.search(rb"^Received: from gate\.example .*with ESMTP", one, re.M | re.S) for one in found)
    assert isinstance(postfix.folder, Path)


def test_rfc_3461_who_tells_of_success_depends_on_what_the_server_offers(
    make_relay: Any, send: Any, postfix: Any, sink: Any
) -> None:
    asked = Recipient(Address.parse("d@rcpt.example"), (("NOTIFY", "SUCCESS"),))
    (by_postfix,) = deliver(send, make_relay(), postfix.port, to=[asked])
    assert (by_postfix.status, by_postfix.relayed, by_postfix.final) == ("delivered", False, False)
    (by_sink,) = deliver(send, make_relay(), sink("-e").port, to=[asked])
    assert (by_sink.status, by_sink.relayed, by_sink.final) == ("delivered", True, False)
