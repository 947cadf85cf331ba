"""One gateway process as its supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import Sequence
from time import monotonic
from typing import TypeVar

from mailward.gateway.link import (
    MAX_LINE_BYTES,
    Adopted,
    Beat,
    Failed,
    Faulty,
    Left,
    Load,
    Message,
    Opened,
    Plan,
    Prepare,
    Prepared,
    line,
    read_line,
)
from mailward.supervisor.reaper import Reaper
from mailward.values.errors import ConfigError, MailwardError

M = TypeVar("M", bound=Message)
_NOT_PASSED_ON = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
_TRACE_S = 0.3
_MAX_TRACE_BYTES = 16_384
_FRAME = re.compile(r'File "([^"]+)", line (\d+) in (\S+)')


class StartFailed(MailwardError):
    """A gateway process did not come up, for a reason that is none of the configuration's."""


class Child:
    """A gateway process: started at once, then led step by step; ``ended`` is done when it is gone.

    ``left`` is done when it takes no more connections.
    """

    def __init__(self, reaper: Reaper) -> None:
        """Start the process. Raises StartFailed."""
        ours, theirs = socket.socketpair()
        try:
            theirs.set_inheritable(True)
            self.pid = _spawn(theirs.fileno())
        except OSError as error:
            ours.close()
            raise StartFailed(f"{sys.executable} cannot be run: {error.strerror}") from error
        finally:
            theirs.close()
        self.ended = reaper.end_of(self.pid)
        self.left = asyncio.get_running_loop().create_future()
        self.slot = ""
        self.number = 0
        self.is_open = False
        self.is_buried = False
        self.started_at = monotonic()
        self.heard_at = monotonic()
        self.beat = Beat()
        self._socket = ours
        self._trace = os.memfd_create("mailward-trace")
        self._answers: asyncio.Queue[Message | None] = asyncio.Queue()
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._adopting: asyncio.Future[int] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def load(self, load: Load, limit_s: float) -> Plan:
        """Have it read the configuration. Raises ConfigError, StartFailed."""
        ours = self._socket
        ours.setblocking(False)
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE_BYTES)
        self._reading = asyncio.create_task(self._read(reader), name=f"gateway-{self.pid}")
        self.say(load)
        return await self._answer(Plan, limit_s)

    async def prepare(self, prepare: Prepare, tally: int, sockets: Sequence[socket.socket], limit_s: float) -> Prepared:
        """Have it start everything but the listening. Raises ConfigError, StartFailed."""
        self.slot, self.number = prepare.slot, prepare.number
        descriptors = [tally, self._trace, *(one.fileno() for one in sockets)]
        # the transport has nothing left to write here: each side waited for the other
        socket.send_fds(self._socket, [line(prepare)], descriptors)
        return await self._answer(Prepared, limit_s)

    def say(self, message: Message) -> None:
        """Send a message; into the void where the process is gone."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(line(message))

    async def opened(self, limit_s: float) -> Opened:
        """The answer to `Open`. Raises StartFailed."""
        answer = await self._answer(Opened, limit_s)
        self.is_open = True
        return answer

    async def fresh(self, number: int, ask: Message, limit_s: float) -> None:
        """Ask for figures, and wait until ``beat`` has them or the time is over."""
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        self.say(ask)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(future, limit_s)
        self._asked.pop(number, None)

    async def adopted(self, ask: Message, limit_s: float) -> int:
        """Ask to take mail over; how many messages it took. Raises TimeoutError where no answer came."""
        self._adopting = asyncio.get_running_loop().create_future()
        self.say(ask)
        return await asyncio.wait_for(self._adopting, limit_s)

    async def where(self) -> str:
        """The innermost places in Python code that the process is in now; empty where it cannot tell."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR2)
        await asyncio.sleep(_TRACE_S)
        text = os.pread(self._trace, _MAX_TRACE_BYTES, 0).decode("utf-8", "replace")
        frames = _FRAME.findall(text)
        return " < ".join(f"{file.rsplit('/', 1)[-1]}:{number} {name}" for file, number, name in frames[:3])

    def kill(self) -> None:
        """End it now."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def forget(self) -> None:
        """Give back what was held for it, once it has ended."""
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()
        else:
            self._socket.close()
        if self._trace >= 0:
            os.close(self._trace)
            self._trace = -1

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.readline():
                self.heard_at = monotonic()
                self._hear(read_line(data))
        except (OSError, ValueError):
            self.kill()  # what it says makes no sense
        self._answers.put_nowait(None)
        self._note_left()

    def _hear(self, message: Message) -> None:
        if isinstance(message, Beat):
            self.beat = message
            if (future := self._asked.get(message.number)) is not None and not future.done():
                future.set_result(None)
        elif isinstance(message, Adopted):
            if self._adopting is not None and not self._adopting.done():
                self._adopting.set_result(message.messages)
        elif isinstance(message, Left):
            self._note_left()
        else:
            self._answers.put_nowait(message)

    def _note_left(self) -> None:
        if not self.left.done():
            self.left.set_result(None)

    async def _answer(self, kind: type[M], limit_s: float) -> M:
        try:
            answer = await asyncio.wait_for(self._answers.get(), limit_s)
        except TimeoutError:
            raise StartFailed(f"gateway process {self.pid} was not ready within {limit_s:g} s") from None
        if isinstance(answer, Faulty):
            raise ConfigError(answer.source, list(answer.problems))
        if isinstance(answer, Failed):
            raise StartFailed(answer.problem)
        if not isinstance(answer, kind):
            await asyncio.wait([self.ended], timeout=1.0)
            raise StartFailed(f"gateway process {self.pid} ended {self.how()}before it was ready")
        return answer

    def how(self) -> str:
        """How it ended, in words."""
        if not self.ended.done():
            return ""
        status = self.ended.result()
        return f"by signal {signal.Signals(-status).name} " if status < 0 else f"with status {status} "


def _spawn(link: int) -> int:
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "mailward.gateway.process", str(link)],
        environment,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)],
    )
