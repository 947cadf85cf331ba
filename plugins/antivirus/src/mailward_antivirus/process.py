"""Programs that are run to their end: no shell, next to no environment, and nothing of them is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

MAX_OUTPUT_BYTES = 64 * 1024
_STEP_BYTES = 1024 * 1024


@frozen
class Ended:
    """How a process ended: its exit code (negative: the signal that ended it), and the beginning of its output."""

    code: int
    output: bytes


async def run(command: Sequence[str], folder: Path, timeout_s: float) -> Ended:
    """Run ``command`` to its end. Raises OSError where it cannot be started, TimeoutError where it does not end."""
    running = await Running.start(command, folder)
    return await running.to_end(timeout_s)


@frozen
class Running:
    """A program that runs, in a session of its own, so that all of it can be ended."""

    _process: asyncio.subprocess.Process
    _transport: asyncio.SubprocessTransport

    @classmethod
    async def start(cls, command: Sequence[str], folder: Path) -> Running:
        """Start ``command``. Raises OSError where it cannot be."""
        environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(folder), "TMPDIR": str(folder)}
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: asyncio.subprocess.SubprocessStreamProtocol(_STEP_BYTES, loop),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        return cls(asyncio.subprocess.Process(transport, protocol, loop), transport)

    async def to_end(self, timeout_s: float) -> Ended:
        """Wait for its end; it is ended, with all that it has started, whatever happens. Raises TimeoutError."""
        process = self._process
        try:
            async with asyncio.timeout(timeout_s):
                output = await _output(process)
                return Ended(await process.wait(), output)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # also what it has left behind
            self._transport.close()  # what left the session may hold the pipe open for ever
            await process.wait()


async def _output(process: asyncio.subprocess.Process) -> bytes:
    """What the process says, up to `MAX_OUTPUT_BYTES`; the rest is read and thrown away."""
    assert process.stdout is not None
    kept = bytearray()
    while piece := await process.stdout.read(_STEP_BYTES):
        kept += piece[: MAX_OUTPUT_BYTES - len(kept)]
    return bytes(kept)
