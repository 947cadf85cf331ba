"""The wire: one SMTP connection after its set-up, replies in, bytes out with back-pressure.

aiosmtplib pairs each reply with one command and drops what else arrives, so replies to pipelined
commands (RFC 2920) are lost on it, and it takes a message only as one block of bytes. This protocol
takes the connection over once aiosmtplib has set it up.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque

from mailward import PeerError, Recorder, Reply

MAX_LINE_BYTES = 4096
MAX_REPLY_BYTES = 32_768
MAX_TEXT = 1000
"""Characters of a reply's text that are kept: it goes into logs and notices."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|\Z)")


class LinkError(PeerError):
    """A next hop could not be spoken to, or not to the end; ``reply`` is what it said last, if that is why.

    ``recorded`` says that the record of a conversation tells of it already, ``untried`` that no connection was made.
    """

    def __init__(self, detail: str, reply: Reply | None = None) -> None:
        self.detail = detail
        self.reply = reply
        self.recorded = False
        self.untried = False
        super().__init__(detail)


def clean(text: str) -> str:
    """Text of a peer, without what could act on a terminal, a log or a header field."""
    if text.isprintable():
        return text[:MAX_TEXT]
    return "".join(char if char.isprintable() else " " for char in text[:MAX_TEXT])


def make_reply(code: int, lines: list[str]) -> Reply:
    """A reply from the lines of a peer: bounded, sanitised, enhanced status code taken apart (RFC 2034)."""
    enhanced = ""
    texts: list[str] = []
    for line in lines:
        match = _ENHANCED.match(line)
        if match is not None and match[1][0] == str(code)[0]:
            enhanced = enhanced or match[1]
            line = line[match.end() :]
        texts.append(clean(line))
    return Reply(code, enhanced, "\n".join(texts)[:MAX_TEXT])


class Wire(asyncio.Protocol):
    """Replies and bytes of one connection. One coroutine at a time may wait on it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._fault: LinkError | None = None
        self._partial = b""
        self._lines: list[str] = []
        self._reply_bytes = 0
        self._replies: deque[Reply] = deque()
        self._expected = 0
        self._gone = False
        self._recorder: Recorder | None = None
        self._refusals: list[Reply] = []

    @property
    def usable(self) -> bool:
        """Whether nothing speaks against the next command: open, and nothing was said unasked."""
        return self._fault is None and not self._replies and not self._partial and not self._transport.is_closing()

    @property
    def has_reply(self) -> bool:
        """Whether a reply waits to be read."""
        return bool(self._replies)

    @property
    def fault(self) -> LinkError | None:
        """What ended the connection, if it has ended."""
        return self._fault

    def record(self, recorder: Recorder | None) -> list[Reply]:
        """Write down what is said from now on, or no more; the refusals that were written down before."""
        refusals, self._refusals = self._refusals, []
        self._recorder = recorder
        return refusals

    def expect(self, replies: int) -> None:
        """Announce that so many further replies will be read; more than announced break the connection."""
        self._expected += replies

    def send(self, commands: bytes, replies: int, chunk: bytes = b"") -> None:
        """Send commands to which so many replies will be read, and with them the content that the last announces."""
        self._expected += replies
        if self._recorder is not None:
            self._recorder.client(commands)
            if chunk:
                self._recorder.content(chunk)
                self._recorder.content_end()
        self._put(commands + chunk if chunk else commands)

    async def write(self, data: bytes, timeout_s: float) -> None:
        """Send content; waits while the peer takes none, at most ``timeout_s`` without progress."""
        if self._recorder is not None:
            self._recorder.content(data)
        self._put(data)
        while self._paused and self._fault is None and not self._replies:
            pending = self._transport.get_write_buffer_size()
            try:
                await self._wait(self._loop.time() + timeout_s, "took no content")
            except LinkError:
                if self._transport.get_write_buffer_size() >= pending:
                    raise
        if self._fault is not None and not self._replies:
            raise self._fault

    def content_ended(self) -> None:
        """Note in the record that the content is over."""
        if self._recorder is not None:
            self._recorder.content_end()

    def _put(self, data: bytes) -> None:
        # a transport that is closed already raises on some event loops and ignores it on others
        if self._transport.is_closing():
            self._break("was closed by the peer")
        else:
            self._transport.write(data)

    async def reply(self, timeout_s: float) -> Reply:
        """The next reply; raises LinkError where none came in time or the connection ended."""
        deadline = self._loop.time() + timeout_s
        while not self._replies:
            if self._fault is not None:
                raise self._fault
            await self._wait(deadline, "gave no reply")
        return self._replies.popleft()

    def abort(self) -> None:
        """End the connection at once; nothing unsent is sent any more."""
        self._break("was given up")
        self._transport.abort()

    def close(self) -> None:
        """End the connection once everything is sent."""
        self._break("was closed")
        self._transport.close()

    async def gone(self, timeout_s: float) -> None:
        """Wait for the end of a connection that was closed; cut it where the peer does not let go."""
        deadline = self._loop.time() + timeout_s
        try:
            while not self._gone:
                await self._wait(deadline, "did not close")
        except LinkError:
            self.abort()

    async def _wait(self, deadline: float, what: str) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_at(deadline, _expire, waiter, what)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _break(self, detail: str) -> None:
        if self._fault is None:
            self._fault = LinkError(f"the connection {detail}")
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Take replies apart as they arrive (asyncio)."""
        if self._fault is not None:
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if not self._take(line.rstrip(b"\r")):
                break
        else:
            if len(self._partial) > MAX_LINE_BYTES:
                self._lie("sent a line without end")
        if self._fault is not None or self._replies:
            self._wake()

    def _take(self, line: bytes) -> bool:
        match = _LINE.fullmatch(line) if len(line) <= MAX_LINE_BYTES else None
        self._reply_bytes += len(line)
        if match is None or self._reply_bytes > MAX_REPLY_BYTES:
            return self._lie("sent what is no reply" if match is None else "sent a reply without end")
        if self._recorder is not None:
            self._recorder.server(line)
        self._lines.append((match[3] or b"").decode("utf-8", "replace"))
        if match[2] == b"-":
            return True
        reply = make_reply(int(match[1]), self._lines)
        self._lines = []
        self._reply_bytes = 0
        if self._expected == 0:
            self._fault = LinkError(f"the peer said unasked: {reply.code}", reply)
            self._transport.abort()
            return False
        self._expected -= 1
        if self._recorder is not None and reply.refuses:
            self._refusals.append(reply)
        self._replies.append(reply)
        return True

    def _lie(self, what: str) -> bool:
        self._partial = b""
        self._fault = LinkError(f"the peer {what}")
        self._transport.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end (asyncio); replies that came before it can still be read."""
        self._gone = True
        self._break("was lost" if exc is None else f"was lost: {clean(str(exc))}")

    def pause_writing(self) -> None:
        """The peer takes no more for now (asyncio)."""
        self._paused = True

    def resume_writing(self) -> None:
        """The peer takes content again (asyncio)."""
        self._paused = False
        self._wake()


def _expire(waiter: asyncio.Future[None], what: str) -> None:
    if not waiter.done():
        waiter.set_exception(LinkError(f"the peer {what} in time"))
