"""STARTTLS towards next hops."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

OFFERED = ("PIPELINING", "SIZE", "STARTTLS")


def deliver(server: Any, send: Any, relay: Any, body: bytes = b"x\r\n") -> Any:
    async def run() -> Any:
        async with server.listening():
            try:
                return [(await send(relay, server.port, body))[0] for _ in range(2)][-1]
            finally:
                await relay.stop()

    return asyncio.run(run())


@pytest.mark.parametrize("mode", ["may", "encrypt"])
def test_offered_tls_is_used_whoever_signed_it(
    make_relay: Any, send: Any, peer: Any, certificate: ssl.SSLContext, mode: str
) -> None:
    server = peer(extensions=OFFERED, tls=certificate)
    body = b"line\r\n" * 200_000
    result = deliver(server, send, make_relay(tls=mode), body)
    assert result.status == "delivered"
    assert result.detail.endswith("(cached, TLS)")
    assert server.messages == [body] * 2
    assert server.commands[:3] == ["EHLO gate.example", "STARTTLS", "EHLO gate.example"]


@pytest.mark.parametrize(
    ("mode", "script", "status"),
    [
        ("may", {"STARTTLS": "454 4.7.0 not now"}, "delivered"),
        ("may", {"STARTTLS": "220 go on"}, "delivered"),
        ("may", {"STARTTLS": "close"}, "delivered"),
        ("encrypt", {"STARTTLS": "454 4.7.0 not now"}, "unreachable"),
        ("encrypt", {"STARTTLS": "220 go on"}, "unreachable"),
        ("encrypt", {"STARTTLS": "close"}, "unreachable"),
    ],
)
def test_failing_tls(make_relay: Any, send: Any, peer: Any, mode: str, script: Any, status: str) -> None:
    server = peer(extensions=OFFERED, script=script)
    result = deliver(server, send, make_relay(tls=mode))
    assert result.status == status
    assert ("TLS" in result.detail) is False


def test_encrypt_never_goes_in_the_clear(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=("PIPELINING",))
    result = deliver(server, send, make_relay(tls="encrypt"))
    assert result.status == "unreachable"
    assert "offers no STARTTLS" in result.detail
    assert not any(command.startswith("MAIL") for command in server.commands)


def test_none_does_not_ask(make_relay: Any, send: Any, peer: Any, certificate: ssl.SSLContext) -> None:
    server = peer(extensions=OFFERED, tls=certificate)
    assert deliver(server, send, make_relay(tls="none")).status == "delivered"
    assert "STARTTLS" not in server.commands


def test_offer_before_tls_is_forgotten(make_relay: Any, send: Any, peer: Any, certificate: ssl.SSLContext) -> None:
    ehlo = ["250-x\r\n250-SIZE\r\n250-DSN\r\n250 STARTTLS", "250-x\r\n250 PIPELINING"]
    server = peer(script={"EHLO": ehlo}, tls=certificate)
    assert deliver(server, send, make_relay()).status == "delivered"
    assert server.commands[3] == "MAIL FROM:<a@sender.example>"


def test_unknown_mode_is_an_error(make_relay: Any) -> None:
    with pytest.raises(ValueError, match=r"'encrpyt' is unknown; allowed: none, may, encrypt"):
        make_relay(tls="encrpyt")
