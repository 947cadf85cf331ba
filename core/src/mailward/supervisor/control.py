"""The control socket: `mailward ctl` asks, the supervisor answers.

One line of JSON each way. The socket lies in the state folder (mode 0600), and whoever connects is
asked of the kernel: only root and the user of the program are heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
from attrs import field, frozen

from mailward.values.errors import Problem

SOCKET = "control.sock"
MAX_REQUEST_BYTES = 4096
MAX_ANSWER_BYTES = 4 * 1024 * 1024
_CREDENTIALS = struct.Struct("3i")
_SILENCE_S = 10.0


@frozen
class Request:
    """What is asked: a verb, and for switches whether they stay so over a restart."""

    verb: str
    persist: bool = False


@frozen
class Answer:
    """What came of it. ``problems`` are those of a configuration; ``facts`` is what was asked for."""

    ok: bool
    text: str = ""
    problems: tuple[Problem, ...] = ()
    facts: msgspec.Raw = field(default=msgspec.Raw(b"null"))


Handler = Callable[[Request], Awaitable[Answer]]


@contextlib.contextmanager
def address_of(folder: Path) -> Iterator[str]:
    """A name of the socket that is short however deep the folder lies: the system allows 107 bytes."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{SOCKET}"
    finally:
        os.close(fd)


class Control:
    """Listens on the control socket of a state folder."""

    def __init__(self, folder: Path, handler: Handler) -> None:
        self._folder = folder
        self._handler = handler
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin. Raises OSError where the socket cannot be made."""
        path = self._folder / SOCKET
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # of a program that did not end in good order: we hold the folder's lock
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with address_of(self._folder) as address:
                bound.bind(address)
            path.chmod(0o600)
            self._server = await asyncio.start_unix_server(self._serve, sock=bound, limit=MAX_REQUEST_BYTES)
        except BaseException:
            bound.close()
            raise

    def close(self) -> None:
        """End, and take the socket away."""
        if self._server is not None:
            self._server.close()
            self._server = None
            with contextlib.suppress(OSError):
                (self._folder / SOCKET).unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answer(reader, writer.get_extra_info("socket"))
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        except (OSError, TimeoutError):
            return  # who asked is gone, or says nothing
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, connection: socket.socket) -> Answer:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(credentials)
        if uid not in (0, os.geteuid()):
            return Answer(False, "only root and the user of the program may do this")
        try:
            line = await asyncio.wait_for(reader.readline(), _SILENCE_S)
            request = msgspec.json.decode(line, type=Request)
        except (ValueError, msgspec.MsgspecError):
            return Answer(False, "that is no request")
        return await self._handler(request)


def ask(folder: Path, request: Request, timeout_s: float) -> Answer:
    """Ask the program that runs on a state folder. Raises OSError where there is none, TimeoutError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, address_of(folder) as address:
        connection.settimeout(timeout_s)
        connection.connect(address)
        connection.sendall(msgspec.json.encode(request) + b"\n")
        data = bytearray()
        while piece := connection.recv(65536):
            data += piece
            if len(data) > MAX_ANSWER_BYTES:
                raise OSError("the answer is too long")
        if not data:
            raise ConnectionResetError("the program ended before it answered")
        return msgspec.json.decode(bytes(data), type=Answer)
