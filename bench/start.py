"""What starting costs: small commands, and each process of the gateway from its start until mail is taken.

    ./dev exec python bench/start.py [--rounds 5] [--full] [TREE ...]

With the folders of other trees (the state before a change, say) each round measures this one and then those, with the
same libraries, so that what else the machine does weighs on all alike. CPU is user and system time; of the rounds the
least counts. A round before the first, which compiles, is not measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parent))

import targets

HERE = Path(__file__).parent.parent
COMMANDS = ("--version", "--help", "send --help", "queue list", "ctl status", "check")
FULL = ("relay", "content", "antivirus", "archives")
KINDS = {
    "mailward.supervisor.main": "supervisor",
    "mailward.gateway.process": "gateway process",
    "mailward.scan.template": "template of scan processes",
}
READY_S = 120.0


@frozen
class Cost:
    """Milliseconds of processor time, and of the clock; 0 where it was not taken."""

    cpu_ms: float
    wall_ms: float = 0.0


def environment(tree: Path) -> dict[str, str]:
    """The sources of a tree in front of those that are installed, and compiled ones kept."""
    sources = [tree / "core" / "src", *sorted(tree.glob("plugins/*/src"))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAILWARD_", "PYTHONDONT"))}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, sources))}


def command(tree: Path, folder: Path, words: str) -> Cost:
    """One command, from its start to its end."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "mailward.cli.main", *words.split()],
        env=environment(tree),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return Cost(1000 * (usage.ru_utime + usage.ru_stime), 1000 * (time.monotonic() - began))


def program(tree: Path, folder: Path, plugins: tuple[str, ...]) -> Iterator[tuple[str, Cost]]:
    """The whole program with one gateway and one scan process: what each process has used when mail is taken."""
    port = targets.free_port()
    config = folder / "mailward.toml"
    listed = ", ".join(f'"{name}"' for name in plugins)
    config.write_text(
        f'plugins = [{listed}]\n[gateway]\nlisten = ["127.0.0.1:{port}"]\nhostname = "bench.example"\n'
        f'[spool]\npath = "state"\n[process]\ngateways = 1\n[scan]\nworkers = 1\n[log]\nlevel = "error"\n'
        f'[relay]\ndefault = "maildir:mail"\n'
    )
    began = time.monotonic()
    main = psutil.Popen(
        [sys.executable, "-m", "mailward.supervisor.main", str(config)], env=environment(tree), cwd=folder
    )
    try:
        targets.wait_for(port, timeout_s=READY_S)
        ready_ms = 1000 * (time.monotonic() - began)
        used: dict[str, list[float]] = defaultdict(list)
        for process in (main, *main.children(recursive=True)):
            words = process.cmdline()
            times = process.cpu_times()
            kind = next((KINDS[word] for word in words if word in KINDS), "")
            used[kind].append(1000 * (times.user + times.system))
        for kind in KINDS.values():
            # a fork of the template has the same words, and a counter of its own: the template is the elder
            yield kind, Cost(max(used[kind]))
        yield "all, until mail is taken", Cost(sum(map(sum, used.values())), ready_ms)
    finally:
        main.terminate()
        main.wait(READY_S)


def measured(tree: Path, plugins: tuple[str, ...]) -> Iterator[tuple[str, Cost]]:
    """Everything once."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailward-bench-")))
        for words in COMMANDS:
            yield f"mailward {words}", command(tree, folder, words)
        yield from program(tree, folder, plugins)


def main() -> None:
    parser = argparse.ArgumentParser(description="What starting costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="with the archives plugin too")
    parser.add_argument("others", metavar="TREE", nargs="*", type=Path, help="other trees to measure beside this one")
    asked = parser.parse_args()
    trees = [HERE, *(other.resolve() for other in asked.others)]
    plugins = FULL if asked.full else FULL[:3]
    least: dict[tuple[str, Path], Cost] = {}
    for number in range(asked.rounds + 1):
        for tree in trees:
            for what, cost in measured(tree, plugins):
                before = least.get((what, tree), cost)
                if number:
                    least[what, tree] = Cost(min(before.cpu_ms, cost.cpu_ms), min(before.wall_ms, cost.wall_ms))
    print(f"| {'CPU ms (wall ms)':<30} |" + "".join(f" {tree!s:>30} |" for tree in trees))
    for what in dict.fromkeys(what for what, _ in least):
        cells = (least[what, tree] for tree in trees)
        shown = (f"{one.cpu_ms:.0f}" + (f" ({one.wall_ms:.0f})" if one.wall_ms else "") for one in cells)
        print(f"| {what:<30} |" + "".join(f" {cell:>30} |" for cell in shown))


if __name__ == "__main__":
    main()
