"""TLS on a connection that was opened in the clear, or on one whose first bytes were read already."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, cast

from attrs import evolve

from mailward.gateway.tls import TlsFault, described, fingerprint, start_tls
from mailward.hooks.conversation import Fault
from mailward.hooks.log import get_logger

if TYPE_CHECKING:
    from mailward.gateway.server import Server


def hold(server: Server) -> None:
    """Read nothing more before `encrypt`: what comes then is the handshake, not commands."""
    with contextlib.suppress(RuntimeError):  # it is closed already; `encrypt` says so
        cast(asyncio.Transport, server.transport).pause_reading()


async def encrypt(server: Server, context: ssl.SSLContext) -> None:
    """Begin TLS on this connection. Raises ConnectionError where the handshake fails."""
    early = server.lines.take_pending()
    hold(server)
    timeout_s = server.settings.read_timeout_s
    server.hurry(timeout_s)
    try:
        encrypted = await start_tls(cast(asyncio.Transport, server.transport), server, context, early, timeout_s)
    except TlsFault as error:
        server.fault(Fault.COMMUNICATION, f"TLS handshake: {error}")
        get_logger().info("tls_failed", client=server.peer.ip, problem=str(error))
        raise ConnectionAbortedError("no TLS") from error
    server.go_on_over(encrypted)
    link = cast(ssl.SSLObject, encrypted.get_extra_info("ssl_object"))
    server.client = evolve(server.client, tls=described(link), client_cert=fingerprint(link))
    server.services.count("tls_connections")
    if server.recorder is not None:
        server.recorder.note(f"TLS begun: {server.client.tls}")
