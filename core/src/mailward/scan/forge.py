"""The gateway's side of the template process: has scan processes made, and hears how they end.

The process that it starts is the keeper, which starts the template process and clears up after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections import deque

from attrs import frozen

from mailward.hooks.outlet import standard_error
from mailward.scan.codes import DIED
from mailward.scan.progress import Progress
from mailward.scan.protocol import Ready, Setup
from mailward.scan.template import BORN, MAX_PROBLEM, REPORT, REQUEST
from mailward.values.errors import ConfigError, Problem, ScanError
from mailward.values.wire import WireError, dump, load

START_S = 60.0
BIRTH_S = 30.0
"""What the template process may take for a fork, which is a matter of milliseconds; then it is given up."""
GRACE_S = 2.0
END_S = 5.0
_GONE = -1
_LOG_BYTES = 64 * 1024
_PASSED_ON = (
    *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV"),
    *("LANG", "LC_ALL", "TZ", "TMPDIR"),
)


@frozen(eq=False)
class Birth:
    """A new scan process: its id, a descriptor of it, the socket to it, its progress memory."""

    pid: int
    pidfd: int
    connection: socket.socket
    progress: Progress

    def kill(self) -> None:
        """End it now; does nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def step_back(self) -> None:
        """Let all others have the processor first, for good."""
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, 19)

    def close(self) -> None:
        """Give its descriptors back."""
        self.connection.close()
        self.progress.close()
        os.close(self.pidfd)


class Forge:
    """One template process and the connection to it. Once it is ``gone`` it is to be replaced."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._births: deque[asyncio.Future[tuple[int, int]]] = deque()
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._log = -1
        self._outlet = standard_error("{} log lines of scan processes lost".format)
        self.gone = False
        self.lacking: tuple[str, ...] = ()
        """What the system refuses of the confinement, in words."""
        self.identity = ""
        """What verdicts depend on, as a digest; known once started."""
        self.pid = 0
        """The template process; known once started."""

    async def start(self) -> None:
        """Start the template process. Raises ConfigError, ScanError."""
        self._loop = asyncio.get_running_loop()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        self._log, log = os.pipe()
        os.set_blocking(self._log, False)
        self._loop.add_reader(self._log, self._hand_on)
        try:
            self._process = _start(self._setup, theirs, log)
            async with asyncio.timeout(START_S):
                ready = load(await self._loop.sock_recv(self._control, 2 * MAX_PROBLEM), Ready)
        except (TimeoutError, OSError, WireError) as error:
            self._kill()
            raise ScanError(DIED, f"the template process does not start: {error}") from error
        except BaseException:
            self._kill()
            raise
        finally:
            theirs.close()
            os.close(log)
        if ready.problem:
            self._kill()
            raise ConfigError(self._setup.source, [Problem("scan process", ready.problem)])
        self.lacking, self.identity, self.pid = ready.lacking, ready.identity, ready.pid
        self._loop.add_reader(self._control, self._readable)

    async def make(self) -> Birth:
        """A new scan process; raises ScanError where there is none to be had."""
        if self.gone:
            raise ScanError(DIED, "the template process is gone")
        ours, theirs = socket.socketpair()
        progress = Progress()
        birth: asyncio.Future[tuple[int, int]] = self._loop.create_future()
        try:
            socket.send_fds(self._control, [REQUEST], [theirs.fileno(), progress.fd])
            self._births.append(birth)
            async with asyncio.timeout(BIRTH_S):
                pid, pidfd = await birth
        except BaseException as error:
            ours.close()
            progress.close()
            if isinstance(error, TimeoutError):
                self._lost()  # it hangs: to be replaced
            if isinstance(error, (OSError, TimeoutError)):
                raise ScanError(DIED, f"no new scan process: {error}") from error
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        return Birth(pid, pidfd, ours, progress)

    async def end_of(self, pid: int) -> str:
        """Wait a little for a scan process to end; how it did. Empty where the template process has gone."""
        end = self._ends.get(pid)
        if end is None:
            return ""
        if not await self.ended(pid, GRACE_S):
            return "it has not ended yet"
        return "" if end.result() == _GONE else in_words(end.result())

    async def ended(self, pid: int, within_s: float) -> bool:
        """Wait for a scan process to end; whether it did. One that has ended is forgotten."""
        end = self._ends.get(pid)
        if end is not None:
            try:
                async with asyncio.timeout(within_s):
                    await asyncio.shield(end)
            except TimeoutError:
                return False
            self._ends.pop(pid, None)
        return True

    async def stop(self) -> None:
        """Let the template process end; scan processes that are left end with it."""
        self._lost()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, GRACE_S)
            self._hand_on()
            self._kill()

    def _readable(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, REPORT.size, 1)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if len(data) != REPORT.size:
            self._lost()
            return
        kind, pid, status = REPORT.unpack(data)
        if kind == BORN:
            self._ends[pid] = self._loop.create_future()
            birth = self._births.popleft()
            if birth.cancelled():  # nobody waits any more, and the process finds its socket closed
                os.close(descriptors[0])
            else:
                birth.set_result((pid, descriptors[0]))
        elif (end := self._ends.get(pid)) is not None and not end.done():
            end.set_result(status)

    def _hand_on(self) -> None:
        """Write what scan processes say to the log: the size of files that they write themselves is limited."""
        if self._log < 0:
            return
        try:
            lines = os.read(self._log, _LOG_BYTES)
        except BlockingIOError:
            return
        if lines:
            self._outlet.write_bytes(lines)
        else:
            self._close_log()

    def _close_log(self) -> None:
        if self._log >= 0:
            self._loop.remove_reader(self._log)
            os.close(self._log)
            self._log = -1
            self._outlet.close()

    def _lost(self) -> None:
        if self.gone:
            return
        self.gone = True
        self._loop.remove_reader(self._control)
        self._control.close()
        for birth in self._births:
            if not birth.done():
                birth.set_exception(ScanError(DIED, "the template process is gone"))
        for end in self._ends.values():
            if not end.done():
                end.set_result(_GONE)

    def _kill(self) -> None:
        self.gone = True
        self._control.close()
        if self._process is not None:
            # not by force: the keeper is to end all the others before it goes
            self._process.terminate()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._close_log()


def _start(setup: Setup, control: socket.socket, log: int) -> subprocess.Popen[bytes]:
    fd = os.memfd_create("mailward-setup")
    try:
        os.write(fd, dump(setup))
        words = [sys.executable, "-m", "mailward.scan.keeper", *map(str, (os.getpid(), fd, control.fileno()))]
        return subprocess.Popen(
            words,
            pass_fds=(fd, control.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            start_new_session=True,
        )
    finally:
        os.close(fd)


def in_words(status: int) -> str:
    """How a process ended, from its status as waitpid has it."""
    if not os.WIFSIGNALED(status):
        return f"it ended with status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    try:
        return f"it was ended by {signal.Signals(number).name}"
    except ValueError:
        return f"it was ended by signal {number}"
