"""Exim on both sides of the program: as a client, with CHUNKING and PIPECONNECT, and as the next hop."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.certificates import Authority
from harness.gateway import running
from harness.hop import open_hop
from harness.mails import CLEAN
from harness.wait import free_port, listens, until

_CONFIG = """\
primary_hostname = exim.example
exim_path = {exim}
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
exim_user = nobody
exim_group = nogroup
never_users =
local_interfaces = 127.0.0.1
host_lookup =
dns_again_means_nonexist = *
tls_advertise_hosts =
log_selector = +pipelining
acl_smtp_rcpt = accept
domainlist local_domains =
begin routers
all:
  driver = {driver}
  {route}
  transport = {transport}
begin transports
onward:
  driver = smtp
  port = {port}
  hosts_try_chunking = *
  {tls}
  hosts_pipe_connect = *
  dnssec_request_domains =
store:
  driver = appendfile
  directory = {folder}/store
  maildir_format
  user = nobody
  group = nogroup
"""
_ONWARD = {
    "driver": "manualroute",
    "route": "route_list = * 127.0.0.1 byname\n  self = send",
    "transport": "onward",
}
_DOOR = """
from mailward import Plugin, Reply, hookimpl

class Door(Plugin):
    \"\"\"Refuses everybody while the file "refusing" is there.\"\"\"

    @hookimpl
    def connect(self, session):
        return Reply(450, "4.7.1", "Not today") if (self.context.base / "refusing").exists() else None
"""


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that Exim's user can pass through; those of pytest are for their owner alone."""
    with tempfile.TemporaryDirectory(prefix="mailward-exim-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def exim() -> Iterator[Path]:
    """The program exim4: the installed one, or that of Debian's package, which excludes Postfix."""
    installed = shutil.which("exim4", path=f"{os.environ['PATH']}:/usr/sbin")
    if installed:
        yield Path(installed)
        return
    with open_folder() as folder:
        yield unpacked(folder)


def unpacked(folder: Path) -> Path:
    """The program of Debian's package, unpacked in a folder."""
    problem = "" if os.geteuid() == 0 else "needs root"
    try:
        pwd.getpwnam("Debian-exim")
    except KeyError:
        problem = "needs a user Debian-exim"
    if not problem:
        fetched = subprocess.run(["apt-get", "download", "-q", "exim4-daemon-light"], cwd=folder, capture_output=True)
        package = next(folder.glob("*.deb"), None)
        if package is None:
            problem = f"cannot be fetched: {fetched.stderr.decode(errors='replace')[-200:]}"
        else:
            subprocess.run(["dpkg", "-x", package, folder], check=True)
            missing = subprocess.run(["ldd", folder / "usr/sbin/exim4"], capture_output=True, text=True).stdout
            problem = "lacks libraries" if "not found" in missing else ""
    if problem:
        (pytest.fail if os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1" else pytest.skip)(f"exim4 {problem}")
    return folder / "usr/sbin/exim4"


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that Exim's user can work in."""
    with open_folder() as above:
        folder = above / "exim"
        for name in ("spool", "store"):
            (folder / name).mkdir(parents=True)
        for one in (folder, folder / "spool", folder / "store"):
            shutil.chown(one, "nobody", "nogroup")
        yield folder


def config(exim: Path, home: Path, **options: object) -> Path:
    path = home.parent / "exim.conf"
    options = {"tls": "hosts_avoid_tls = *", **options}
    path.write_text(_CONFIG.format(exim=exim, folder=home, **options))
    return path


def send(exim: Path, file: Path) -> None:
    """Have Exim take a message and deliver it, before this returns."""
    # in two steps: only as root does it write to the log of a configuration that is not its own
    for options, said in (
        (["-odq", "-i", "-f", "author@sender.example", "reader@house.example"], CLEAN.replace(b"\r\n", b"\n")),
        (["-q"], b""),
    ):
        subprocess.run([exim, "-C", file, *options], input=said, check=True, capture_output=True, timeout=60)


def test_exim_hands_over_in_chunks_what_arrives_byte_for_byte(exim: Path, home: Path, tmp_path: Path) -> None:
    with (
        open_hop() as hop,
        running(
            tmp_path / "gateway",
            {"relay": {"default": hop.route}, "diagnostics": {"inbound": "all", "inbound_data": "ignore"}},
        ) as gateway,
    ):
        file = config(exim, home, **_ONWARD, port=gateway.port)
        for _ in range(2):
            send(exim, file)
        arrived = hop.wait_for("reader@house.example", 2)
        start = arrived.content.index(b"From: ")
        assert CLEAN[CLEAN.index(b"Subject: ") :] in arrived.content[start:]
        said = until(
            lambda: [one.read_text() for one in (gateway.state / "diagnostics" / "inbound").glob("*")],
            "conversations to be written down",
        )
        assert any("BDAT " in one for one in said), said


@pytest.mark.parametrize(
    ("listener", "tls"),
    [
        ({}, "hosts_avoid_tls = *"),
        ({"tls": "starttls"}, "hosts_require_tls = *"),
        ({"tls": "implicit"}, "protocol = smtps"),
    ],
    ids=["clear", "starttls", "implicit"],
)
def test_exim_speaks_before_the_greeting_once_it_knows_that_it_may(
    exim: Path, home: Path, tmp_path: Path, listener: dict[str, str], tls: str
) -> None:
    if listener:
        certificate = Authority.make(tmp_path / "tls").issue("mx.example.test")
        listener = {**listener, "tls_certificate": str(certificate)}
    with (
        open_hop() as hop,
        running(
            tmp_path / "gateway",
            {
                "plugins": ["relay", "./door.py"],
                "gateway": {"listen": ["127.0.0.1:0"], "pipe_connect": True, **listener},
                "relay": {"default": hop.route},
            },
            {"door.py": _DOOR},
        ) as gateway,
    ):
        file = config(exim, home, **_ONWARD, port=gateway.port, tls=tls)
        for _ in range(3):
            send(exim, file)
        hop.wait_for("reader@house.example", 3)
        log = (home / "mainlog").read_text()
        # "L" is pipelining, "L*" such as began before the greeting
        assert re.findall(r" => reader@house\.example .* (L\S*) ", log) == ["L", "L*", "L*"], log
        (gateway.folder / "refusing").touch()
        send(exim, file)
        log = (home / "mainlog").read_text()
        assert re.search(r" == reader@house\.example .*450 4\.7\.1 Not today", log), log
    assert not gateway.log("protocol_violation")


@contextmanager
def listening(exim: Path, file: Path, port: int) -> Iterator[None]:
    command = [exim, "-C", file, "-bdf", "-oX", f"127.0.0.1.{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: listens(port), "Exim to listen")
            yield
        finally:
            process.terminate()


def test_exim_as_the_next_hop_gets_every_byte(exim: Path, home: Path, tmp_path: Path) -> None:
    port = free_port()
    file = config(exim, home, driver="accept", route="", transport="store", port=port)
    with (
        listening(exim, file, port),
        running(
            tmp_path / "gateway",
            {"relay": {"default": f"127.0.0.1:{port}"}, "diagnostics": {"outbound": "all", "outbound_data": "ignore"}},
        ) as gateway,
    ):
        assert gateway.send(CLEAN, "reader@house.example").code == 250
        (message,) = until(lambda: list((home / "store" / "new").glob("*")), "the message at Exim", story=gateway.story)
        content = message.read_bytes().replace(b"\n", b"\r\n")
        body = content[content.index(b" (Mailward) with ") :]
        assert CLEAN in body
        (said,) = until(
            lambda: [one.read_text() for one in (gateway.state / "diagnostics" / "outbound").glob("*")],
            "the conversation to be written down",
        )
        assert re.search(r"C: BDAT [0-9]+ LAST\n", said), said
