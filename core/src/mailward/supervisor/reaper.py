"""Collects every child process that ends: the supervisor's own, and orphans where it is PID 1."""

from __future__ import annotations

import asyncio
import os
import signal
from time import monotonic

from mailward.scan.orphans import children, end, take_in

_STEP_S = 0.01
_PATIENCE_S = 3.0


class Reaper:
    """Knows the exit status of every process that was asked about."""

    def __init__(self) -> None:
        self._asked: dict[int, asyncio.Future[int]] = {}
        self._takes_in = False

    def start(self) -> None:
        """Begin to collect; to be called on the event loop, before the first process is started.

        Orphans of the program come here too, unless somebody else's processes are children of this one
        already (a script started them, and then became the program): theirs could not be told from ours.
        """
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._collect)
        if os.getpid() != 1 and not children():
            take_in()
            self._takes_in = True

    async def end_rest(self) -> None:
        """Once the program's own processes have ended: end what they have left behind.

        As process 1 that is the kernel's, as soon as this process ends.
        """
        until = monotonic() + _PATIENCE_S
        while self._takes_in and end(()) and monotonic() < until:
            await asyncio.sleep(_STEP_S)

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
