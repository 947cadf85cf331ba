"""The work of one scan process: jobs in from its socket, one at a time, answers out.

It holds no listening socket and no queue; what it is given is a body, or an open file that begins
with one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque

from attrs import evolve

from mailward.engine.engine import Engine
from mailward.mime import Message
from mailward.scan.codes import ERROR, FILE, MEMORY
from mailward.scan.limits import CpuLimit, resident_bytes
from mailward.scan.orphans import children
from mailward.scan.progress import Progress
from mailward.scan.protocol import Answer, Frames, Job, Ready, frame
from mailward.values.errors import ConfigError, ScanError
from mailward.values.event import Custom, Event
from mailward.values.wire import dump, load

_READ_BYTES = 256 * 1024
_DESCRIPTOR = struct.Struct("i")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_DESCRIPTOR.size)
_MEASURED_EVERY = 32
_MEASURED_FROM_BYTES = 1024 * 1024
_MOST_LEFT = 64


class Worker:
    """One scan process at work."""

    def __init__(self, engine: Engine, connection: socket.socket, progress: Progress) -> None:
        self._engine = engine
        self._socket = connection
        self._progress = progress
        self._frames = Frames()
        self._jobs: deque[tuple[bytes, bytes] | None] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._file = -1
        self._pid = os.getpid()
        self._events: list[Custom] = []
        self._served = 0
        scan = engine.config.core.scan
        self._cpu = CpuLimit(scan.deadline_s)
        self._most_growth_bytes = int(scan.recycle_growth_bytes)
        self._first_bytes = 0
        self._first_children = 0

    async def run(self) -> int:
        """Serve jobs until the gateway closes the connection; the exit status of the process."""
        self._engine.listen(self._collect)
        try:
            await self._engine.start()
        except ConfigError as error:
            await self._send(dump(Ready(str(error))))
            return 2
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._readable)
        await self._send(dump(Ready()))
        while (job := await self._next()) is not None:
            self._cpu.renew()
            answer = await self._answer(*job)
            if os.getpid() != self._pid:  # a plugin forked, and its child came back: the socket is its parent's
                os._exit(1)
            await self._send(dump(answer))
        loop.remove_reader(self._socket)
        await self._engine.stop()
        return 0

    def _collect(self, event: Event) -> None:
        if type(event) is Custom:
            self._events.append(event)

    def _readable(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_READ_BYTES, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except ConnectionError:
            data, ancillary = b"", []
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                (self._file,) = _DESCRIPTOR.unpack(content)
        if not data:
            self._jobs.append(None)
        try:
            self._jobs.extend(self._frames.feed(data))
        except ScanError:  # not from a gateway: there is nobody to work for
            self._jobs.append(None)
        if self._jobs and self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def _next(self) -> tuple[bytes, bytes] | None:
        """The next job; None where there will be none."""
        if not self._jobs:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        return self._jobs.popleft()

    async def _answer(self, json: bytes, body: bytes) -> Answer:
        file, self._file = self._file, -1
        job = load(json, Job)
        answer = await self._judge(job, body, file)
        if answer.reason == MEMORY:  # this process is at its end, and what it did last is to be seen
            return answer
        self._progress.clear()
        self._served += 1
        worn = self._worn(job.size_bytes)
        if worn or self._events:
            events, self._events = tuple(self._events), []
            return evolve(answer, events=events, worn=worn)
        return answer

    async def _judge(self, job: Job, body: bytes, file: int) -> Answer:
        limits = self._engine.config.core.limits
        try:
            if file >= 0:
                message = Message.from_file(file, limits, 0, job.size_bytes)
            else:
                message = Message.from_bytes(body, limits)
            with message:
                return Answer(await self._engine.judge(job.envelope, message, job.deadline_s))
        except ScanError as error:
            return Answer(reason=error.reason, detail=error.detail)
        except MemoryError:
            return Answer(reason=MEMORY, detail="the scan process is at its memory limit")
        except OSError as error:
            return Answer(reason=FILE, detail=f"{type(error).__name__}: {error.strerror}")
        except Exception as error:  # a fault of our own: no verdict, and the gateway answers 451
            return Answer(reason=ERROR, detail=f"{type(error).__name__}: {error}")

    def _worn(self, size_bytes: int) -> bool:
        """Whether this process has grown too much, or has too many processes that plugins have left behind in it.

        Looked at now and then, for it takes some system calls.
        """
        if self._first_bytes and size_bytes < _MEASURED_FROM_BYTES and self._served % _MEASURED_EVERY:
            return False
        now, left = resident_bytes(), len(children())
        if not self._first_bytes:
            self._first_bytes, self._first_children = now, left
        return now - self._first_bytes > self._most_growth_bytes or left - self._first_children > _MOST_LEFT

    async def _send(self, json: bytes) -> None:
        data = frame(json)
        try:
            sent = self._socket.send(data)  # nearly always all of it: nobody else writes, and the gateway reads
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            await asyncio.get_running_loop().sock_sendall(self._socket, memoryview(data)[sent:])


async def work(engine: Engine, connection: socket.socket, progress: Progress) -> int:
    """Be a scan process on this connection; the exit status."""
    connection.setblocking(False)
    try:
        return await Worker(engine, connection, progress).run()
    except ConnectionError:  # the gateway went away before it heard what there was to say
        return 1
    finally:
        connection.close()
