"""DATA and BDAT: content comes in, is judged and committed, and gets its reply (RFC 5321, RFC 3030, RFC 2033)."""

from __future__ import annotations

import asyncio
import re
from time import monotonic
from typing import TYPE_CHECKING

from mailward.engine.gateway_settings import Protocol
from mailward.gateway.receive import BARE_LINE_END, NUL_BYTE, TOO_LARGE, ChunkContent, Content, DotContent
from mailward.gateway.replies import (
    BAD_SYNTAX,
    GO_AHEAD,
    MAIL_FIRST,
    MIXED_CONTENT,
    NO_ARGUMENT,
    RCPT_FIRST,
    TALKED_EARLY,
    TOO_MUCH_CONTENT,
    Leave,
)
from mailward.hooks.conversation import Fault
from mailward.spool.incoming import Incoming
from mailward.values.reply import Reply

if TYPE_CHECKING:
    from mailward.gateway.server import Server
    from mailward.gateway.transaction import Transaction
    from mailward.gateway.verdict_plan import Plan

CHUNK = re.compile(r"([0-9]{1,18})( +LAST)?", re.IGNORECASE)
"""The argument of BDAT: octets, and whether they are the last."""
_RULES = {BARE_LINE_END: "bare_line_ends", NUL_BYTE: "nul", TOO_LARGE: "max_message_bytes"}


class Chunks:
    """A message that comes by BDAT, chunk by chunk."""

    def __init__(self, incoming: Incoming, content: ChunkContent) -> None:
        self.incoming = incoming
        self.content = content
        self.started = monotonic()


class Discarded(Content):
    """Octets of a chunk that nobody wants; they must be taken off the wire all the same."""

    def __init__(self, size_bytes: int) -> None:
        self.refusal = None
        self.raw_bytes = 0
        self._missing = size_bytes

    def feed(self, data: bytes) -> bytes | None:
        """See `Content`."""
        taken = min(self._missing, len(data))
        self._missing -= taken
        self.raw_bytes += taken
        return None if self._missing else data[taken:]


async def data(server: Server, argument: str) -> Reply | None:
    """DATA (RFC 5321 section 4.1.1.4)."""
    transaction = server.transaction
    if argument:
        return NO_ARGUMENT
    if server.chunks is not None:
        return MIXED_CONTENT
    if transaction is None or not transaction.recipients:
        return MAIL_FIRST if transaction is None else RCPT_FIRST
    if server.pending:
        server.violation("content came before it was asked for")
        raise Leave(TALKED_EARLY)
    started = monotonic()
    settings = server.settings
    incoming = server.services.spool.begin()
    server.busy = True
    try:
        content = DotContent(incoming, settings.max_message_bytes, settings.bare_line_ends)
        await server.receive(content, GO_AHEAD)
        return await _answer(server, transaction, incoming, content, started)
    finally:
        incoming.discard()
        server.busy = False
        server.transaction = None


async def bdat(server: Server, argument: str) -> Reply | None:
    """BDAT (RFC 3030 section 2). A chunk that cannot be used is read and thrown away: it is no commands."""
    match = CHUNK.fullmatch(argument)
    if match is None:
        # how much follows is not known, so nothing after it can be understood
        raise Leave(BAD_SYNTAX)
    size_bytes, last = int(match[1]), bool(match[2])
    transaction = server.transaction
    if transaction is None or not transaction.recipients:
        if size_bytes:
            await server.receive(Discarded(size_bytes))
        return MAIL_FIRST if transaction is None else RCPT_FIRST
    settings = server.settings
    if server.chunks is None:
        incoming = server.services.spool.begin()
        server.chunks = Chunks(incoming, ChunkContent(incoming, settings.max_message_bytes, settings.bare_line_ends))
    chunks = server.chunks
    server.busy = True
    try:
        if size_bytes:
            chunks.content.expect(size_bytes)
            await server.receive(chunks.content)
        if not last:
            return _refusal(server, chunks.content) or Reply(250, "2.0.0", f"{size_bytes} octets received")
        chunks.content.finish()
        return await _answer(server, transaction, chunks.incoming, chunks.content, chunks.started)
    finally:
        server.busy = False
        if last or chunks.content.refusal is not None:
            server.forget()


async def _answer(
    server: Server, transaction: Transaction, incoming: Incoming, content: Content, started: float
) -> Reply | None:
    server.messages += 1
    server.junk = 0
    refusal = _refusal(server, content)
    if refusal is not None:
        return await _say_each(server, transaction, refusal)
    if server.content_bytes > server.settings.max_session_bytes:
        raise server.dismissal(TOO_MUCH_CONTENT, "data", "max_session_bytes")
    lmtp = server.settings.protocol is Protocol.LMTP
    envelope = transaction.envelope(server, incoming.id)
    size_bytes = incoming.size
    copies = server.services.raw_copies
    copy = await asyncio.to_thread(copies.take, incoming) if copies.wanted else None
    receive_ms = (monotonic() - started) * 1000
    planned = await server.services.acceptance.accept(envelope, incoming, receive_ms, lmtp=lmtp)
    copies.settle(copy, planned.reply.temporary)
    if planned.reply.temporary:
        server.fault(Fault.LOCAL, str(planned.reply))
    if not planned.reply.refuses:
        server.services.count("messages")
        server.services.count("message_bytes", size_bytes)
    return await _say_each(server, transaction, planned.reply, planned)


def _refusal(server: Server, content: Content) -> Reply | None:
    refusal = content.refusal
    if refusal is not None:
        if refusal in (BARE_LINE_END, NUL_BYTE):
            server.violation(refusal.text)
        server.refused("data", refusal, "core", _RULES.get(refusal, "content"))
    return refusal


async def _say_each(
    server: Server, transaction: Transaction, reply: Reply, planned: Plan | None = None
) -> Reply | None:
    """The reply; with LMTP all but the last of one for each recipient are said here (RFC 2033 section 4.2)."""
    if server.settings.protocol is not Protocol.LMTP:
        return reply
    replies = dict(planned.each) if planned is not None else {}
    *others, last = (replies.get(recipient, reply) for recipient in transaction.recipients)
    for other in others:
        await server.say(other)
    return last
