"""The pool: scan processes of one gateway, restarted when they die, killed when they hang."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from mailward.engine.scan_settings import ScanSettings
from mailward.scan.progress import Progress
from mailward.scan.protocol import Answer, Job, Ready, Setup, frame, read_frame
from mailward.values.decision import Verdict
from mailward.values.envelope import Envelope
from mailward.values.errors import ConfigError, Problem, ScanError
from mailward.values.event import Event, WorkerDied
from mailward.values.wire import WireError, dump, load

GRACE_S = 2.0
START_S = 30.0
MAX_BACKOFF_S = 30.0
_PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ", "TMPDIR")


class Worker:
    """One scan process and the connection to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.progress = Progress()
        passed = (theirs.fileno(), self.progress.fd)
        command = [sys.executable, "-m", "mailward.scan.worker", *map(str, passed)]
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            self._process = subprocess.Popen(
                command, pass_fds=passed, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )
        finally:
            theirs.close()
        ours.setblocking(False)
        self._socket = ours
        self.pid = self._process.pid
        self.jobs = 0

    async def start(self, setup: Setup) -> None:
        """Connect and hand over the configuration. Raises ConfigError, ScanError."""
        self._reader, self._writer = await asyncio.open_connection(sock=self._socket, limit=2**20)
        self._writer.write(frame(dump(setup)))
        async with asyncio.timeout(START_S):
            ready = load((await read_frame(self._reader))[0], Ready)
        if ready.problem:
            raise ConfigError(setup.source, [Problem("scan process", ready.problem)])

    async def ask(self, job: Job, body: bytes, timeout_s: float) -> Answer:
        """Have a message judged. Raises ScanError where the process dies, hangs or talks nonsense."""
        self.jobs += 1
        self._writer.write(frame(dump(job), body))
        try:
            async with asyncio.timeout(timeout_s):
                json, _ = await read_frame(self._reader)
            return load(json, Answer)
        except TimeoutError as error:
            raise ScanError("deadline", "the scan process hangs") from error
        except WireError as error:
            raise ScanError("protocol", str(error)) from error

    def kill(self) -> None:
        """End the process now and collect it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._close()

    async def retire(self) -> None:
        """Let the process end by itself: it has no job."""
        self._close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, GRACE_S)
            return
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    def _close(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.close()
        self._socket.close()
        self.progress.close()


class Pool:
    """Judges messages in scan processes; a message waits for a free one within its deadline."""

    def __init__(self, setup: Setup, settings: ScanSettings, emit: Callable[[Event], None]) -> None:
        self._setup = setup
        self._settings = settings
        self._emit = emit
        self._idle: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()
        self._all: set[Worker] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False

    async def start(self) -> None:
        """Start the processes. Raises ConfigError, ScanError where the first one cannot."""
        await asyncio.gather(*(self._add() for _ in range(self._settings.workers)))

    async def stop(self) -> None:
        """End all processes; jobs in progress fail."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(worker.retire() for worker in tuple(self._all)), return_exceptions=True)
        self._all.clear()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids, for status and tests."""
        return tuple(sorted(worker.pid for worker in self._all))

    async def judge(self, envelope: Envelope, size_bytes: int, body: bytes | None, path: Path | None) -> Verdict:
        """The verdict on a message, given as body (up to 1 MiB) or as path of a file that begins with it.

        Raises ScanError where there is none: deadline, process died, memory, fault.
        """
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                worker = await self._idle.get()
        except TimeoutError as error:
            raise ScanError("deadline", "no scan process became free") from error
        job = Job(envelope, size_bytes, "" if body is not None else str(path))
        # a caller that is cancelled must not leave an answer behind for the next message
        task = asyncio.get_running_loop().create_task(self._run(worker, job, body or b""))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        answer = await asyncio.shield(task)
        if answer.verdict is None:
            raise ScanError(answer.reason, answer.detail)
        return answer.verdict

    async def _run(self, worker: Worker, job: Job, body: bytes) -> Answer:
        try:
            answer = await worker.ask(job, body, self._settings.deadline_s + GRACE_S)
        except ScanError as error:
            self._lost(worker, error, job.envelope.id)
            return Answer(reason=error.reason, detail=error.detail)
        self._back(worker)
        return answer

    def _back(self, worker: Worker) -> None:
        if worker.jobs >= self._settings.recycle_after and not self._stopping:
            self._all.discard(worker)
            self._later(worker.retire())
            self._later(self._restart())
        else:
            self._idle.put_nowait(worker)

    def _lost(self, worker: Worker, error: ScanError, message_id: str) -> None:
        during = worker.progress.read()
        if not self._stopping:
            reason = f"{error.reason}: {error.detail}"
            self._emit(WorkerDied(pid=worker.pid, reason=reason, during=during, message_id=message_id))
        self._replace(worker)

    def _replace(self, worker: Worker) -> None:
        self._all.discard(worker)
        worker.kill()
        if not self._stopping:
            self._later(self._restart())

    async def _add(self) -> None:
        worker = Worker()
        try:
            await worker.start(self._setup)
        except BaseException:  # also where the start of the gateway is given up meanwhile
            worker.kill()
            raise
        self._all.add(worker)
        self._idle.put_nowait(worker)

    async def _restart(self) -> None:
        wait_s = 0.0
        while True:
            await asyncio.sleep(wait_s)
            try:
                return await self._add()
            except (ConfigError, ScanError, TimeoutError, OSError) as error:
                wait_s = min(max(wait_s * 2, 0.5), MAX_BACKOFF_S)
                structlog.get_logger().error("scan process does not start", problem=str(error), next_try_s=wait_s)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().error("scan pool", problem=f"{type(error).__name__}: {error}")
