"""The template process: ``python -m mailward.scan.template PARENT SETUP_FD CONTROL_FD``.

It loads the configuration and the plugins once, gives up what scanning does not need, and then does
nothing but fork: one scan process for each request, in milliseconds, with all that was loaded shared
in memory. It reads no mail, has a single thread, and has no event loop that a fork could break. Where
a library has started threads on being loaded, forking is not safe: then each scan process is a
program of its own (a fourth argument names its progress memory) and loads everything by itself.

What a plugin has started in a scan process, and left running, comes to this process when that one ends,
and is ended then.

Requests come over a SOCK_SEQPACKET socket, each with the two descriptors of the process to be: its
socket and its progress memory. Reports go back: `BORN` with a pidfd, `ENDED` with an exit status.
"""

from __future__ import annotations

import gc
import hashlib
import os
import selectors
import signal
import socket
import struct
import sys
from pathlib import Path

from mailward.engine.bridge import TimerBridge
from mailward.engine.config import Config, parse_config
from mailward.engine.engine import Engine
from mailward.engine.log import configure
from mailward.engine.loop import run
from mailward.hooks.markers import Place
from mailward.scan.limits import confine, end_with_parent
from mailward.scan.orphans import children, end, take_in
from mailward.scan.progress import Progress
from mailward.scan.protocol import Ready, Setup, frame
from mailward.scan.worker import work
from mailward.values.errors import MailwardError
from mailward.values.wire import dump, load

REPORT = struct.Struct("!cii")
"""What a report is: kind, process id, exit status as waitpid has it (0 for a birth)."""

BORN = b"b"
ENDED = b"e"
REQUEST = b"f"
MAX_PROBLEM = 50_000
_FIRST_WAIT_S = 0.005
_LAST_WAIT_S = 1.0


class Template:
    """The process that forks; `serve` returns only when the gateway has gone or let go."""

    def __init__(self, engine: Engine, control: socket.socket, progress: Progress, setup_fd: int) -> None:
        self._engine = engine
        self._control = control
        self._progress = progress
        self._setup_fd = setup_fd
        self._single = single_threaded()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        take_in()
        self._own = frozenset(children())
        self._living: set[int] = set()

    def serve(self) -> None:
        """Fork at each request, report each end, and end what the ended ones have left."""
        wait_s: float | None = None
        while True:
            found = self._selector.select(wait_s)
            for key, _ in found:
                if key.fileobj is not self._control:
                    self._bury(key.fd, key.data)
                elif not self._ask():
                    return
            if wait_s is not None or any(key.fileobj is not self._control for key, _ in found):
                again_s = min(2 * wait_s, _LAST_WAIT_S) if wait_s else _FIRST_WAIT_S
                wait_s = again_s if end(self._own | self._living) else None

    def _ask(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, 16, 2)
        if not data:
            return False
        self._bear(*descriptors)
        for fd in descriptors:
            os.close(fd)
        return True

    def _bear(self, connection: int, progress: int) -> None:
        parent = os.getpid()
        pid = os.fork() if self._single else self._spawn(parent, connection, progress)
        if pid == 0:
            self._live(parent, connection, progress)
        self._living.add(pid)
        pidfd = os.pidfd_open(pid)
        self._selector.register(pidfd, selectors.EVENT_READ, pid)
        socket.send_fds(self._control, [REPORT.pack(BORN, pid, 0)], [pidfd])

    def _spawn(self, parent: int, connection: int, progress: int) -> int:
        descriptors = (self._setup_fd, connection, progress)
        for fd in descriptors:
            os.set_inheritable(fd, True)
        words = [sys.executable, "-m", "mailward.scan.template", *map(str, (parent, *descriptors))]
        return os.posix_spawn(sys.executable, words, os.environ)

    def _live(self, parent: int, connection: int, progress: int) -> None:
        """Be the scan process; does not return."""
        status = 1
        try:
            end_with_parent(parent)
            take_in()
            for key in tuple(self._selector.get_map().values()):
                os.close(key.fd)
            self._selector.close()
            self._progress.attach(progress)
            status = run(work(self._engine, socket.socket(fileno=connection), self._progress))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _bury(self, pidfd: int, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        self._living.discard(pid)
        self._selector.unregister(pidfd)
        os.close(pidfd)
        self._control.send(REPORT.pack(ENDED, pid, status))


def _needs_network(engine: Engine) -> bool:
    return any(instance.plugin.needs_network for instance in engine.policies.instances)


def _build(setup: Setup, progress: Progress) -> tuple[Engine, tuple[str, ...]]:
    """The engine, ready to be forked, in a process that is confined; raises ConfigError, ValueError, OSError."""
    config: Config = parse_config(setup.text, setup.source, Path(setup.base))
    configure(config.core.log)
    engine = Engine(config, place=Place.SCAN, bridge=TimerBridge(), progress=progress.note)
    core = config.core
    max_file_bytes = max(core.limits.max_total_bytes, core.gateway.max_message_bytes)
    lacking = confine(core.scan.memory_bytes, max_file_bytes, core.scan.user, network=_needs_network(engine))
    return engine, lacking


def identity(engine: Engine) -> str:
    """A digest of what verdicts depend on."""
    return hashlib.sha256(engine.scan_identity().encode()).hexdigest()


def single_threaded() -> bool:
    """Whether this process has one thread and may fork."""
    return len(os.listdir("/proc/self/task")) == 1


def _read_setup(fd: int) -> Setup:
    return load(os.pread(fd, os.fstat(fd).st_size, 0), Setup)


def _template(control: socket.socket, setup_fd: int) -> int:
    progress = Progress()
    try:
        engine, lacking = _build(_read_setup(setup_fd), progress)
    except (MailwardError, ValueError, OSError) as error:
        control.send(dump(Ready(str(error)[:MAX_PROBLEM])))
        return 2
    gc.collect(1)  # of the young only: loading leaves no old garbage, and to look for it takes 40 ms
    gc.freeze()
    template = Template(engine, control, progress, setup_fd)
    control.send(dump(Ready(lacking=lacking, identity=identity(engine), pid=os.getpid())))
    template.serve()
    return 0


def _alone(connection: socket.socket, setup_fd: int, progress_fd: int) -> int:
    """Be a scan process that was not forked."""
    take_in()
    progress = Progress()
    progress.attach(progress_fd)
    try:
        engine, _ = _build(_read_setup(setup_fd), progress)
    except (MailwardError, ValueError, OSError) as error:
        connection.sendall(frame(dump(Ready(str(error)[:MAX_PROBLEM]))))
        return 2
    return run(work(engine, connection, progress))


def main() -> None:
    """Run the process that the command line describes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent, setup_fd, fd, *progress_fd = map(int, sys.argv[1:])
    end_with_parent(parent)
    connection = socket.socket(fileno=fd)
    try:
        sys.exit(_alone(connection, setup_fd, *progress_fd) if progress_fd else _template(connection, setup_fd))
    except ConnectionError:  # the gateway went away
        sys.exit(1)


if __name__ == "__main__":
    main()
