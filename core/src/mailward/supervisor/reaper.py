"""Collects every child process that ends: the supervisor's own, and orphans where it is PID 1."""

from __future__ import annotations

import asyncio
import os
import signal


class Reaper:
    """Knows the exit status of every process that was asked about."""

    def __init__(self) -> None:
        self._asked: dict[int, asyncio.Future[int]] = {}

    def start(self) -> None:
        """Begin to collect; to be called on the event loop, before the first process is started."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._collect)

    def end_of(self, pid: int) -> asyncio.Future[int]:
        """The exit status of a process just started, negative the signal that ended it, once it has ended."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asked[pid] = future
        return future

    def _collect(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            future = self._asked.pop(pid, None)
            if future is not None and not future.done():
                future.set_result(os.waitstatus_to_exitcode(status))
