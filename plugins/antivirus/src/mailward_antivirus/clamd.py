"""The clamd engine: content streamed to a ClamAV daemon over a Unix or TCP socket (INSTREAM)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from mailward import Part
from mailward_antivirus.clamd_reply import MAX_REPLY_BYTES, parse
from mailward_antivirus.report import Fault, Report, unchecked

CHUNK_BYTES = 64 * 1024
PING_TIMEOUT_S = 5.0
FORMS = "unix:/path/of/socket, host:port or [IPv6 address]:port"

_TCP = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]/\s]+)):(\d{1,5})")


@frozen
class ClamdAddress:
    """Where clamd listens: a socket file (``path``), or ``host`` and ``port``."""

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> ClamdAddress:
        """Read ``unix:/path`` or ``host:port``; ValueError says what is allowed."""
        if text.startswith("unix:") and text != "unix:":
            return cls(path=text.removeprefix("unix:"))
        match = _TCP.fullmatch(text)
        if match is None or not 0 < int(match[3]) < 65_536:
            raise ValueError(f"{text!r} is no address of clamd; allowed: {FORMS}")
        return cls(host=match[1] or match[2], port=int(match[3]))

    def under(self, base: Path) -> ClamdAddress:
        """The same address, a relative socket path starting at ``base``."""
        return ClamdAddress(path=str(base / self.path)) if self.path else self

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection; OSError where there is none to be had."""
        if self.path:
            return await asyncio.open_unix_connection(self.path, limit=MAX_REPLY_BYTES)
        return await asyncio.open_connection(self.host, self.port, limit=MAX_REPLY_BYTES)

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"


@frozen
class Clamd:
    """One clamd. Each content has a connection of its own; ``timeout_s`` is for one content (KAV-SCN-05).

    A connection that breaks or stays silent has two possible reasons. clamd closes it on content
    over its StreamMaxLength, and the reset may overtake the words that say so; or clamd has ended.
    A PING tells them apart: a daemon that answers is well, so the content is what it could not do.
    """

    address: ClamdAddress
    timeout_s: float = 30.0
    max_bytes: int = 100 * 1024 * 1024
    name: str = "clamd"
    at_once: int = 4

    async def scan(self, part: Part) -> Report:
        """Judge the content of ``part`` (see `Engine`)."""
        if part.size > self.max_bytes:
            return unchecked(Fault.LIMIT, f"too large for the scanner: {part.size} bytes, allowed: {self.max_bytes}")
        try:
            async with asyncio.timeout(self.timeout_s):
                reader, writer = await self.address.open()
                try:
                    return await self._converse(part, reader, writer)
                finally:
                    writer.transport.abort()
        except TimeoutError:
            return await self._blame(Fault.CONTENT, f"no answer within {self.timeout_s:g} s")
        except OSError as error:
            return unchecked(Fault.SCANNER, f"clamd at {self.address} cannot be reached: {error.strerror or error}")

    async def _converse(self, part: Part, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Report:
        answer = asyncio.create_task(_answer(reader))
        try:
            complete = await _send(part, writer, answer)
            reply = await answer
        except asyncio.LimitOverrunError:
            return unchecked(Fault.SCANNER, "answer of clamd not understood: it does not end")
        finally:
            answer.cancel()
        if reply is None:
            if complete:
                return await self._blame(Fault.CONTENT, "clamd broke off without an answer")
            return await self._blame(Fault.LIMIT, "too large for the scanner: it broke off")
        report = parse(reply)
        if not complete and not report.name and report.fault is Fault.NONE:
            return unchecked(Fault.SCANNER, "clamd answered before it had the content")
        return report

    async def _blame(self, fault: Fault, detail: str) -> Report:
        well = await self.answers_ping()
        return unchecked(fault, detail) if well else unchecked(Fault.SCANNER, f"{detail}, nor does it answer a PING")

    async def answers_ping(self) -> bool:
        """Whether clamd is there and well."""
        try:
            async with asyncio.timeout(min(PING_TIMEOUT_S, self.timeout_s)):
                reader, writer = await self.address.open()
                try:
                    writer.write(b"zPING\0")
                    return await reader.readuntil(b"\0") == b"PONG\0"
                finally:
                    writer.transport.abort()
        except (OSError, EOFError, asyncio.LimitOverrunError):
            return False


def _frames(part: Part) -> Iterator[bytes]:
    """INSTREAM: the command, chunks that their length precedes, and a chunk of no length."""
    yield b"zINSTREAM\0"
    for chunk in part.stream(CHUNK_BYTES):
        if chunk:
            yield len(chunk).to_bytes(4, "big") + chunk
    yield bytes(4)


async def _send(part: Part, writer: asyncio.StreamWriter, answer: asyncio.Task[bytes | None]) -> bool:
    """Send the content; False where clamd answered or broke off before it had all of it."""
    try:
        for frame in _frames(part):
            writer.write(frame)
            await writer.drain()
            if answer.done():
                return False
    except ConnectionError:
        return False
    return True


async def _answer(reader: asyncio.StreamReader) -> bytes | None:
    """The answer without its NUL, or None where the connection ends before that."""
    try:
        return (await reader.readuntil(b"\0"))[:-1]
    except (ConnectionError, EOFError):
        return None
