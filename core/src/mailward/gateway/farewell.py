"""Clients that are refused in the place of the greeting, when they may have spoken already (PIPECONNECT).

Each of their commands has an answer: the refusal again, so that what the client makes of its message does
not hang on which of the replies it looks at. QUIT has its own (RFC 5321 section 3.1). None is obeyed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mailward.gateway.arrival import CHUNK
from mailward.gateway.commands import COMMANDS
from mailward.gateway.replies import BYE
from mailward.values.reply import Reply

if TYPE_CHECKING:
    from mailward.gateway.server import Server

FAREWELL_S = 5.0
"""How long a refused client is listened to. What it sent may be on its way still; a connection closed under it
would take the refusal with it."""
MAX_FAREWELLS = 64
"""Refused clients of one process that are listened to; each holds a descriptor. Others are cut off."""
MAX_ANSWERS = 1_000
_PIECE_BYTES = 64 * 1024


class Farewells:
    """The refused clients of one process that are being answered."""

    def __init__(self) -> None:
        self._open = 0

    async def answer(self, server: Server, refusal: Reply) -> Reply | None:
        """Answer what a client says, which makes room for others already. What is left to say before the end."""
        if self._open >= MAX_FAREWELLS:
            return refusal
        self._open += 1
        server.count_out()
        try:
            with server.no_hurry():
                async with asyncio.timeout(FAREWELL_S):
                    return await _answer(server, refusal)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):  # OSError: its time is up, too
            return None
        finally:
            self._open -= 1


async def _answer(server: Server, refusal: Reply) -> Reply | None:
    await server.say(refusal)
    hello = server.settings.protocol.hello.encode()
    for number in range(MAX_ANSWERS):
        line = await server.lines.readuntil(b"\r\n")
        word, _, argument = line[:-2].partition(b" ")
        word = word.upper()
        if word == b"QUIT":
            return BYE
        if word not in COMMANDS or (not number and word != hello):
            return None  # no client of mail
        if server.recorder is not None:
            server.recorder.client(word)  # what follows it may be a password
        if word == b"BDAT" and not await _skip_chunk(server, argument):
            return None
        await server.say(refusal)
    return None


async def _skip_chunk(server: Server, argument: bytes) -> bool:
    """Take the octets of a chunk off the wire: they are no commands. False where nobody knows how many they are."""
    match = CHUNK.fullmatch(argument.strip().decode("latin-1"))
    left = int(match[1]) if match is not None else 0
    while left:
        piece = await server.lines.read(min(left, _PIECE_BYTES))
        if not piece:
            return False
        left -= len(piece)
    return match is not None
