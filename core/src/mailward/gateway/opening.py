"""The opening of a connection: who it is, whether there is room, what the plugins say, the greeting."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from attrs import evolve

from mailward.engine.gateway_settings import EarlyTalkers, Protocol, Tls
from mailward.gateway.clients import look_up
from mailward.gateway.encryption import encrypt
from mailward.gateway.identity import BadHeader, Peer, plain_address, read_proxy
from mailward.gateway.replies import GREETED_EARLY, GREETED_EARLY_FOR_NOW, SHUTTING_DOWN, TOO_MANY_CONNECTIONS, Leave
from mailward.values.envelope import Session
from mailward.values.reply import Reply

if TYPE_CHECKING:
    from mailward.gateway.server import Server


async def open_session(server: Server) -> None:
    """From the first byte to the greeting. Raises Leave where the client is not to stay."""
    assert server.transport is not None
    settings = server.settings
    server.hurry(settings.read_timeout_s)
    ip, port = (server.transport.get_extra_info("peername") or ("", 0))[:2]
    server.peer = Peer(plain_address(str(ip)) or str(ip), port)
    if server.peer.ip in server.listener.proxy_from:
        try:
            server.peer = await read_proxy(server.lines, server.peer)
        except BadHeader as error:
            server.violation(f"no PROXY header: {error}")
            raise Leave(None) from error
    server.client = Session(
        id=secrets.token_hex(6),
        client_ip=server.peer.ip,
        client_port=server.peer.port,
        listener=server.listener.name,
        started_at=server.services.engine.clock.time(),
    )
    server.recorder = server.services.conversations.begin(
        f"{server.peer.ip}:{server.peer.port} session {server.client.id}"
    )
    server.services.count("connections")
    if settings.tls is Tls.IMPLICIT and server.listener.certificates is not None:
        # a handshake costs more than all else: only who may stay gets one
        await _admit(server, speaks=False)
        await encrypt(server, server.listener.certificates.context())
    else:
        await _admit(server)
    await _say_greeting(server, await welcome(server))


async def _admit(server: Server, *, speaks: bool = True) -> None:
    """Let the connection in, or end it: without a word where it speaks no TLS yet and its client does."""
    try:
        await _enter(server)
    except Leave:
        if speaks:
            raise
        raise Leave(None) from None


async def _enter(server: Server) -> None:
    services = server.services
    closed = services.board.refuses_connection()
    if closed is not None:
        raise server.dismissal(closed.reply, "connect", closed.rule)
    with server.no_hurry():
        limit = await services.doorkeeper.enter(server.peer.ip, server.settings)
    if limit:
        raise server.dismissal(TOO_MANY_CONNECTIONS, "connect", limit)
    server.count_in()
    if services.leaving:
        # it was accepted before the listening ended; a message that it began now would find nobody to scan it
        raise Leave(SHUTTING_DOWN)


async def welcome(server: Server) -> Reply:
    """The greeting, after the client was looked up and the plugins were asked. Raises Leave where it is refused."""
    services = server.services
    server.welcomed = False
    named = await look_up(services.engine.resolver, server.client.client_ip, server.settings)
    if named.refusal is not None:
        raise server.dismissal(named.refusal, "connect", "deny_unresolved_clients")
    if named.name:
        server.client = evolve(server.client, client_name=named.name)
    ruling = await services.engine.gate.connect(server.client)
    if ruling.reply is not None:
        server.refused("connect", ruling.reply, ruling.plugin, ruling.rule)
        raise Leave(ruling.reply)
    server.connect_findings, server.hello_findings = ruling.findings, ()
    server.welcomed = True
    kind = "LMTP" if server.settings.protocol is Protocol.LMTP else "ESMTP"
    return Reply(220, "", f"{server.settings.hostname} {kind} Mailward")


async def _say_greeting(server: Server, greeting: Reply) -> None:
    settings = server.settings
    if settings.greeting_delay_s:
        with server.no_hurry():
            await asyncio.sleep(settings.greeting_delay_s)
    if server.pending and not _may_speak(server):
        server.violation("commands before the greeting")
        refuses = settings.early_talkers is EarlyTalkers.REFUSE
        raise server.dismissal(GREETED_EARLY if refuses else GREETED_EARLY_FOR_NOW, "connect", "early_talkers")
    await server.say(greeting)


def _may_speak(server: Server) -> bool:
    """Whether what the client said before its greeting is in order; a browser is not, even with PIPECONNECT."""
    settings = server.settings
    if settings.early_talkers is EarlyTalkers.ALLOW:
        return True
    return settings.pipe_connect and server.lines.may_begin(f"{settings.protocol.hello} ".encode())
