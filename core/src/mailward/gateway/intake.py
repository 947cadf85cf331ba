"""The content that comes over one connection: from the network straight to its sink, past the reader of lines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mailward.gateway.replies import TOO_MUCH_CONTENT
from mailward.gateway.timing import NEVER, Timing
from mailward.values.reply import Reply

if TYPE_CHECKING:
    from mailward.gateway.reader import LineReader
    from mailward.gateway.receive import Content


class Intake(Timing):
    """The part of a connection that takes content."""

    lines: LineReader
    content_bytes: int
    _content_ended: asyncio.Future[None] | None
    _says_no_more: bool

    async def say(self, reply: Reply) -> None:
        """Send a reply."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """Give content to its sink, all else to the reader of commands (asyncio calls this)."""
        content, ended = self._content, self._content_ended
        if content is None or ended is None or ended.done():
            self.lines.feed_data(data)
        else:
            self._deadline = self.loop.time() + self.settings.data_end_timeout_s
            self._feed(content, ended, data)

    def _feed(self, content: Content, ended: asyncio.Future[None], data: bytes) -> None:
        try:
            rest = content.feed(data)
        except Exception as error:  # a fault of our own: the command loop makes it a log line and an end
            self._content = None
            ended.set_exception(error)
            return
        taken = len(data) - len(rest or b"")
        self.content_bytes += taken
        if self.recorder is not None:
            self.recorder.content(data[:taken])
        if rest is not None:
            self._content = None
            ended.set_result(None)
            if rest:
                self.lines.put_back(rest)
        elif self.content_bytes > self.settings.max_session_bytes + self.settings.max_message_bytes:
            self._content = None
            ended.set_exception(self.dismissal(TOO_MUCH_CONTENT, "data", "max_session_bytes"))

    async def receive(self, content: Content, go_ahead: Reply | None = None) -> None:
        """Have a sink fed until it has its end; what came before this call and is unread is its beginning."""
        ended = self._content_ended = self.loop.create_future()
        self._content = content
        self._content_since = self.loop.time()
        self._deadline = self._content_since + self.settings.data_end_timeout_s
        if go_ahead is not None:
            await self.say(go_ahead)
        if self.lines.pending:
            self._feed(content, ended, self.lines.take_pending())
        if self._says_no_more and not ended.done():
            raise ConnectionResetError("the client hung up before the end of its message")
        await ended
        self._content = self._content_ended = None
        # judging has deadlines of its own; the client's silence is no fault of his
        self._deadline = NEVER
        if self.recorder is not None:
            self.recorder.content_end()
