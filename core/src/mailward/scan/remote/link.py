"""A gateway's connection to a scan server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Iterator

from attrs import frozen

from mailward.scan.codes import ANSWER, CONNECT, DEADLINE, PROTOCOL
from mailward.scan.content import Content
from mailward.scan.protocol import MAX_BODY_BYTES, Answer, Job
from mailward.scan.remote.key import GATEWAY, NONCE_BYTES, SERVER, Key, equal, nonce
from mailward.scan.remote.key import PROTOCOL as VERSION
from mailward.scan.remote.talk import (
    MAX_STRANGER_BYTES,
    Challenge,
    Hello,
    Proof,
    Request,
    Status,
    Welcome,
    hear,
    say,
)
from mailward.scan.ticket import Ticket
from mailward.values.endpoint import Endpoint
from mailward.values.errors import ScanError

_LIMIT_BYTES = 1024 * 1024
LATE_S = 2.0
"""What an answer may be late: the server gives up by itself when the time of a message is over."""


@frozen
class Terms:
    """What a gateway brings along to all of its scan servers."""

    key: Key
    config: str
    same_config: bool
    by_name: bool
    connect_timeout_s: float


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # who the server is, is proved by the key, over the certificate: no authority has to vouch for it
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Link:
    """An open connection on which both sides have shown the key. It has one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_bytes: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_bytes = max_bytes
        self.used = False

    @classmethod
    async def open(cls, endpoint: Endpoint, terms: Terms) -> Link:
        """Connect and shake hands. Raises ScanError (``connect``)."""
        writer = None
        try:
            async with asyncio.timeout(terms.connect_timeout_s):
                reader, writer = await asyncio.open_connection(
                    endpoint.host, endpoint.port, ssl=_context(), limit=_LIMIT_BYTES
                )
                welcome = await _shake_hands(reader, writer, terms)
        except BaseException as error:
            if writer is not None:
                writer.transport.abort()
            if isinstance(error, (OSError, TimeoutError, ScanError)):
                detail = error.detail if isinstance(error, ScanError) else _words(error)
                raise ScanError(CONNECT, f"{endpoint}: {detail}") from error
            raise
        return cls(reader, writer, welcome.max_bytes)

    @property
    def usable(self) -> bool:
        """Whether the server has not hung up, as far as is known."""
        return not self._reader.at_eof() and not self._writer.is_closing()

    async def scan(self, ticket: Ticket, terms: Terms, crashes: int) -> Answer:
        """Have a message judged. Raises ScanError; the link is of no use then."""
        content = ticket.content
        if content.size_bytes > self._max_bytes:
            return Answer(reason=PROTOCOL, detail=f"the scan server takes messages up to {self._max_bytes} bytes")
        self.used = True
        job = Job(ticket.envelope, content.size_bytes, ticket.left_s())
        named = terms.by_name and content.data is None
        request = Request(job, str(content.path) if named else "", crashes)
        try:
            async with asyncio.timeout(ticket.left_s() + LATE_S):
                await self._send(request, content)
                return await hear(self._reader, Answer)
        except TimeoutError as error:
            raise ScanError(DEADLINE, "the scan server does not answer") from error

    async def status(self, timeout_s: float) -> Status:
        """How the server fares. Raises ScanError."""
        try:
            async with asyncio.timeout(timeout_s):
                await say(self._writer, Request())
                return await hear(self._reader, Status)
        except TimeoutError as error:
            raise ScanError(DEADLINE, "the scan server does not answer") from error

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._writer.close()

    def abort(self) -> None:
        """Hang up at once, whatever is on its way."""
        self._writer.transport.abort()

    async def _send(self, request: Request, content: Content) -> None:
        if request.path:
            await say(self._writer, request)
        elif content.size_bytes <= MAX_BODY_BYTES:
            await say(self._writer, request, b"".join(content.pieces()))
        else:
            await say(self._writer, request)
            await self._stream(content.pieces())

    async def _stream(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                self._writer.write(piece)
                await self._writer.drain()
        except OSError as error:
            raise ScanError(ANSWER, "the connection ended") from error


async def ask_status(endpoint: Endpoint, key: Key, timeout_s: float = 10.0) -> Status:
    """How a scan server fares, whatever its configuration. Raises ScanError."""
    link = await Link.open(endpoint, Terms(key, "", same_config=False, by_name=False, connect_timeout_s=timeout_s))
    try:
        return await link.status(timeout_s)
    finally:
        link.close()


async def _shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, terms: Terms) -> Welcome:
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    ours = nonce()
    await say(writer, Hello(VERSION, ours))
    challenge = await hear(reader, Challenge, MAX_STRANGER_BYTES)
    if challenge.protocol != VERSION:
        raise ScanError(PROTOCOL, f"speaks version {challenge.protocol} of the protocol, not {VERSION}")
    if len(challenge.nonce) != NONCE_BYTES:
        raise ScanError(PROTOCOL, "sends a nonce of a wrong size")
    nonces = (ours, challenge.nonce)
    await say(writer, Proof(terms.key.proof(GATEWAY, nonces, certificate), terms.config))
    try:
        welcome = await hear(reader, Welcome, MAX_STRANGER_BYTES)
    except ScanError as error:
        raise ScanError(CONNECT, "hangs up when shown our key: is it the same on both sides?") from error
    if not equal(welcome.mac, terms.key.proof(SERVER, nonces, certificate)):
        raise ScanError(CONNECT, "does not have our key")
    if terms.same_config and welcome.config != terms.config:
        raise ScanError(
            CONNECT, 'has other plugins, settings or policies than this gateway (scan.server_config = "any" allows it)'
        )
    return welcome


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno:  # asyncio's own text is a programmer's
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
