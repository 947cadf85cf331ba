"""What is measured: Mailward, Postfix relaying without looking, a bare aiosmtpd; on loopback, each in a folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from attrs import frozen

HERE = Path(__file__).parent


@frozen
class Target:
    """A running server: its port, the processes it is made of, whether it relays to the sink."""

    name: str
    port: int
    root: psutil.Process
    relays: bool

    def processes(self) -> list[psutil.Process]:
        """All its processes as they are now."""
        with suppress(psutil.Error):
            return [self.root, *self.root.children(recursive=True)]
        return []


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, log: Path | None = None, timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as probe:
            probe.settimeout(5)
            if probe.recv(100).startswith(b"220"):
                probe.sendall(b"QUIT\r\n")
                return
        time.sleep(0.1)
    said = log.read_text() if log else ""
    raise SystemExit(f"no server came up on port {port}: {said}")


def wait_until(there: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for something to be there; SystemExit where it does not come."""
    end = time.monotonic() + timeout_s
    while not there():
        if time.monotonic() > end:
            raise SystemExit("a peer did not come up in time")
        time.sleep(0.1)


def is_open(port: int) -> bool:
    """Whether somebody listens on a port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 2):
        return True
    return False


@contextmanager
def running(name: str, command: list[str], port: int, relays: bool, log: Path) -> Iterator[Target]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            wait_for(port, log)
            yield Target(name, port, psutil.Process(process.pid), relays)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


@contextmanager
def mailward(folder: Path, sink_port: int, gateway: str = "") -> Iterator[Target]:
    """Mailward with the default plugins and their built-in engines."""
    folder.mkdir(parents=True)
    port = free_port()
    config = folder / "mailward.toml"
    config.write_text(
        f"""
plugins = ["relay", "archives", "content", "antivirus"]
[gateway]
listen = ["127.0.0.1:{port}"]
hostname = "bench.example"
max_message_bytes = "100 MB"
max_messages = 1024
{gateway}
[log]
level = "warning"
[relay]
local = {{ "rcpt.example" = "127.0.0.1:{sink_port}" }}
[content]
block_names = true
"""
    )
    command = [sys.executable, "-m", "mailward.cli.main", "serve", "-c", str(config)]
    with running("mailward", command, port, True, folder / "log") as target:
        yield target


@contextmanager
def bare(folder: Path) -> Iterator[Target]:
    """aiosmtpd as it comes, receiving only."""
    folder.mkdir(parents=True)
    port = free_port()
    command = [sys.executable, str(HERE / "bare.py"), str(port)]
    with running("bare aiosmtpd (no relay)", command, port, False, folder / "log") as target:
        yield target


@contextmanager
def postfix(folder: Path, sink_port: int, extra: str = "") -> Iterator[Target]:
    """Postfix with its full queue, relaying everything to the sink, looking at nothing by itself."""
    port = free_port()
    for name in ("etc", "data", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "etc" / "main.cf").write_text(_MAIN.format(folder=folder, sink=sink_port) + extra)
    (folder / "etc" / "master.cf").write_text(_MASTER.format(port=port))
    shutil.chown(folder / "data", "postfix")
    subprocess.run(["postfix", "-c", str(folder / "etc"), "start"], check=True, capture_output=True)
    try:
        wait_for(port)
        pid = int((folder / "spool" / "pid" / "master.pid").read_text())
        yield Target("postfix (no scan)", port, psutil.Process(pid), True)
    finally:
        subprocess.run(["postfix", "-c", str(folder / "etc"), "stop"], capture_output=True, check=False)


_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.example
mydestination =
relay_domains = rcpt.example
relay_recipient_maps =
relayhost = [127.0.0.1]:{sink}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = none
smtp_tls_security_level = none
message_size_limit = 104857600
mailbox_size_limit = 0
alias_maps =
alias_database =
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}, /var, /tmp
"""

_MASTER = """\
{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
