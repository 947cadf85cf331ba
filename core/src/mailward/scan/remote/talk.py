"""What gateway and scan server say to each other over TLS, frame by frame.

gateway: Hello ─► server: Challenge ─► gateway: Proof ─► server: Welcome
then, again and again, gateway: Request (body in the frame, or behind it) ─► server: Answer or Status
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

from attrs import field, frozen

from mailward.scan.codes import ANSWER, PROTOCOL
from mailward.scan.protocol import HEAD_BYTES, MAX_BODY_BYTES, MAX_JSON_BYTES, Job, frame, lengths
from mailward.scan.stats import PoolStats
from mailward.values.errors import ScanError
from mailward.values.wire import WireError, dump, load

MAX_STRANGER_BYTES = 4096
"""The largest JSON of a peer that has not shown the key yet."""

T = TypeVar("T")


@frozen
class Hello:
    """The gateway begins."""

    protocol: int
    nonce: bytes


@frozen
class Challenge:
    """The server's part of the secret to be proved."""

    protocol: int
    nonce: bytes


@frozen
class Proof:
    """The gateway has the key; ``config`` is the fingerprint of its configuration."""

    mac: bytes
    config: str


@frozen
class Welcome:
    """So has the server; ``config`` is the fingerprint of its own, ``max_bytes`` the largest body it takes."""

    mac: bytes
    config: str
    max_bytes: int


@frozen
class Request:
    """A message to judge, or (without a job) a question for `Status`.

    The body is in the frame where it is small; else it is the file at ``path``, or follows the frame
    as it is where there is no path. ``crashes``: how many scan processes it has ended elsewhere.
    """

    job: Job | None = None
    path: str = ""
    crashes: int = 0


@frozen
class Status:
    """How a scan server fares."""

    version: str
    pid: int
    uptime_s: float
    connections: int
    config: str
    lacking: tuple[str, ...] = ()
    stats: PoolStats = field(factory=PoolStats)


async def read(
    reader: asyncio.StreamReader, max_json_bytes: int = MAX_JSON_BYTES, max_body_bytes: int = MAX_BODY_BYTES
) -> tuple[bytes, bytes]:
    """The next frame. Raises ScanError (``answer``: the connection ended, ``protocol``: nonsense)."""
    try:
        head = await reader.readexactly(HEAD_BYTES)
        json_bytes, body_bytes = lengths(head, max_json_bytes, max_body_bytes)
        return await reader.readexactly(json_bytes), await reader.readexactly(body_bytes)
    except (asyncio.IncompleteReadError, OSError) as error:
        raise ScanError(ANSWER, "the connection ended") from error


async def hear(reader: asyncio.StreamReader, kind: type[T], max_json_bytes: int = MAX_JSON_BYTES) -> T:
    """The next frame, which must be a value of this kind and have no body. Raises ScanError."""
    json, _ = await read(reader, max_json_bytes, 0)
    return understood(json, kind)


def understood(json: bytes, kind: type[T]) -> T:
    """JSON as a value. Raises ScanError."""
    try:
        return load(json, kind)
    except WireError as error:
        raise ScanError(PROTOCOL, str(error)) from error


async def say(writer: asyncio.StreamWriter, value: object, body: bytes = b"") -> None:
    """Send a frame. Raises ScanError where the connection ended."""
    try:
        writer.write(frame(dump(value), body))
        await writer.drain()
    except OSError as error:
        raise ScanError(ANSWER, "the connection ended") from error
