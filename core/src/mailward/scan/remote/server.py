"""The scan server: judges messages for gateways that have its key, on this host or others (IMA-SRV).

It works under a configuration of its own and takes none from the network: plugins are code. What a
gateway can send is an envelope and a body, and both go straight to scan processes.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from importlib.metadata import version
from pathlib import Path
from time import monotonic

from mailward.engine.config import Config
from mailward.hooks.log import get_logger
from mailward.scan.codes import ANSWER, PROTOCOL
from mailward.scan.content import Content
from mailward.scan.pool import Pool
from mailward.scan.protocol import Answer
from mailward.scan.remote.files import open_within, receive
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
    read,
    say,
    understood,
)
from mailward.scan.suspects import MAX_CRASHES
from mailward.values.endpoint import Endpoint
from mailward.values.errors import ConfigError, Problem, ScanError

HANDSHAKE_S = 10.0
IDLE_S = 600.0
STREAM_S = 120.0
"""Time for the body of one message to arrive."""

DRAIN_S = 10.0
_LIMIT_BYTES = 1024 * 1024


class Identity:
    """What a scan server shows: its certificate, and its key. Raises ConfigError where they cannot be used."""

    def __init__(self, config: Config) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.renew(config)

    def renew(self, config: Config) -> None:
        """Read the files that ``[scan_server]`` names, again; where one is bad, all stay as they were."""
        certificate, private_key, key = (_file(config, name) for name in ("certificate", "private_key", "key"))
        try:
            # tried on another context first: this one is in use
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, private_key)
            first = certificate.read_text(encoding="ascii").partition(ssl.PEM_FOOTER)[0]
            der = ssl.PEM_cert_to_DER_cert(first[first.index(ssl.PEM_HEADER) :] + ssl.PEM_FOOTER)
        except (OSError, ValueError) as error:
            problem = Problem("scan_server.certificate", f"cannot be used: {error}", str(certificate))
            raise ConfigError(config.source, [problem]) from error
        self.key = Key.load(key, "scan_server.key", config.source)
        self.context.load_cert_chain(certificate, private_key)
        self.certificate = der


def _file(config: Config, name: str) -> Path:
    path: Path | None = getattr(config.core.scan_server, name)
    if path is None:
        raise ConfigError(config.source, [Problem(f"scan_server.{name}", "is not set; the server needs it")])
    return config.resolve(path)


class ScanServer:
    """Takes connections and serves each, one request at a time."""

    def __init__(self, config: Config, identity: Identity, pool: Pool) -> None:
        self._settings = config.core.scan_server
        self._identity = identity
        self._pool = pool
        self._deadline_s = config.core.scan.deadline_s
        self._max_bytes = int(config.core.gateway.max_message_bytes)
        folders = (self._settings.local_dir, self._settings.temp_dir)
        self._local_dir, self._temp_dir = (None if path is None else config.resolve(path) for path in folders)
        self._source = config.source
        self._started_at = monotonic()
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._log = get_logger()

    async def start(self) -> tuple[str, ...]:
        """Listen; the addresses. Raises ConfigError."""
        for path, name in ((self._local_dir, "local_dir"), (self._temp_dir, "temp_dir")):
            if path is not None and not path.is_dir():
                raise ConfigError(self._source, [Problem(f"scan_server.{name}", "is no folder", str(path))])
        for text in self._settings.listen:
            try:
                endpoint = Endpoint.parse(text)
                server = await asyncio.start_server(
                    self._connected,
                    endpoint.host,
                    endpoint.port,
                    ssl=self._identity.context,
                    ssl_handshake_timeout=HANDSHAKE_S,
                    limit=_LIMIT_BYTES,
                    reuse_address=True,
                )
            except (OSError, ValueError) as error:
                raise ConfigError(self._source, [Problem("scan_server.listen", str(error), text)]) from error
            self._servers.append(server)
        names = (one.getsockname()[:2] for server in self._servers for one in server.sockets)
        return tuple(str(Endpoint(host, port)) for host, port in names)

    async def stop(self) -> None:
        """Take no more connections, let messages in progress finish for a while, hang up."""
        for server in self._servers:
            server.close()
        end = monotonic() + DRAIN_S
        while self._busy and monotonic() < end:
            await asyncio.sleep(0.05)
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def status(self) -> Status:
        """How the server fares."""
        return Status(
            version("mailward"),
            os.getpid(),
            round(monotonic() - self._started_at, 3),
            len(self._connections),
            self._fingerprint(),
            self._pool.lacking,
            self._pool.stats(),
        )

    def _fingerprint(self) -> str:
        return self._identity.key.fingerprint(self._pool.identity)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        peer = str(Endpoint(*writer.get_extra_info("peername")[:2]))
        if len(self._connections) >= self._settings.max_connections:
            self._log.warning("scan connection refused", peer=peer, reason="scan_server.max_connections reached")
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await self._shake_hands(reader, writer)
            self._log.info("scan connection", peer=peer)
            while True:
                await self._serve(reader, writer)
        except (ScanError, TimeoutError, OSError) as error:
            self._log.info("scan connection ended", peer=peer, reason=str(error) or "no word in time")
        except asyncio.CancelledError:  # the server stops; asyncio would report it as an error
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _shake_hands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await hear(reader, Hello, MAX_STRANGER_BYTES)
        if hello.protocol != VERSION or len(hello.nonce) != NONCE_BYTES:
            await say(writer, Challenge(VERSION, b""))
            raise ScanError(PROTOCOL, f"a gateway that speaks version {hello.protocol}")
        ours = nonce()
        await say(writer, Challenge(VERSION, ours))
        proof = await hear(reader, Proof, MAX_STRANGER_BYTES)
        key, certificate, nonces = self._identity.key, self._identity.certificate, (hello.nonce, ours)
        if not equal(proof.mac, key.proof(GATEWAY, nonces, certificate)):
            self._log.error("scan connection refused", reason="the peer does not have our key")
            raise ScanError(PROTOCOL, "the peer does not have our key")
        mac = key.proof(SERVER, nonces, certificate)
        await say(writer, Welcome(mac, self._fingerprint(), self._max_bytes))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(IDLE_S):
            json, body = await read(reader)
        request = understood(json, Request)
        if request.job is None:
            await say(writer, self.status())
            return
        self._busy += 1
        try:
            async with asyncio.timeout(self._deadline_s + STREAM_S):
                await say(writer, await self._answer(request, body, reader))
        finally:
            self._busy -= 1

    async def _answer(self, request: Request, body: bytes, reader: asyncio.StreamReader) -> Answer:
        job = request.job
        assert job is not None
        if not 0 <= job.size_bytes <= self._max_bytes or (body and len(body) != job.size_bytes):
            raise ScanError(PROTOCOL, f"a message of {job.size_bytes} bytes")
        if not 0 <= request.crashes <= MAX_CRASHES:
            raise ScanError(PROTOCOL, f"a message after {request.crashes} crashes")
        fd = -1
        try:
            if request.path:
                fd = open_within(self._local_dir, request.path, job.size_bytes)
            elif len(body) != job.size_bytes:
                fd = await receive(reader, job.size_bytes, self._temp_dir)
            content = Content(job.size_bytes, body if fd < 0 else None, Path(f"/proc/self/fd/{fd}"))
            return await self._pool.scan(job.envelope, content, request.crashes, job.deadline_s)
        except ScanError as error:
            if error.reason == ANSWER:
                raise
            return Answer(reason=error.reason, detail=error.detail, crashes=error.crashes)
        finally:
            if fd >= 0:
                os.close(fd)
