"""One connection: its life and its words. Its time stands in `timing`, its content in `intake`, commands in `commands`.

What comes from aiosmtpd is the connection's life: streams, flow control, loss, EOF, PROXY headers.
What is ours is everything a client can say, TLS, and content, which passes the stream reader by.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Envelope as PeerEnvelope
from aiosmtpd.smtp import Session as PeerSession
from attrs import evolve

from mailward.gateway.commands import obey
from mailward.gateway.identity import Peer
from mailward.gateway.intake import Intake
from mailward.gateway.opening import open_session
from mailward.gateway.reader import LineReader
from mailward.gateway.receive import Content
from mailward.gateway.replies import SHUTTING_DOWN, TOO_LONG, TOO_MANY_ERRORS, Leave, wire
from mailward.gateway.timing import NEVER, NoTimer
from mailward.hooks.conversation import MASK, Fault, Recorder
from mailward.hooks.log import get_logger
from mailward.values.envelope import Session
from mailward.values.finding import Finding
from mailward.values.reply import LOCAL_ERROR, Reply

if TYPE_CHECKING:
    from mailward.engine.gateway_settings import GatewaySettings
    from mailward.gateway.arrival import Chunks
    from mailward.gateway.services import Listener, Services
    from mailward.gateway.transaction import Transaction

MAX_PENDING_BYTES = 128 * 1024
BAD_COMMANDS = frozenset({500, 501, 502, 503})
_NO_ENVELOPE = PeerEnvelope()
_NO_TIMER = NoTimer()


class Server(Intake, SMTP):
    """One connection of a listener.

    ``client`` is what is known of the session, ``transaction`` the message that is on its way,
    ``chunks`` its content as far as it came by BDAT.
    """

    def __init__(self, listener: Listener) -> None:
        # SMTP.__init__ inspects every method of handler and server for each connection; what it
        # sets that the inherited methods use is set here instead.
        self.loop = asyncio.get_running_loop()
        self.lines = LineReader(limit=MAX_PENDING_BYTES, loop=self.loop)
        asyncio.StreamReaderProtocol.__init__(
            self, self.lines, client_connected_cb=self._cb_client_connected, loop=self.loop
        )
        self._inherited_state()
        self.listener = listener
        self.services: Services = listener.services
        self.settings: GatewaySettings = listener.settings
        self.client = Session()
        self.peer = Peer("", 0)
        self.transaction: Transaction | None = None
        self.chunks: Chunks | None = None
        self.connect_findings: tuple[Finding, ...] = ()
        self.hello_findings: tuple[Finding, ...] = ()
        self.recorder: Recorder | None = None
        self.messages = self.errors = self.junk = self.failed_logins = self.content_bytes = 0
        self.busy = self.welcomed = False
        self._content: Content | None = None
        self._content_ended: asyncio.Future[None] | None = None
        self._content_since = 0.0
        self._deadline = self._write_deadline = NEVER
        self._parting = self._says_no_more = False
        self._counted_in = ""

    def _inherited_state(self) -> None:
        self.event_handler = self.tls_context = self._tls_protocol = self._original_transport = None
        self.session = self.envelope = self.transport = self._handler_coroutine = None
        self._timeout_handle = cast(asyncio.TimerHandle, _NO_TIMER)
        self._handle_hooks: dict[str, Any] = {}

    def _create_session(self) -> PeerSession:
        return PeerSession(self.loop)

    def _create_envelope(self) -> PeerEnvelope:
        return _NO_ENVELOPE

    # life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected (asyncio calls this)."""
        self.services.watch.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection (asyncio calls this)."""
        self.services.watch.discard(self)
        self.services.connections.discard(self)
        self.count_out()
        if self.recorder is not None and error is not None:
            self.recorder.fault(Fault.COMMUNICATION, type(error).__name__)
        super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """The client says nothing more (asyncio calls this).

        What it has said is obeyed and answered all the same: some clients send QUIT behind their message
        and shut their side at once. Where a message is cut off, or nothing is left to obey, it has hung
        up; on a connection in TLS there is no shutting of one side.
        """
        self._says_no_more = True
        waits = self.lines.pending or self.busy or self._parting
        encrypted = self.transport is None or self.transport.get_extra_info("ssl_object") is not None
        if self._content is None and waits and not encrypted:
            self.lines.feed_eof()
            return True
        if self.recorder is not None and not self._parting:
            self.recorder.fault(Fault.COMMUNICATION, "the client hung up")
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
        return False

    async def leave(self) -> None:
        """Tell an idle client 421 and close; a client in mid-message is left to finish."""
        if not self.busy and self.transport is not None and not self._parting:
            self._writer.write(wire(SHUTTING_DOWN))
            self._part()

    async def _handle_client(self) -> None:
        last: Reply | None = None
        try:
            await open_session(self)
            while True:
                await self._next_command()
        except Leave as leave:
            last = leave.reply
            if last is not None and self.settings.pipe_connect and not self.welcomed:
                last = await self.services.farewells.answer(self, last)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if self.chunks is not None:
                self.forget()
            if last is not None:
                with contextlib.suppress(ConnectionError):
                    await self.say(last)
            if self.recorder is not None:
                self.recorder.close()
            self._part()

    async def _next_line(self) -> bytes:
        settings, transaction = self.settings, self.transaction
        waits_for_data = transaction is not None and transaction.recipients
        self._reset_timeout(settings.data_start_timeout_s if waits_for_data else settings.command_timeout_s)
        try:
            return await self.lines.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            self.violation("a command line without end")
            raise Leave(TOO_LONG) from None
        finally:
            self._deadline = NEVER

    async def _next_command(self) -> None:
        line = await self._next_line()
        try:
            reply = await obey(self, line)
        except (Leave, ConnectionError, asyncio.IncompleteReadError):
            raise
        except Exception as error:  # a fault of our own must be 451 and a log line, nothing else
            get_logger().exception("command failed", error=type(error).__name__)
            if self._content_ended is not None:
                # what follows on the wire is the rest of a message, not commands
                raise Leave(SHUTTING_DOWN) from error
            self.fault(Fault.LOCAL, type(error).__name__)
            reply = LOCAL_ERROR
        if reply is None:
            return
        await self.say(reply)
        if reply.code in BAD_COMMANDS:
            self.errors += 1
            self.fault(Fault.PROTOCOL)
            if self.errors >= self.settings.max_errors:
                self.violation("too many errors")
                raise Leave(TOO_MANY_ERRORS)

    def count_in(self) -> None:
        """The connection was let in: from now on it counts, until it ends."""
        self._counted_in = self.peer.ip
        self.services.connections.add(self)

    def count_out(self) -> None:
        """From now on it does not, though it has not ended yet."""
        if self._counted_in:
            self.services.doorkeeper.leave(self._counted_in)
            self._counted_in = ""

    # words

    async def say(self, reply: Reply) -> None:
        """Send a reply; replies to pipelined commands leave together (RFC 2920 section 3.2)."""
        data = wire(reply)
        if self.recorder is not None:
            self.recorder.server(data)
        self._writer.write(data)
        if not self.lines.pending:
            await self._writer.drain()

    @property
    def pending(self) -> bool:
        """Whether the client has said more than was read."""
        return self.lines.pending

    def throw_away_pending(self) -> None:
        """Forget what the client has said and nobody has read."""
        self.lines.take_pending()

    async def next_secret_line(self) -> bytes:
        """The next line of a log-in, without its end; it is not written down."""
        self._reset_timeout(self.settings.read_timeout_s)
        try:
            line = await self.lines.readuntil(b"\r\n")
        except asyncio.LimitOverrunError:
            raise Leave(TOO_LONG) from None
        if self.recorder is not None:
            self.recorder.client(MASK.encode())
        return line[:-2]

    def forget(self) -> None:
        """Give the message up that was being sent (RSET)."""
        self.transaction = None
        if self.chunks is not None:
            self.chunks.incoming.discard()
            self.chunks = None

    def start_over(self) -> None:
        """Forget what the client said: it begins a new session (STARTTLS, XCLIENT)."""
        self.forget()
        self.client = evolve(self.client, helo="", protocol="SMTP")

    def go_on_over(self, encrypted: asyncio.Transport) -> None:
        """Speak and listen over another transport from now on: that of TLS."""
        # What StreamWriter.start_tls does, which cannot be given bytes that were read before. It calls a method of the
        # protocol that has another name since Python 3.13, so that what it sets is set here.
        self.transport = self._transport = encrypted
        self._over_ssl = True
        self.lines._transport = encrypted  # type: ignore[attr-defined]
        self._writer._transport = encrypted  # type: ignore[attr-defined]
