"""Real servers beside the program: smtp-sink, Postfix, clamd, each with a folder of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from harness.mails import EICAR
from harness.trace import untraced
from harness.wait import PATIENCE_S, free_port, listens, until

_PATH = f"{os.environ['PATH']}:/usr/sbin"
_DUMP = re.compile(
    rb"(?:X-[\w-]+: ?[^\n]*\n)*?X-Mail-Args: (?P<sender>[^\n]*)\n(?P<recipients>(?:X-Rcpt-Args: [^\n]*\n)+)"
    rb"Received: from[^\n]*\n\tby smtp-sink[^\n]*\n\t[^\n]*\n"
)


def program(name: str) -> str:
    """The path of an installed program."""
    found = shutil.which(name, path=_PATH)
    assert found is not None, f"{name} is not installed"
    return found


def _end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@frozen
class Dump:
    """A message as smtp-sink wrote it down, line ends made CRLF again."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    def holds(self, message: bytes) -> bool:
        """Whether this is the message, our trace header aside; smtp-sink may add an empty line at the end."""
        return untraced(self.content) in (message, message + b"\r\n")


@frozen
class Sink:
    """A running smtp-sink that keeps every message."""

    port: int
    folder: Path

    @property
    def route(self) -> str:
        """How a configuration names this next hop."""
        return f"127.0.0.1:{self.port}"

    def dumps(self) -> list[Dump]:
        """The messages so far."""
        return [dump for file in sorted(self.folder.glob("m.*")) if (dump := _read(file)) is not None]

    def wait_for(self, count: int) -> list[Dump]:
        """Wait until so many messages are here (see that they are delivered first: a dump grows as it arrives)."""
        return until(lambda: (found := self.dumps())[count - 1 :] and found, f"{count} messages at smtp-sink")


def _read(file: Path) -> Dump | None:
    raw = file.read_bytes()
    found = _DUMP.match(raw)
    if found is None:
        return None
    recipients = re.findall(rb"X-Rcpt-Args: <([^>]*)>", found["recipients"])
    content = raw[found.end() :].replace(b"\n", b"\r\n")
    return Dump(found["sender"].decode().strip("<>"), tuple(one.decode() for one in recipients), content)


@contextmanager
def open_sink(folder: Path, *options: str) -> Iterator[Sink]:
    """An smtp-sink with these options for the length of a block."""
    folder.mkdir()
    port = free_port()
    private = ["-u", "postfix", "-R", str(folder)] if os.geteuid() == 0 else []
    if private:
        shutil.chown(folder, "postfix")
    command = [program("smtp-sink"), *private, "-d", "m.", *options, f"127.0.0.1:{port}", "100"]
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)
    try:
        until(lambda: listens(port), "smtp-sink to listen")
        yield Sink(port, folder)
    finally:
        _end(process)


MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example.test
mydestination =
relay_domains = house.example
relay_recipient_maps =
relayhost = [127.0.0.1]:{onward}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_line_length_limit = 0
local_header_rewrite_clients =
alias_maps =
alias_database =
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
"""
MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


@frozen
class Postfix:
    """A running Postfix."""

    port: int

    @property
    def route(self) -> str:
        """How a configuration names this next hop."""
        return f"127.0.0.1:{self.port}"


@contextmanager
def open_postfix(onward: int, more: str = "") -> Iterator[Postfix]:
    """A private Postfix that relays everything to ``onward``, for the length of a block; needs to be root.

    ``more`` are further lines of its main.cf.
    """
    # not below pytest's folder, which only its owner may enter: Postfix works under an account of its own
    folder = Path(tempfile.mkdtemp(prefix="mailward-postfix-"))
    port = free_port()
    try:
        folder.chmod(0o755)
        for name in ("etc", "data", "spool"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix")
        (folder / "etc/main.cf").write_text(MAIN_CF.format(folder=folder, onward=onward) + more)
        (folder / "etc/master.cf").write_text(MASTER_CF.format(port=port))
        postfix = [program("postfix"), "-c", str(folder / "etc")]
        answer = subprocess.run([*postfix, "start"], capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        try:
            until(lambda: listens(port), "Postfix to listen", story=(folder / "maillog").read_text)
            yield Postfix(port)
        finally:
            subprocess.run([*postfix, "stop"], capture_output=True, check=False)
            until(lambda: not _locked(folder / "spool/pid/master.pid"), "Postfix to end")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _locked(pid_file: Path) -> bool:
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return False
    return True


class Clamd:
    """A clamd with a database of one signature, on a socket of its own; it can be stopped and started."""

    def __init__(self, folder: Path, hashes: str = "") -> None:
        self.socket = folder / "clamd.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "db").mkdir(parents=True)
        (folder / "db/test.ndb").write_text(f"Probe.Test:0:*:{EICAR.hex()}\n")
        if hashes:
            (folder / "db/test.hdb").write_text(hashes)
        (folder / "clamd.conf").write_text(
            f"LocalSocket {self.socket}\nDatabaseDirectory {folder}/db\nTemporaryDirectory {folder}\n"
            "Foreground true\nStreamMaxLength 10M\nFixStaleSocket true\n"
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [program("clamd"), "--config-file", str(self._folder / "clamd.conf")]
        with (self._folder / "clamd.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self._answers, "clamd to answer", story=(self._folder / "clamd.log").read_text)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.settimeout(2)
            probe.connect(str(self.socket))
            probe.sendall(b"zPING\0")
            return probe.recv(100) == b"PONG\0"
        return False

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            _end(self._process)


@contextmanager
def open_clamd(hashes: str = "") -> Iterator[Clamd]:
    """A running clamd for the length of a block."""
    # a socket's path may have about 100 characters: pytest's folders are too deep
    folder = Path(tempfile.mkdtemp(prefix="mailward-clamd-"))
    clamd = Clamd(folder, hashes)
    try:
        clamd.start()
        yield clamd
    finally:
        clamd.stop()
        shutil.rmtree(folder, ignore_errors=True)
