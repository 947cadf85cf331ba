"""One connection to an ICAP server: a content sent in chunks, with a preview or without, and the answer read."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator

from attrs import define, frozen

from mailward import Part
from mailward_antivirus.icap_message import MAX_HEAD_BYTES, Answer, Head, IcapAddress, IcapError, read_head, request
from mailward_antivirus.remote import is_silent

CHUNK_BYTES = 64 * 1024
IDLE_S = 15.0
_MORE_BYTES = 1024 * 1024
"""By how much a content may grow in the hands of a scanner."""

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")


@frozen
class Offer:
    """What a service offers: the method to use, what tells its definitions from others, the preview it wants."""

    method: str
    tag: str
    preview: int | None


@define(eq=False)
class Connection:
    """A conversation with one ICAP server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0
    kept: bool = True

    @classmethod
    async def open(cls, address: IcapAddress) -> Connection:
        """A new one. OSError where there is none to be had."""
        return cls(*await asyncio.open_connection(address.host, address.port, limit=MAX_HEAD_BYTES))

    @property
    def usable(self) -> bool:
        """Whether another request may be sent, as far as can be told from here."""
        age_s = asyncio.get_running_loop().time() - self.idle_since
        open_still = is_silent(self.reader) and not self.writer.transport.is_closing()
        return self.kept and age_s < IDLE_S and open_still

    def end(self) -> None:
        """Close the connection at once."""
        self.writer.transport.abort()

    async def ask(self, message: bytes) -> Head:
        """Send a request without content; the head of the answer. Raises IcapError, OSError, EOFError."""
        self.writer.write(message)
        await self.writer.drain()
        answer = await self._answer(await self._head(), 0, b"")
        return answer.head

    async def scan(self, part: Part, address: IcapAddress, offer: Offer) -> Answer:
        """Send the content of ``part``; the answer. Raises IcapError, OSError, EOFError."""
        preview = None if offer.preview is None else min(offer.preview, part.size)
        self.writer.write(request(address, offer.method, part.size, preview))
        digest = hashlib.sha256()
        content = part.stream(CHUNK_BYTES)
        if preview is not None:
            head = await self._previewed(part, preview, digest)
            if head.status != 100:  # who asks for a preview lets the service decide on it
                return await self._answer(head, part.size, digest.digest())
            content = _without(content, preview)
        waiting = asyncio.create_task(self._head())
        try:
            complete = await self._send(content, waiting, digest)
            head = await waiting
        finally:
            waiting.cancel()
        if head.status == 100:
            raise IcapError("the server asks for more than there is")
        return await self._answer(head, part.size, digest.digest(), complete=complete)

    async def _previewed(self, part: Part, preview: int, digest: hashlib._Hash) -> Head:
        """Send the first bytes alone; what the server says to them."""
        first = part.head(preview)
        digest.update(first)
        whole = preview == part.size
        end = b"0; ieof\r\n\r\n" if whole else b"0\r\n\r\n"
        self.writer.write((_chunk(first) if first else b"") + end)
        await self.writer.drain()
        return await self._head()

    async def _send(self, content: Iterator[bytes], waiting: asyncio.Task[Head], digest: hashlib._Hash) -> bool:
        """Send the content; False where the server answered or broke off before it had all of it."""
        try:
            for piece in content:
                if waiting.done():
                    self.kept = False
                    return False
                if piece:
                    digest.update(piece)
                    self.writer.write(_chunk(piece))
                    await self.writer.drain()
            self.writer.write(b"0\r\n\r\n")
            await self.writer.drain()
        except ConnectionError:
            self.kept = False
            return False
        return True

    async def _head(self) -> Head:
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise IcapError("the head of the answer does not end") from None
        return read_head(raw[:-4])

    async def _answer(self, head: Head, size: int, digest: bytes, *, complete: bool = True) -> Answer:
        """The rest of an answer, as far as it has one."""
        self.kept = self.kept and head.keeps and complete
        body_at = head.body_at
        if body_at is None or head.status not in (200, 206):
            self.kept = self.kept and body_at is None  # what is not read would be the answer to the next content
            return Answer(head, complete=complete)
        http = (await self.reader.readexactly(body_at)).decode("latin-1")
        body = await self._body(size + _MORE_BYTES)
        same = complete and hashlib.sha256(body).digest() == digest
        return Answer(head, http, body, complete, same)

    async def _body(self, max_bytes: int) -> bytes:
        body = bytearray()
        while True:
            try:
                line = await self.reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError:
                raise IcapError("a chunk without its length") from None
            match = _CHUNK.fullmatch(line)
            if match is None:
                raise IcapError(f"a chunk without its length: {line[:40]!r}")
            size = int(match[1], 16)
            if not size:
                await self._trailer()
                return bytes(body)
            if len(body) + size > max_bytes:
                raise IcapError(f"the answer is larger than {max_bytes} bytes")
            body += await self.reader.readexactly(size)
            if await self.reader.readexactly(2) != b"\r\n":
                raise IcapError("a chunk is not as long as it says")

    async def _trailer(self) -> None:
        for _ in range(100):
            try:
                if await self.reader.readuntil(b"\r\n") == b"\r\n":
                    return
            except asyncio.LimitOverrunError:
                break
        raise IcapError("the answer does not end")


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n" % len(piece) + piece + b"\r\n"


def _without(content: Iterator[bytes], skipped: int) -> Iterator[bytes]:
    """The content after its first ``skipped`` bytes."""
    for piece in content:
        if skipped >= len(piece):
            skipped -= len(piece)
        else:
            yield piece[skipped:]
            skipped = 0
