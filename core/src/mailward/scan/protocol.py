"""What a gateway and those who scan for it say to each other: frames of JSON and bytes over a stream.

A frame is two lengths (unsigned 32-bit, network order), a JSON value, and a message body where it is
small enough to travel along. The same frames go to a scan process over a local socket (a larger body
is an open file, passed beside the frame) and to a scan server over TLS.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from attrs import frozen

from mailward.values.decision import Verdict
from mailward.values.envelope import Envelope
from mailward.values.errors import ScanError
from mailward.values.event import Custom

_LENGTHS = struct.Struct("!II")
HEAD_BYTES = _LENGTHS.size
MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_BODY_BYTES = 1024 * 1024


@frozen
class Setup:
    """The configuration (its text, name and folder) that scan processes are to work under."""

    text: str
    source: str
    base: str


@frozen
class Ready:
    """The answer to `Setup`: work can begin, or why it cannot.

    ``lacking`` says which means of confinement the system refuses, ``identity`` what verdicts depend on
    (a digest of `Engine.scan_identity`), ``pid`` which process is the template.
    """

    problem: str = ""
    lacking: tuple[str, ...] = ()
    identity: str = ""
    pid: int = 0


@frozen
class Job:
    """One message to judge within ``deadline_s``; ``size_bytes`` is its body's, wherever that travels."""

    envelope: Envelope
    size_bytes: int
    deadline_s: float


@frozen
class Answer:
    """A verdict, or why there is none (``reason``: see `mailward.scan.codes`).

    ``events`` are those that plugins emitted meanwhile; ``worn`` asks for the process to be replaced;
    ``crashes`` is what a scan server counted.
    """

    verdict: Verdict | None = None
    reason: str = ""
    detail: str = ""
    events: tuple[Custom, ...] = ()
    worn: bool = False
    crashes: int = 0


def head(json: bytes, body_bytes: int) -> bytes:
    """The two lengths at the beginning of a frame."""
    return _LENGTHS.pack(len(json), body_bytes)


def lengths(
    start: bytes | bytearray, max_json_bytes: int = MAX_JSON_BYTES, max_body_bytes: int = MAX_BODY_BYTES
) -> tuple[int, int]:
    """What `head` packed. Raises ScanError where a length is over its limit."""
    json_bytes, body_bytes = _LENGTHS.unpack_from(start)
    if json_bytes > max_json_bytes or body_bytes > max_body_bytes:
        raise ScanError("protocol", f"a frame of {json_bytes} + {body_bytes} bytes")
    return json_bytes, body_bytes


def frame(json: bytes, body: bytes = b"") -> bytes:
    """The bytes of a frame."""
    return b"".join((head(json, len(body)), json, body))


class Frames:
    """Takes a stream of bytes apart into frames; holds at most one frame that is not complete."""

    def __init__(self, max_json_bytes: int = MAX_JSON_BYTES) -> None:
        self._max_json_bytes = max_json_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The frames that ``data`` completes, as JSON and body. Raises ScanError on absurd lengths."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= HEAD_BYTES:
            json_bytes, body_bytes = lengths(buffer, self._max_json_bytes)
            middle = HEAD_BYTES + json_bytes
            end = middle + body_bytes
            if len(buffer) < end:
                return
            view = memoryview(buffer)
            json, body = bytes(view[HEAD_BYTES:middle]), bytes(view[middle:end])
            view.release()
            del buffer[:end]
            yield json, body
