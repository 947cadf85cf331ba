"""The program as a child process: started on a configuration file, watched through its log, ended in every way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.client import Client, Reply
from harness.config import Table, merged, toml
from harness.wait import PATIENCE_S, until
from mailward.spool.found import journaled

Line = dict[str, Any]
START_S = 60.0

PLUGINS = ("relay", "content", "antivirus")
PROGRAM = (sys.executable, "-m", "mailward.cli.main")
BASE: Table = {
    "plugins": PLUGINS,
    "gateway": {"listen": ["127.0.0.1:0"], "hostname": "mx.example.test"},
    "process": {"gateways": 1, "watch_config": False},
    "scan": {"workers": 1},
    "delivery": {"retry_first_s": 0.2, "retry_max_s": 1, "delay_notice": False},
    "log": {"format": "json"},
    "relay": {"allow": ["127.0.0.1"], "quit_timeout_s": 1},
}
"""What every gateway of the tests is set up with unless a test says otherwise."""


class Gateway:
    """One gateway: its folder, its configuration, and the process while there is one."""

    def __init__(self, folder: Path, settings: Table, files: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        for name, text in (files or {}).items():
            (folder / name).write_text(text, encoding="utf-8")
        self.config = folder / "mailward.toml"
        self.config.write_text(toml(merged(BASE, settings)), encoding="utf-8")
        self.log_file = folder / "log.jsonl"
        self.state = folder / "mailward-data"
        self.port = 0
        self.ports: list[int] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.program: tuple[str, ...] = PROGRAM

    def start(self) -> Gateway:
        """Start the program and wait until it accepts connections."""
        with self.log_file.open("ab") as log:
            seen = log.tell()
            self.process = subprocess.Popen(
                [*self.program, "serve", "-c", str(self.config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        ready = until(lambda: self._ready(seen), "the gateway to be ready", START_S, self.story)
        self.ports = [int(address.rpartition(":")[2]) for address in ready["listen"]]
        self.port = self.ports[0]
        return self

    def _ready(self, seen: int) -> Line | None:
        process = self.running
        assert process.poll() is None, f"the program ended with {process.returncode}\n{self.story()}"
        lines = self._lines(seen)
        if not any(line["event"] == "started" for line in lines):
            return None  # the supervisor says that it is ready, a gateway process that all have started
        return next((line for line in lines if line["event"] == "ready"), None)

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process."""
        assert self.process is not None, "the gateway was not started"
        return self.process

    def _lines(self, seen: int = 0) -> list[Line]:
        with self.log_file.open("rb") as log:
            log.seek(seen)
            rows = log.read().split(b"\n")[:-1]
        return [json.loads(row) for row in rows if row.startswith(b"{")]

    def log(self, event: str = "", **fields: Any) -> list[Line]:
        """The log lines of this event whose fields have these values; all lines where nothing is asked."""
        return [
            line
            for line in self._lines()
            if event in ("", line["event"]) and all(line.get(key) == value for key, value in fields.items())
        ]

    def logged(self, event: str, count: int = 1, **fields: Any) -> Line:
        """Wait for at least ``count`` such lines; the last of them."""
        what = f"{count} × {event} {fields or ''} in the log"
        return until(lambda: (found := self.log(event, **fields))[count - 1 :] and found, what, story=self.story)[-1]

    def story(self) -> str:
        """The end of the log, for failure messages."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")[-6000:]

    def client(self, greet: bool = True) -> Client:
        """A new connection; after EHLO where ``greet``."""
        client = Client(self.port)
        if greet:
            client.greet()
        return client

    def send(self, content: bytes, *to: str, sender: str = "author@sender.example") -> Reply:
        """Send one message over a connection of its own: the reply to end of data, or the first refusal."""
        with self.client() as client:
            return client.send(content, *to, sender=sender)

    def settled(self, message_id: str) -> Line:
        """Wait until a message is delivered; the line about it."""
        return self.logged("delivered", id=message_id)

    def kill(self) -> None:
        """End the program as a power cut would, and wait until all its processes are gone."""
        others = [Path("/proc") / pid for pid in self.descendants()]
        self.running.kill()
        self.running.wait(PATIENCE_S)
        until(lambda: not any(_alive(other) for other in others), "all processes to end with the first")

    def stop(self) -> int:
        """Ask the gateway to end; its exit status."""
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(PATIENCE_S)

    def restart(self) -> Gateway:
        """Start again on the same folder."""
        return self.start()

    def gateways(self) -> list[str]:
        """The process ids of the gateway processes."""
        return children_of(self.running.pid)

    def descendants(self, pid: int | str = 0) -> list[str]:
        """The process ids of all that the gateway (or the process ``pid``) has started, and what these have."""
        children = children_of(pid or self.running.pid)
        return [*children, *(one for child in children for one in self.descendants(child))]

    def templates(self) -> list[str]:
        """The process ids of the template processes, which make the scan processes."""
        return [pid for pid in self.descendants() if _is_scan(pid) and not _is_scan(_parent(pid))]

    def scanners(self) -> list[str]:
        """The process ids of the scan processes."""
        return [pid for pid in self.descendants() if _is_scan(pid) and _is_scan(_parent(pid))]

    def peak_bytes(self, pid: int | str = 0) -> int:
        """The most memory that the first gateway process (or the process ``pid``) has ever held."""
        status = Path(f"/proc/{pid or self.gateways()[0]}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the program."""
        return subprocess.run([*PROGRAM, *words], capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False)

    def queue(self) -> list[Line]:
        """What ``mailward queue list --json`` says."""
        answer = self.run("queue", "list", "--json", "-c", str(self.config))
        assert answer.returncode == 0, answer.stderr
        return list(json.loads(answer.stdout)["messages"])

    def stored(self, *queues: str) -> list[Path]:
        """The messages in these queues of the spool (all of them, and unfinished ones, where none is named).

        A message in the journal is given as a file of its name in the journal's folder.
        """
        wanted = queues or ("tmp", "incoming", "fast", "slow", "hold", "quarantine", "damaged")
        spool = self.state / "spool"
        small = [
            found.path.with_name(message_id)
            for folder in spool.glob("*/journal")
            for message_id, found in journaled(folder).items()
            if found.entry.queue in wanted
        ]
        return small + [file for queue in wanted for file in spool.glob(f"*/{queue}/*") if file.is_file()]


def children_of(pid: int | str) -> list[str]:
    """The process ids of the children of a process."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended meanwhile
        return []


def _parent(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return ""


def _is_scan(pid: str) -> bool:
    try:
        return b"mailward.scan.template" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _alive(process: Path) -> bool:
    try:
        return ") Z " not in (process / "stat").read_text()
    except OSError:
        return False


@contextmanager
def running(folder: Path, settings: Table, files: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """A gateway that runs for the length of a block; ``files`` are put beside its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    gateway = Gateway(folder, settings, files)
    try:
        yield gateway.start()
    finally:
        process = gateway.process
        if process is not None and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(PATIENCE_S)
