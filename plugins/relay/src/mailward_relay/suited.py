"""Content that suits a next hop: small enough, and in the characters it takes (RFC 1870, RFC 6152, RFC 6531)."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Any

from attrs import field, frozen

from mailward import Content, Delivery, Reply
from mailward_relay.link import Link
from mailward_relay.settings import Downgrade

TIME_LIMIT_S = 120.0
MAX_REASON_BYTES = 8192
_READ_BYTES = 262_144
_IN_MEMORY_BYTES = 1 << 20

NO_UTF8_HEADER = Reply(553, "5.6.7", "The header is internationalised, which the next hop does not take")
NOT_CONVERTED = Reply(554, "5.6.1", "The next hop takes no 8-bit content, and it may not be converted here")
SIGNED = Reply(554, "5.6.2", "The next hop takes no 8-bit content, and converting it would break its signature")
UNCONVERTIBLE = Reply(554, "5.6.3", "The next hop takes no 8-bit content, and this message cannot be converted")
LATER = Reply(451, "4.6.4", "The message could not be converted for the next hop, it will be tried again")


class Unsuitable(Exception):
    """The next hop cannot get this message, for now or for good; ``reply`` says why."""

    def __init__(self, reply: Reply, detail: str = "") -> None:
        self.reply = reply
        self.detail = detail
        super().__init__(str(reply))


@frozen(eq=False)
class Suited:
    """Content for a next hop; ``note`` says what was done to it, empty where nothing was."""

    content: Content
    note: str = ""


@frozen(eq=False)
class _Stored:
    """Content in a file that goes away with its last user."""

    _file: IO[bytes] = field(repr=False)
    _start: int
    size_bytes: int

    async def chunks(self, max_bytes: int = 65536) -> AsyncIterator[bytes]:
        at = 0
        while at < self.size_bytes:
            self._file.seek(self._start + at)
            piece = self._file.read(min(max_bytes, self.size_bytes - at))
            at += len(piece)
            yield piece
            await asyncio.sleep(0)


def check_fit(delivery: Delivery, link: Link) -> None:
    """Raise Unsuitable where the next hop does not take a message of this size or with this header."""
    extensions = link.extensions
    limit = extensions.get("size", "")
    if limit.isdecimal() and 0 < int(limit[:20]) < delivery.content.size_bytes:
        raise Unsuitable(Reply(552, "5.3.4", f"The next hop takes messages of {int(limit[:20])} bytes at most"))
    if "smtputf8" in extensions or delivery.sender.parameter("SMTPUTF8") is None:
        return
    if not delivery.message.head.isascii():
        raise Unsuitable(NO_UTF8_HEADER)


@asynccontextmanager
async def seven_bit(delivery: Delivery, downgrade: Downgrade, log: Any) -> AsyncIterator[Suited]:
    """The content of a delivery in 7 bits, for the time of the block. Raises Unsuitable.

    For next hops that do not offer 8BITMIME; all but the oldest do, and for them nothing is looked at.
    """
    if await _is_7bit(delivery.content):
        yield Suited(delivery.content)
        return
    if downgrade is Downgrade.NEVER:
        raise Unsuitable(NOT_CONVERTED)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        made, breaks = await _converted(delivery.content, file)
        if breaks and downgrade is not Downgrade.ALWAYS:
            raise Unsuitable(SIGNED, f"signed: {', '.join(breaks)}")
        broken = f", which breaks its signature: {', '.join(breaks)}" if breaks else ""
        note = f"converted to 7-bit{broken}"
        log.warning("content converted", id=delivery.message.id, next_hop=str(delivery.next_hop), detail=note)
        yield Suited(made, note)


async def _is_7bit(content: Content) -> bool:
    async for piece in content.chunks():
        if not piece.isascii():
            return False
    return True


async def _converted(content: Content, file: IO[bytes]) -> tuple[Content, tuple[str, ...]]:
    """The content made 7-bit by a process of its own, kept in ``file``, and the signatures that this breaks."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailward_relay.downgrade_worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(TIME_LIMIT_S):
            _, head = await asyncio.gather(_feed(process, content), _collect(process, file))
            ended = await process.wait()
    except TimeoutError:
        raise Unsuitable(LATER, "the conversion took too long") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if ended != 0:
        raise Unsuitable(LATER, f"the conversion ended with {ended}")
    said = json.loads(head)
    if "reason" in said:
        raise Unsuitable(UNCONVERTIBLE, str(said["reason"]))
    start, size = len(head), file.seek(0, 2)
    return _Stored(file, start, size - start), tuple(map(str, said["breaks"]))


async def _feed(process: asyncio.subprocess.Process, content: Content) -> None:
    assert process.stdin is not None
    try:
        async for piece in content.chunks():
            process.stdin.write(piece)
            await process.stdin.drain()
    except ConnectionError:
        pass  # it ended early; why is in its exit status
    finally:
        process.stdin.close()


async def _collect(process: asyncio.subprocess.Process, file: IO[bytes]) -> bytes:
    """Everything that the process says into a file; its first line."""
    assert process.stdout is not None
    first = b""
    whole = False
    while piece := await process.stdout.read(_READ_BYTES):
        if not whole:
            first += piece
            whole = b"\n" in first or len(first) > MAX_REASON_BYTES
        file.write(piece)
    return first.partition(b"\n")[0] + b"\n" if whole else b"{}"
