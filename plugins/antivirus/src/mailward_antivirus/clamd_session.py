"""One connection to a clamd, kept open over several contents (IDSESSION), each streamed (INSTREAM).

> zIDSESSION\\0 zINSTREAM\\0 size chunk size chunk … 0        < 1: stream: OK\\0
> zINSTREAM\\0 …                                              < 2: stream: NAME FOUND\\0
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from attrs import define, frozen

from mailward import Part
from mailward_antivirus.remote import is_silent

CHUNK_BYTES = 64 * 1024
IDLE_S = 15.0
"""clamd ends sessions that are idle for 30 s; ours are given up before that."""


@frozen
class Exchange:
    """What came of one content: the reply, None where the connection ended before it; and whether all was sent."""

    reply: bytes | None
    complete: bool


@define(eq=False)
class Session:
    """A conversation with one clamd. ``asked`` counts its commands; clamd puts the number before each answer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    asked: int = 0
    idle_since: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether another command may be sent, as far as can be told from here."""
        age_s = asyncio.get_running_loop().time() - self.idle_since
        return age_s < IDLE_S and is_silent(self.reader) and not self.writer.transport.is_closing()

    async def scan(self, part: Part) -> Exchange:
        """Send the content and read the answer. Raises LimitOverrunError where that has no end."""
        answer = asyncio.create_task(_answer(self.reader))
        try:
            complete = await self._send(part, answer)
            reply = await answer
        finally:
            answer.cancel()
        return Exchange(self._own(reply), complete)

    async def version(self) -> str:
        """What clamd says of itself and its database; empty where it does not."""
        self.writer.write(self._command(b"VERSION"))
        try:
            reply = self._own(await _answer(self.reader))
        except asyncio.LimitOverrunError:
            return ""
        return reply.decode("ascii", "replace") if reply else ""

    def end(self) -> None:
        """Close the connection at once."""
        self.writer.transport.abort()

    def _command(self, name: bytes) -> bytes:
        self.asked += 1
        return (b"zIDSESSION\0" if self.asked == 1 else b"") + b"z" + name + b"\0"

    def _own(self, reply: bytes | None) -> bytes | None:
        """The reply without the number of the command; without it or with another only an error counts."""
        number = b"%d: " % self.asked
        if not reply or reply.startswith(number):
            return reply and reply.removeprefix(number)
        return reply if reply.endswith(b" ERROR") else b"not numbered %d: " % self.asked + reply

    def _frames(self, part: Part) -> Iterator[bytes]:
        yield self._command(b"INSTREAM")
        for chunk in part.stream(CHUNK_BYTES):
            if chunk:
                yield len(chunk).to_bytes(4, "big") + chunk
        yield bytes(4)

    async def _send(self, part: Part, answer: asyncio.Task[bytes | None]) -> bool:
        """Send the content; False where clamd answered or broke off before it had all of it."""
        try:
            for frame in self._frames(part):
                if answer.done():
                    return False
                self.writer.write(frame)
                await self.writer.drain()
        except ConnectionError:
            return False
        return True


async def _answer(reader: asyncio.StreamReader) -> bytes | None:
    """The answer without its NUL, or None where the connection ends before that."""
    try:
        return (await reader.readuntil(b"\0"))[:-1]
    except (ConnectionError, EOFError):
        return None
