"""The loss test: mail for minutes while everything is killed, stopped, cut and filled; then the count.

    ./dev exec python bench/soak.py [--minutes 3] [--seed 1] [--scan queued] [--json]

Clients of its own count every 250; smtp-source, where it is installed, makes noise beside them. A
chaos driver kills (-9) the supervisor, gateway and scan processes, reloads, stops the next hop, has
it cut connections at every step of the conversation and answer 4xx, silences the name server and, as
root, fills the disk (a small tmpfs). Afterwards everything works again, and is waited for. Every
message that got 250 must have been delivered whole, or be queued or held. A message may arrive twice
only where SMTP cannot help it: a process was killed, or a connection cut, between the content and
the note of its 250. Exit status 1: something was lost, damaged, or doubled without such a reason.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import asdict, define, field, frozen

sys.path.insert(0, str(Path(__file__).parent))

from soak_peers import MARK, STEPS, Client, Ledger, NameServer, NextHop, served
from targets import free_port

DISK_BYTES = 96 * 1024 * 1024
CONCURRENCY = 20
CONFIG = """
plugins = ["relay", "archives", "content", "antivirus"]
[gateway]
listen = ["127.0.0.1:{port}"]
scan = "{scan}"
hostname = "soak.example"
[process]
gateways = 2
start_s = 300
stop_s = 5
reload_s = 5
[health]
interval_s = 0.5
disk_stop_percent = 5
[scan]
workers = 2
[delivery]
concurrency = {concurrency}
retry_first_s = 0.5
retry_max_s = 2
[dns]
servers = ["127.0.0.1:{dns}"]
timeout_s = 1
[log]
level = "warning"
[relay]
allow = ["127.0.0.1"]
default = "hop.soak.test:{hop}"
connect_timeout_s = 2
"""


@frozen
class Report:
    """What came of it; all counts are of messages, but those of faults."""

    tried: int
    accepted: int
    delivered: int
    queued: int
    lost: tuple[str, ...]
    damaged: tuple[str, ...]
    doubled: int
    doubles_allowed: int
    noise_delivered: int
    notices: int
    clients_cut: int
    refused: dict[str, int]
    faults: dict[str, int]
    starts: int

    @property
    def good(self) -> bool:
        """Whether nothing was lost, damaged, or doubled without a reason."""
        return not self.lost and not self.damaged and self.doubled <= self.doubles_allowed


@define
class Program:
    """The program under test, started again whenever it ends, as a service manager does."""

    config: Path
    log: Path
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None
    wanted: threading.Event = field(factory=threading.Event)

    def keep(self) -> None:
        """Run until it is not wanted any more."""
        while self.wanted.is_set():
            with self.log.open("ab") as log:
                command = [sys.executable, "-m", "mailward.cli.main", "serve", "-c", str(self.config)]
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.starts += 1
            self.process.wait()

    def family(self, pid: int = 0) -> list[tuple[int, str]]:
        """The processes below the supervisor, with their command lines."""
        found: list[tuple[int, str]] = []
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid or self.pid}/task").iterdir():
                for child in map(int, (task / "children").read_text().split()):
                    found.append((child, Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")))
                    found += self.family(child)
        return found

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self.process.pid if self.process else 0

    def kill(self, word: str) -> bool:
        """Kill (-9) one process at random whose command line has the word; the supervisor where it is empty."""
        candidates = [pid for pid, line in self.family() if word in line] if word else [self.pid]
        with contextlib.suppress(ProcessLookupError):
            if candidates and candidates[0]:
                os.kill(random.choice(candidates), signal.SIGKILL)
                return True
        return False


@define
class Chaos:
    """Does something harmful every second or so; what it did, by name."""

    program: Program
    hop_port: int
    ledger: Ledger
    names: NameServer
    state: Path
    small_disk: bool
    random: random.Random
    done: Counter[str] = field(factory=Counter)

    def run(self, seconds: float) -> None:
        """Go on for so long; then everything works again."""
        end = time.monotonic() + seconds
        deeds: list[Callable[[NextHop], None]] = [
            self._kill_gateway, self._kill_scanner, self._kill_supervisor, self._reload, self._cut, self._busy,
            self._silence,
        ]  # fmt: skip
        deeds += [self._fill] if self.small_disk else []
        while time.monotonic() < end:
            with _hop(self.hop_port, self.ledger) as hop:
                # every deed once in a while, in an order of chance
                for deed in self.random.sample(deeds, len(deeds)):
                    if time.monotonic() >= end:
                        break
                    self._let_flow(end)
                    deed(hop)
            self.done["stop the next hop"] += 1
            time.sleep(min(1.0, max(0.0, end - time.monotonic())))

    def _let_flow(self, end: float) -> None:
        """Wait until mail is accepted again, so that the next fault meets some."""
        before = len(self.ledger.accepted)
        while len(self.ledger.accepted) < before + 10 and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(self.random.uniform(0, 0.3))

    def _kill_gateway(self, hop: NextHop) -> None:
        self.done["kill a gateway process"] += self.program.kill("mailward.gateway.process")

    def _kill_scanner(self, hop: NextHop) -> None:
        self.done["kill a scan process"] += self.program.kill("mailward.scan.")

    def _kill_supervisor(self, hop: NextHop) -> None:
        self.done["kill the supervisor"] += self.program.kill("")

    def _reload(self, hop: NextHop) -> None:
        if self.program.family():  # up: the signal would end one that is not yet
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.program.pid, signal.SIGHUP)
                self.done["reload"] += 1

    def _cut(self, hop: NextHop) -> None:
        for step in STEPS:
            hop.cut_at = step
            time.sleep(0.15)
        hop.cut_at = ""
        self.done["cut at every step"] += 1

    def _busy(self, hop: NextHop) -> None:
        hop.busy = True
        time.sleep(0.5)
        hop.busy = False
        self.done["answer 4xx"] += 1

    def _silence(self, hop: NextHop) -> None:
        self.names.silent = True
        time.sleep(1.5)
        self.names.silent = False
        self.done["silence the name server"] += 1

    def _fill(self, hop: NextHop) -> None:
        filler = self.state / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1024 * 1024))
        time.sleep(1.0)
        filler.unlink(missing_ok=True)
        self.done["fill the disk"] += 1


@contextmanager
def _hop(port: int, ledger: Ledger) -> Iterator[NextHop]:
    hop = NextHop(port, ledger)
    with served(hop):
        yield hop


@contextmanager
def _disk(folder: Path) -> Iterator[bool]:
    """A small file system of its own for the state folder, where that can be had; whether it is one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def _noise(port: int, done: threading.Event) -> None:
    """smtp-source over and over: mail that nobody counts."""
    source = ["smtp-source", "-s", "4", "-m", "200", "-l", "4096", "-t", "noise@soak.test", f"127.0.0.1:{port}"]
    while not done.wait(0.2):
        process = subprocess.Popen(source, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if done.wait(0.1):
                process.kill()
        process.wait()


def _queued(config: Path) -> set[str]:
    """The tokens of all messages that lie in a queue, whichever it is; notices about them do not count."""
    queue = [sys.executable, "-m", "mailward.cli.main", "queue"]
    listed = subprocess.run([*queue, "list", "--json", "-c", str(config)], capture_output=True, check=True)
    found: set[str] = set()
    for row in json.loads(listed.stdout)["messages"]:
        show = [*queue, "show", row["id"], "--raw", "-c", str(config)]
        head = subprocess.run(show, capture_output=True, check=False).stdout.partition(b"\r\n\r\n")[0]
        found |= {match[1].decode() for match in MARK.finditer(head + b"\r\n")}
    return found


def soak(
    seconds: float, seed: int, folder: Path, scan: str = "inline", clients: int = 6, patience_s: float = 300.0
) -> Report:
    """Run it, with content judged before the reply (``inline``) or after it (``queued``); what came of it."""
    ledger, done = Ledger(), threading.Event()
    port, hop_port = free_port(), free_port()
    state = folder / "mailward-data"
    with ExitStack() as stack:
        small = stack.enter_context(_disk(state))
        names = NameServer()
        stack.enter_context(served(names))
        config = folder / "mailward.toml"
        settings = {"port": port, "hop": hop_port, "dns": names.port, "concurrency": CONCURRENCY, "scan": scan}
        config.write_text(CONFIG.format(**settings))
        program = Program(config, folder / "log")
        program.wanted.set()
        keeper = threading.Thread(target=program.keep, daemon=True)
        keeper.start()
        stack.callback(_end, program, keeper)
        sizes = (1_000, 5_000, 60_000, 200_000)
        senders: list[threading.Thread] = [Client(n, port, ledger, sizes, done) for n in range(clients)]
        if shutil.which("smtp-source"):
            senders.append(threading.Thread(target=_noise, args=(port, done), daemon=True))
        for sender in senders:
            sender.start()
        chaos = Chaos(program, hop_port, ledger, names, state, small, random.Random(seed))
        _until(lambda: len(ledger.accepted) >= clients, patience_s, "mail to flow", folder / "log")
        chaos.run(seconds)
        done.set()
        for sender in senders:
            sender.join(90)
        with _hop(hop_port, ledger), contextlib.suppress(TimeoutError):
            _until(lambda: ledger.accepted <= set(ledger.delivered), patience_s, "delivery", folder / "log")
        queued = _queued(config)
        return _report(ledger, queued, chaos, program)


def _until(look: Callable[[], bool], patience_s: float, what: str, log: Path) -> None:
    end = time.monotonic() + patience_s
    while not look():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience_s:g} s in vain for {what}\n{log.read_text()[-3000:]}")
        time.sleep(0.1)


def _end(program: Program, keeper: threading.Thread) -> None:
    program.wanted.clear()
    if program.process is not None:
        program.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.process.wait(60)
        program.process.kill()
    keeper.join(10)


def _report(ledger: Ledger, queued: set[str], chaos: Chaos, program: Program) -> Report:
    delivered = set(ledger.delivered)
    # what was under way at a death may be repeated: the attempts of one process, or of both
    repeated = chaos.done["kill a gateway process"] + 2 * chaos.done["kill the supervisor"]
    return Report(
        tried=ledger.tried,
        accepted=len(ledger.accepted),
        delivered=len(ledger.accepted & delivered),
        queued=len(ledger.accepted & queued - delivered),
        lost=tuple(sorted(ledger.accepted - delivered - queued)),
        damaged=tuple(sorted(ledger.damaged)),
        doubled=sum(count - 1 for count in ledger.delivered.values()),
        doubles_allowed=ledger.unanswered + repeated * CONCURRENCY,
        noise_delivered=ledger.noise,
        notices=ledger.notices,
        clients_cut=ledger.cut,
        refused=dict(ledger.refused),
        faults=dict(chaos.done),
        starts=program.starts,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--scan", choices=("inline", "queued"), default="inline")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailward-soak-") as folder:
        report = soak(options.minutes * 60, options.seed, Path(folder), options.scan)
    if options.json:
        print(json.dumps({**asdict(report), "good": report.good}))
    else:
        for name, value in asdict(report).items():
            print(f"{name:<16} {value}")
        print("nothing lost" if report.good else "NOT GOOD")
    sys.exit(0 if report.good else 1)


if __name__ == "__main__":
    main()
