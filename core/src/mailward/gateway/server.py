"""The SMTP server: aiosmtpd's protocol with our own command loop, tables and bulk DATA.

What comes from aiosmtpd is the connection's life: streams, time-out, loss, EOF. What is ours is
everything a client can say: syntax, sequence, hooks, replies.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, ClassVar

import structlog
from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Envelope as PeerEnvelope
from aiosmtpd.smtp import Session as PeerSession
from attrs import evolve, frozen

from mailward.engine.engine import Engine
from mailward.engine.gate import Ruling
from mailward.engine.gateway_settings import GatewaySettings
from mailward.gateway.acceptance import Acceptance
from mailward.gateway.paths import MAIL_PARAMETERS, RCPT_PARAMETERS, parse_path
from mailward.gateway.receive import TALKED_EARLY, Content, DotContent
from mailward.spool.spool import Spool
from mailward.values.address import Address
from mailward.values.envelope import Envelope, Recipient, Sender, Session
from mailward.values.event import Refused
from mailward.values.finding import Finding
from mailward.values.reply import LOCAL_ERROR, OK, RECIPIENT_OK, SENDER_OK, Reply

MAX_COMMAND_BYTES = 2048
MAX_BAD_COMMANDS = 10
MAX_PENDING_BYTES = 128 * 1024

BAD_SYNTAX = Reply(500, "5.5.2", "Syntax error")
TOO_LONG = Reply(500, "5.5.2", "Command line too long")
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognised")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument")
HELO_FIRST = Reply(503, "5.5.1", "Send EHLO or HELO first")
MAIL_FIRST = Reply(503, "5.5.1", "Send MAIL first")
RCPT_FIRST = Reply(503, "5.5.1", "Send RCPT first")
NESTED_MAIL = Reply(503, "5.5.1", "A message is being sent already; RSET ends it")
NEEDS_NAME = Reply(501, "5.5.4", "Say who you are: EHLO name")
SIZE_TOO_LARGE = Reply(552, "5.3.4", "Message is larger than this server accepts")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients, send the others in another message")
TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Too many messages in one connection")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections, try again later")
SHUTTING_DOWN = Reply(421, "4.3.2", "Shutting down, try again later")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "An address that is not ASCII needs SMTPUTF8")
CANNOT_VERIFY = Reply(252, "2.5.0", "Cannot verify; send the message and see")
_NO_ENVELOPE = PeerEnvelope()
GO_AHEAD = "354 End data with <CR><LF>.<CR><LF>"
BYE = Reply(221, "2.0.0", "Bye")


class _Leave(Exception):
    """Ends the conversation after a last reply."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__()


@frozen(eq=False)
class Services:
    """What every connection of one gateway shares."""

    engine: Engine
    acceptance: Acceptance
    spool: Spool
    connections: set[Server]
    listener: str = ""

    @property
    def settings(self) -> GatewaySettings:
        """The settings of the gateway."""
        return self.engine.config.core.gateway


class LineReader(asyncio.StreamReader):
    """A stream reader that can tell whether bytes wait in it."""

    @property
    def pending(self) -> bool:
        """Whether bytes were received that nobody has read."""
        return bool(self._buffer)  # type: ignore[attr-defined]


class Server(SMTP):
    """One SMTP connection."""

    _COMMANDS: ClassVar[dict[bytes, str]] = {
        b"HELO": "_helo",
        b"EHLO": "_ehlo",
        b"MAIL": "_mail",
        b"RCPT": "_rcpt",
        b"DATA": "_data",
        b"RSET": "_rset",
        b"NOOP": "_noop",
        b"QUIT": "_quit",
        b"VRFY": "_vrfy",
        b"EXPN": "_not_implemented",
        b"HELP": "_help",
        b"TURN": "_not_implemented",
        b"ETRN": "_not_implemented",
    }

    def __init__(self, services: Services) -> None:
        # SMTP.__init__ inspects every method of handler and server for each connection; what it
        # sets that the inherited methods use is set here instead.
        self.loop = asyncio.get_running_loop()
        reader = LineReader(limit=MAX_PENDING_BYTES, loop=self.loop)
        asyncio.StreamReaderProtocol.__init__(
            self, reader, client_connected_cb=self._cb_client_connected, loop=self.loop
        )
        self._services = services
        self._bulk = reader
        self._hurry = services.settings.timeout_s
        self._inherited_state()
        self.client = Session()
        self._sender: Sender | None = None
        self._recipients: list[Recipient] = []
        self._found: list[Finding] = []
        self._session_found: tuple[Finding, ...] = ()
        self._messages = 0
        self._bad = 0
        self._content: Content | None = None
        self._content_ended: asyncio.Future[None] | None = None
        self._in_content = False
        self.busy = False

    def _inherited_state(self) -> None:
        self.event_handler = None
        self.enable_SMTPUTF8 = True
        self.tls_context = None
        self._timeout_duration = self._hurry
        self._timeout_handle = None
        self._tls_protocol = None
        self._original_transport = None
        self.session = None
        self.envelope = None
        self.transport = None
        self._handler_coroutine = None
        self._handle_hooks: dict[str, Any] = {}

    def _create_session(self) -> PeerSession:
        return PeerSession(self.loop)

    def _create_envelope(self) -> PeerEnvelope:
        return _NO_ENVELOPE

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection (asyncio calls this)."""
        self._services.connections.discard(self)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Give content to its sink, all else to the reader of commands (asyncio calls this)."""
        content, ended = self._content, self._content_ended
        if content is None or ended is None:
            self._bulk.feed_data(data)
            return
        self._reset_timeout()
        try:
            rest = content.feed(data)
        except Exception as error:  # a fault of our own: `_obey` makes it a log line and an end
            self._content = None
            ended.set_exception(error)
            return
        if rest is not None:
            self._content = None
            ended.set_result(None)
            if rest:
                self._bulk.feed_data(rest)

    async def _arrive(self, content: Content) -> None:
        """Wait until the sink has its content."""
        self._content_ended = self.loop.create_future()
        self._content = content
        try:
            await self._say(GO_AHEAD)
            await self._content_ended
        finally:
            self._content = self._content_ended = None

    async def leave(self) -> None:
        """Tell an idle client 421 and close; a client in mid-message is left to finish."""
        if not self.busy and self.transport is not None:
            self._writer.write(f"{SHUTTING_DOWN}\r\n".encode())
            self.transport.close()

    async def _say(self, reply: Reply | str) -> None:
        self._writer.write(f"{reply}\r\n".encode())
        if not self._bulk.pending:
            # replies to pipelined commands leave together (RFC 2920 section 3.2)
            await self._writer.drain()

    async def _handle_client(self) -> None:
        try:
            await self._greet()
            while self.transport is not None:
                line = await self._next_line()
                self._reset_timeout()
                await self._obey(line)
        except _Leave as last:
            await self._say(last.reply)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writer.close()

    async def _greet(self) -> None:
        assert self.transport is not None
        ip, port = (self.transport.get_extra_info("peername") or ("", 0))[:2]
        self.client = Session(
            id=secrets.token_hex(6),
            client_ip=ip.removeprefix("::ffff:"),
            client_port=port,
            listener=self._services.listener,
            started_at=self._services.engine.clock.time(),
        )
        connections = self._services.connections
        if len(connections) >= self._services.settings.max_connections:
            self._refused("connect", TOO_MANY_CONNECTIONS, "core", "max_connections")
            raise _Leave(TOO_MANY_CONNECTIONS)
        connections.add(self)
        ruling = await self._ask("connect", self._services.engine.gate.connect(self.client))
        if ruling.reply is not None:
            raise _Leave(ruling.reply)
        self._session_found += ruling.findings
        await self._say(f"220 {self._services.engine.hostname} ESMTP Mailward")

    async def _next_line(self) -> bytes:
        try:
            return await self._bulk.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise _Leave(TOO_LONG) from None

    async def _obey(self, line: bytes) -> None:
        if len(line) > MAX_COMMAND_BYTES or not line.endswith(b"\r\n"):
            await self._complain(TOO_LONG if len(line) > MAX_COMMAND_BYTES else BAD_SYNTAX)
            return
        word, _, rest = line[:-2].partition(b" ")
        name = self._COMMANDS.get(word.upper())
        if name is None:
            await self._complain(UNKNOWN_COMMAND)
            return
        try:
            argument = rest.strip().decode("utf-8")
        except UnicodeDecodeError:
            await self._complain(BAD_SYNTAX)
            return
        method: Callable[[str], Awaitable[Reply | None]] = getattr(self, name)
        try:
            reply = await method(argument)
        except (_Leave, ConnectionError, asyncio.IncompleteReadError):
            raise
        except Exception as error:  # a fault of our own must be 451 and a log line, nothing else
            structlog.get_logger().exception("command failed", command=name, error=type(error).__name__)
            if self._in_content:
                # what follows on the wire is the rest of a message, not commands
                raise _Leave(SHUTTING_DOWN) from error
            reply = LOCAL_ERROR
        if reply is not None:
            await (self._complain(reply) if reply.code in (500, 501, 502, 503) else self._say(reply))

    async def _complain(self, reply: Reply) -> None:
        self._bad += 1
        await self._say(reply)
        if self._bad >= MAX_BAD_COMMANDS:
            raise _Leave(TOO_MANY_ERRORS)

    async def _ask(self, stage: str, asked: Awaitable[Ruling], recipient: str = "") -> Ruling:
        ruling = await asked
        if ruling.reply is not None:
            self._refused(stage, ruling.reply, ruling.plugin, ruling.rule, recipient)
        return ruling

    def _refused(self, stage: str, reply: Reply, plugin: str, rule: str, recipient: str = "") -> None:
        sender = str(self._sender.address) if self._sender else ""
        self._services.engine.emit(
            Refused(
                session=self.client,
                stage=stage,
                reply=reply,
                plugin=plugin,
                rule=rule,
                sender=sender,
                recipient=recipient,
            )
        )

    def _forget(self) -> None:
        self._sender = None
        self._recipients = []
        self._found = []

    async def _hello(self, name: str, protocol: str) -> Reply | None:
        if not name or len(name) > 255 or any(ord(c) <= 32 for c in name):
            return NEEDS_NAME
        ruling = await self._ask("helo", self._services.engine.gate.helo(self.client, name))
        if ruling.reply is not None:
            return ruling.reply
        self._forget()
        self._session_found += ruling.findings
        self.client = evolve(self.client, helo=name, protocol=protocol)
        return None

    async def _helo(self, argument: str) -> Reply:
        refusal = await self._hello(argument, "SMTP")
        return refusal or Reply(250, "", self._services.engine.hostname)

    async def _ehlo(self, argument: str) -> Reply:
        refusal = await self._hello(argument, "ESMTP")
        if refusal is not None:
            return refusal
        size = self._services.settings.max_message_bytes
        words = (f"SIZE {size}", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES", "HELP")
        return Reply(250, "", "\n".join((self._services.engine.hostname, *words)))

    async def _mail(self, argument: str) -> Reply:
        if not self.client.helo:
            return HELO_FIRST
        if self._sender is not None:
            return NESTED_MAIL
        if self._messages >= self._services.settings.max_messages:
            raise _Leave(TOO_MANY_MESSAGES)
        path = parse_path(argument, MAIL_PARAMETERS) if argument[:5].upper() == "FROM:" else BAD_SYNTAX
        if isinstance(path, Reply):
            return path
        sender = Sender(path.address, path.parameters)
        if not _ascii(path.address) and sender.parameter("SMTPUTF8") is None:
            return NEEDS_SMTPUTF8
        if int(sender.parameter("SIZE") or 0) > self._services.settings.max_message_bytes:
            self._refused("mail_from", SIZE_TOO_LARGE, "core", "max_message_bytes")
            return SIZE_TOO_LARGE
        ruling = await self._ask("mail_from", self._services.engine.gate.mail_from(self.client, sender))
        if ruling.reply is not None:
            return ruling.reply
        self._sender = sender
        self._found = [*self._session_found, *ruling.findings]
        return SENDER_OK

    async def _rcpt(self, argument: str) -> Reply:
        if self._sender is None:
            return MAIL_FIRST
        path = parse_path(argument, RCPT_PARAMETERS) if argument[:3].upper() == "TO:" else BAD_SYNTAX
        if isinstance(path, Reply):
            return path
        if path.address.is_null:
            return Reply(501, "5.1.3", "A recipient is needed")
        if not _ascii(path.address) and self._sender.parameter("SMTPUTF8") is None:
            return NEEDS_SMTPUTF8
        if len(self._recipients) >= self._services.settings.max_recipients:
            return TOO_MANY_RECIPIENTS
        gate = self._services.engine.gate
        recipient = Recipient(self._with_domain(path.address), path.parameters, source_route=path.source_route)
        local = await gate.locality(recipient)
        if local is not None:
            recipient = evolve(recipient, local=local)
        ruling = await self._ask("rcpt_to", gate.rcpt_to(self.client, self._sender, recipient), str(path.address))
        if ruling.reply is not None:
            return ruling.reply
        self._recipients.append(recipient)
        self._found += ruling.findings
        return RECIPIENT_OK

    def _with_domain(self, address: Address) -> Address:
        """``<postmaster>`` alone is an address too (RFC 5321 section 4.5.1)."""
        if address.domain:
            return address
        settings = self._services.settings
        return Address.parse(settings.postmaster or f"postmaster@{settings.hostname}")

    async def _data(self, argument: str) -> Reply:
        if argument:
            return NO_ARGUMENT
        if self._sender is None or not self._recipients:
            return MAIL_FIRST if self._sender is None else RCPT_FIRST
        if self._bulk.pending:
            raise _Leave(TALKED_EARLY)
        self.busy = True
        started = monotonic()
        incoming = self._services.spool.begin()
        try:
            self._in_content = True
            settings = self._services.settings
            content = DotContent(incoming, settings.max_message_bytes, settings.bare_line_ends)
            await self._arrive(content)
            self._in_content = False
            if content.refusal is not None:
                self._refused("data", content.refusal, "core", "content")
                return content.refusal
            # the scan has a deadline of its own; the client's silence is no fault of his
            if self._timeout_handle is not None:
                self._timeout_handle.cancel()
            envelope = self._envelope(incoming.id)
            return await self._services.acceptance.accept(envelope, incoming, (monotonic() - started) * 1000)
        finally:
            incoming.discard()
            self._messages += 1
            self._forget()
            self.busy = False
            self._reset_timeout()

    def _envelope(self, message_id: str) -> Envelope:
        assert self._sender is not None
        return Envelope(
            self.client,
            self._sender,
            tuple(dict.fromkeys(self._recipients)),
            message_id,
            self._services.engine.clock.time(),
            tuple(self._found),
        )

    async def _rset(self, argument: str) -> Reply:
        if argument:
            return NO_ARGUMENT
        self._forget()
        return OK

    async def _noop(self, argument: str) -> Reply:
        return OK

    async def _quit(self, argument: str) -> Reply:
        if argument:
            return NO_ARGUMENT
        raise _Leave(BYE)

    async def _vrfy(self, argument: str) -> Reply:
        return CANNOT_VERIFY if argument else Reply(501, "5.5.4", "Whom?")

    async def _help(self, argument: str) -> Reply:
        return Reply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY QUIT")

    async def _not_implemented(self, argument: str) -> Reply:
        return NOT_IMPLEMENTED


def _ascii(address: Address) -> bool:
    return address.local.isascii() and address.domain.isascii()
