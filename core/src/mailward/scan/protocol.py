"""What gateway and scan process say to each other: frames of JSON and bytes over a socket.

A frame is two lengths (unsigned 32-bit, network order), a JSON value, and a message body where it
is small enough to travel along; larger bodies are named by path and opened by the scan process.
"""

from __future__ import annotations

import asyncio
import struct

from attrs import frozen

from mailward.values.decision import Verdict
from mailward.values.envelope import Envelope
from mailward.values.errors import ScanError

_LENGTHS = struct.Struct("!II")
MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_BODY_BYTES = 1024 * 1024


@frozen
class Setup:
    """The first frame: the configuration (its text, name and folder) that the process is to work under."""

    text: str
    source: str
    base: str


@frozen
class Ready:
    """The answer to `Setup`: the process can take jobs, or why it cannot."""

    problem: str = ""


@frozen
class Job:
    """One message to judge. ``path`` is empty where the body travels in the frame; ``size_bytes`` is the body's."""

    envelope: Envelope
    size_bytes: int
    path: str = ""


@frozen
class Answer:
    """A verdict, or why there is none: ``reason`` is ``deadline``, ``memory``, ``file`` or ``error``."""

    verdict: Verdict | None = None
    reason: str = ""
    detail: str = ""


def frame(json: bytes, body: bytes = b"") -> bytes:
    """The bytes of a frame."""
    return _LENGTHS.pack(len(json), len(body)) + json + body


async def read_frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next frame: JSON and body. Raises ScanError where the other side ended or sends nonsense."""
    try:
        json_length, body_length = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        if json_length > MAX_JSON_BYTES or body_length > MAX_BODY_BYTES:
            raise ScanError("protocol", f"a frame of {json_length} + {body_length} bytes")
        return await reader.readexactly(json_length), await reader.readexactly(body_length)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise ScanError("died", "the connection ended") from error
