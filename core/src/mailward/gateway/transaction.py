"""MAIL and RCPT: the envelope of the message that a client is about to send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mailward.engine.gateway_settings import Auth, Tls
from mailward.gateway.clients import sender_refusal
from mailward.gateway.paths import MAIL_PARAMETERS, RCPT_PARAMETERS, parse_path
from mailward.gateway.replies import (
    BAD_SYNTAX,
    HELO_FIRST,
    LOGIN_FIRST,
    MAIL_FIRST,
    NEEDS_SMTPUTF8,
    NESTED_MAIL,
    NO_RECIPIENT,
    SIZE_TOO_LARGE,
    TLS_FIRST,
    TOO_MANY_MESSAGES,
    TOO_MANY_RECIPIENTS,
    TOO_MUCH_CONTENT,
)
from mailward.values.address import Address
from mailward.values.envelope import Envelope, Recipient, Sender
from mailward.values.finding import Finding
from mailward.values.reply import RECIPIENT_OK, SENDER_OK, Reply

if TYPE_CHECKING:
    from mailward.gateway.server import Server


class Transaction:
    """The envelope as far as it is known, and what the hooks found on the way."""

    def __init__(self, sender: Sender, findings: tuple[Finding, ...]) -> None:
        self.sender = sender
        self.recipients: list[Recipient] = []
        self.findings = list(findings)

    def envelope(self, server: Server, message_id: str) -> Envelope:
        """The envelope, each recipient once."""
        return Envelope(
            server.client,
            self.sender,
            tuple(dict.fromkeys(self.recipients)),
            message_id,
            server.services.engine.clock.time(),
            tuple(self.findings),
        )


def _ascii(address: Address) -> bool:
    return address.local.isascii() and address.domain.isascii()


def _out_of_place(server: Server) -> Reply | None:
    """Why a message may not begin now."""
    settings = server.settings
    if not server.client.helo:
        return HELO_FIRST
    if settings.tls is Tls.REQUIRED and not server.client.tls:
        return TLS_FIRST
    if settings.auth is Auth.REQUIRED and not server.client.user:
        return LOGIN_FIRST
    return NESTED_MAIL if server.transaction is not None else None


async def mail(server: Server, argument: str) -> Reply | None:
    """MAIL FROM (RFC 5321 section 4.1.1.2)."""
    refusal = _out_of_place(server)
    if refusal is not None:
        return refusal
    settings = server.settings
    if server.messages >= settings.max_messages:
        raise server.dismissal(TOO_MANY_MESSAGES, "mail_from", "max_messages")
    board = server.services.board
    if (closed := board.refuses_connection()) is not None:
        raise server.dismissal(closed.reply, "mail_from", closed.rule)
    if (short := board.refuses_mail()) is not None:
        server.refused("mail_from", short.reply, "core", short.rule)
        return short.reply
    path = parse_path(argument, MAIL_PARAMETERS) if argument[:5].upper() == "FROM:" else BAD_SYNTAX
    if isinstance(path, Reply):
        return path
    sender = Sender(path.address, path.parameters)
    if not _ascii(path.address) and sender.parameter("SMTPUTF8") is None:
        return NEEDS_SMTPUTF8
    size_bytes = int(sender.parameter("SIZE") or 0)
    if size_bytes > settings.max_message_bytes:
        server.refused("mail_from", SIZE_TOO_LARGE, "core", "max_message_bytes", sender=sender)
        return SIZE_TOO_LARGE
    if server.content_bytes + size_bytes > settings.max_session_bytes:
        raise server.dismissal(TOO_MUCH_CONTENT, "mail_from", "max_session_bytes")
    if settings.deny_unresolved_senders:
        refusal = await sender_refusal(server.services.engine.resolver, path.address)
        if refusal is not None:
            server.refused("mail_from", refusal, "core", "deny_unresolved_senders", sender=sender)
            return refusal
    ruling = await server.services.engine.gate.mail_from(server.client, sender)
    if ruling.reply is not None:
        server.refused("mail_from", ruling.reply, ruling.plugin, ruling.rule, sender=sender)
        return ruling.reply
    server.transaction = Transaction(sender, server.connect_findings + server.hello_findings + ruling.findings)
    return SENDER_OK


async def rcpt(server: Server, argument: str) -> Reply | None:
    """RCPT TO (RFC 5321 section 4.1.1.3)."""
    transaction = server.transaction
    if transaction is None or server.chunks is not None:
        return MAIL_FIRST
    path = parse_path(argument, RCPT_PARAMETERS) if argument[:3].upper() == "TO:" else BAD_SYNTAX
    if isinstance(path, Reply):
        return path
    if path.address.is_null:
        return NO_RECIPIENT
    if not _ascii(path.address) and transaction.sender.parameter("SMTPUTF8") is None:
        return NEEDS_SMTPUTF8
    if len(transaction.recipients) >= server.settings.max_recipients:
        server.refused("rcpt_to", TOO_MANY_RECIPIENTS, "core", "max_recipients", str(path.address))
        return TOO_MANY_RECIPIENTS
    gate = server.services.engine.gate
    recipient = Recipient(
        path.address if path.address.domain else server.settings.postmaster_address,
        path.parameters,
        source_route=path.source_route,
    )
    local = await gate.locality(recipient)
    if local is not None:
        recipient = evolve(recipient, local=local)
    ruling = await gate.rcpt_to(server.client, transaction.sender, recipient)
    if ruling.reply is not None:
        server.refused("rcpt_to", ruling.reply, ruling.plugin, ruling.rule, str(path.address))
        return ruling.reply
    transaction.recipients.append(recipient)
    transaction.findings += ruling.findings
    return RECIPIENT_OK
