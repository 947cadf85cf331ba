"""What a connection says of itself: HELO, STARTTLS, AUTH, XCLIENT, XFORWARD."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from attrs import evolve

from mailward.engine.gateway_settings import Protocol, Tls
from mailward.gateway.encryption import encrypt, hold
from mailward.gateway.identity import (
    XCLIENT_NAMES,
    XFORWARD_NAMES,
    read_attributes,
    with_xclient,
    with_xforward,
)
from mailward.gateway.login import ADDRESS_FACTOR, MECHANISMS, WAYS, Authenticator, Credentials, delay_s
from mailward.gateway.opening import welcome
from mailward.gateway.replies import (
    ALREADY_LOGGED_IN,
    BAD_SYNTAX,
    HELO_FIRST,
    LOGGED_IN,
    LOGIN_FAILED,
    LOGIN_NEEDS_TLS,
    LOGIN_UNAVAILABLE,
    LOGIN_UNKNOWN_WAY,
    NEEDS_NAME,
    NO_ARGUMENT,
    NOT_IMPLEMENTED,
    NOT_TRUSTED,
    NOT_WITHIN_MAIL,
    TLS_BEGUN,
    TLS_GO_AHEAD,
    TLS_UNAVAILABLE,
    TOO_MANY_LOGINS,
    UNKNOWN_COMMAND,
)
from mailward.values.event import LoginFailed
from mailward.values.reply import OK, Reply

if TYPE_CHECKING:
    from mailward.gateway.server import Server

MAX_NAME = 255


def protocol_name(server: Server, greeting: str) -> str:
    """How the conversation is called in the trace header (RFC 3848)."""
    if greeting == "HELO":
        return "SMTP"
    base = "LMTP" if greeting == "LHLO" else "ESMTP"
    return f"{base}{'S' if server.client.tls else ''}{'A' if server.client.user else ''}"


async def _hello(server: Server, name: str, greeting: str) -> Reply | None:
    if (greeting == "LHLO") is not (server.settings.protocol is Protocol.LMTP):
        return UNKNOWN_COMMAND
    if not name or len(name) > MAX_NAME or any(ord(char) <= 32 for char in name):
        return NEEDS_NAME
    ruling = await server.services.engine.gate.helo(server.client, name)
    if ruling.reply is not None:
        server.refused("helo", ruling.reply, ruling.plugin, ruling.rule)
        return ruling.reply
    server.forget()
    server.hello_findings = ruling.findings
    server.client = evolve(server.client, helo=name, protocol=protocol_name(server, greeting))
    return None


async def helo(server: Server, argument: str) -> Reply | None:
    """HELO."""
    return await _hello(server, argument, "HELO") or Reply(250, "", server.settings.hostname)


async def ehlo(server: Server, argument: str) -> Reply | None:
    """EHLO."""
    return await _hello(server, argument, "EHLO") or _offers(server)


async def lhlo(server: Server, argument: str) -> Reply | None:
    """LHLO (RFC 2033)."""
    return await _hello(server, argument, "LHLO") or _offers(server)


def _offers(server: Server) -> Reply:
    listener, settings, client = server.listener, server.settings, server.client
    key = (
        bool(client.tls), bool(client.user),
        client.client_ip in listener.xclient_from, client.client_ip in listener.xforward_from,
    )  # fmt: skip
    reply = listener.offers.get(key)
    if reply is None:
        encrypted, logged_in, may_xclient, may_xforward = key
        words = [
            settings.hostname,
            *("ENHANCEDSTATUSCODES", "PIPELINING", "8BITMIME"),
            f"SIZE {settings.max_message_bytes}",
            *("DSN", "SMTPUTF8", "CHUNKING"),
        ]
        if settings.pipe_connect:
            words.append("PIPECONNECT")
        if settings.tls in (Tls.STARTTLS, Tls.REQUIRED) and not encrypted:
            words.append("STARTTLS")
        if listener.authenticator is not None and not logged_in and (encrypted or settings.auth_without_tls):
            words.append(f"AUTH {' '.join(MECHANISMS)}")
        if may_xclient:
            words.append(f"XCLIENT {' '.join(XCLIENT_NAMES)}")
        if may_xforward:
            words.append(f"XFORWARD {' '.join(XFORWARD_NAMES)}")
        reply = listener.offers[key] = Reply(250, "", "\n".join([*words, "HELP"]))
    return reply


async def starttls(server: Server, argument: str) -> Reply | None:
    """STARTTLS (RFC 3207). What came in the clear before the handshake is thrown away, and noted as an attack."""
    if argument:
        return NO_ARGUMENT
    if server.settings.tls not in (Tls.STARTTLS, Tls.REQUIRED):
        return TLS_BEGUN if server.client.tls else NOT_IMPLEMENTED
    if server.client.tls:
        return TLS_BEGUN
    if server.transaction is not None:
        return NOT_WITHIN_MAIL
    certificates = server.listener.certificates
    if certificates is None:
        return TLS_UNAVAILABLE
    hold(server)
    if server.pending:
        server.violation("commands in the clear after STARTTLS")
        server.throw_away_pending()
    await server.say(TLS_GO_AHEAD)
    await encrypt(server, certificates.context())
    # RFC 3207 section 4.2: both sides forget what they knew
    server.start_over()
    return None


async def auth(server: Server, argument: str) -> Reply | None:
    """AUTH (RFC 4954)."""
    authenticator = server.listener.authenticator
    if authenticator is None:
        return NOT_IMPLEMENTED
    if not server.client.helo:
        return HELO_FIRST
    if server.transaction is not None:
        return NOT_WITHIN_MAIL
    if server.client.user:
        return ALREADY_LOGGED_IN
    if not server.client.tls and not server.settings.auth_without_tls:
        return LOGIN_NEEDS_TLS
    mechanism, _, first = argument.partition(" ")
    way = WAYS.get(mechanism.upper())
    if way is None:
        return LOGIN_UNKNOWN_WAY
    _check_failures(server)

    async def ask(challenge: str) -> bytes:
        await server.say(Reply(334, "", challenge))
        return await server.next_secret_line()

    given = await way(first.strip().encode() or None, ask)
    if isinstance(given, Reply):
        return given
    return await _log_in(server, authenticator, given, mechanism.upper())


def _check_failures(server: Server) -> None:
    settings = server.settings
    of_address = server.services.login_failures.of(server.client.client_ip)
    if server.failed_logins >= settings.max_login_failures or (
        of_address >= settings.max_login_failures * ADDRESS_FACTOR
    ):
        raise server.dismissal(TOO_MANY_LOGINS, "authenticate", "max_login_failures")


async def _log_in(server: Server, authenticator: Authenticator, given: Credentials, mechanism: str) -> Reply:
    good = await authenticator.check(server.client, given)
    services, address = server.services, server.client.client_ip
    if good is None:
        return LOGIN_UNAVAILABLE
    if good:
        services.login_failures.clear(address)
        services.count("logins")
        server.failed_logins = 0
        server.client = evolve(server.client, user=given.user)
        server.client = evolve(server.client, protocol=protocol_name(server, server.settings.protocol.hello))
        return LOGGED_IN
    server.failed_logins += 1
    failures = services.login_failures.add(address)
    services.count("failed_logins")
    services.engine.emit(LoginFailed(session=server.client, user=given.user, mechanism=mechanism, failures=failures))
    with server.no_hurry():
        await asyncio.sleep(delay_s(server.failed_logins))
    if server.failed_logins >= server.settings.max_login_failures:
        await server.say(LOGIN_FAILED)
        _check_failures(server)
    return LOGIN_FAILED


async def xclient(server: Server, argument: str) -> Reply | None:
    """XCLIENT: a trusted peer says whom it speaks for; the session begins anew as that client's."""
    if server.peer.ip not in server.listener.xclient_from:
        return NOT_TRUSTED
    if server.transaction is not None:
        return NOT_WITHIN_MAIL
    said = read_attributes(argument, XCLIENT_NAMES)
    client = with_xclient(evolve(server.client, user=""), said) if said is not None else None
    if client is None:
        return BAD_SYNTAX
    server.start_over()
    server.client = evolve(client, helo=client.helo if said and "HELO" in said else "")
    return await welcome(server)


async def xforward(server: Server, argument: str) -> Reply | None:
    """XFORWARD: a trusted peer says where the next message came from; permissions stay the peer's own."""
    if server.peer.ip not in server.listener.xforward_from:
        return NOT_TRUSTED
    if server.transaction is not None:
        return NOT_WITHIN_MAIL
    said = read_attributes(argument, XFORWARD_NAMES)
    client = with_xforward(server.client, said) if said is not None else None
    if client is None:
        return BAD_SYNTAX
    server.client = client
    return OK
