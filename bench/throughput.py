"""Rates, CPU and memory of Mailward beside Postfix and a bare aiosmtpd, in one run.

    ./dev exec python bench/throughput.py [--sizes 4k,50k,1m] [--sessions 10,50] [--rounds 3] [--secs 3]
        [--peers] [--chunking]

Needs smtp-source (Postfix) and psutil. Each cell is the median of the rounds, which go over the
targets in turn: messages a second accepted, and delivered to the sink; CPU seconds of the target's
processes for 1,000 messages; peak memory of its processes (sum of VmHWM).
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
from attrs import frozen
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

import messages
import peers
import targets


@frozen
class Run:
    """What one run of smtp-source against a target gave."""

    accepted_per_s: float
    delivered_per_s: float
    cpu_s_per_1000: float
    peak_mb: float


def cpu_s(processes: list[psutil.Process]) -> float:
    """CPU seconds that these processes and their ended children have used."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        except psutil.Error:
            continue
    return total


def reset_peak(processes: list[psutil.Process]) -> None:
    """Begin to measure the peak of memory anew."""
    for process in processes:
        try:
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        except OSError:
            continue


def peak_mb(processes: list[psutil.Process]) -> float:
    """Sum of the peaks (VmHWM) in MiB."""
    total = 0
    for process in processes:
        try:
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
            total += int(found[1]) if found else 0
        except OSError:
            continue
    return total / 1024


def count(counter: Path) -> int:
    """How many messages the sink has counted."""
    return int.from_bytes(counter.read_bytes()[:8], "big")


def measure(target: targets.Target, file: Path, sessions: int, number: int, counter: Path) -> Run:
    processes = target.processes()
    reset_peak(processes)
    cpu_before, counted = cpu_s(processes), count(counter)
    command = ["smtp-source", "-s", str(sessions), "-m", str(number), "-F", str(file), "-M", "client.example"]
    command += ["-f", "a@sender.example", "-t", "b@rcpt.example", f"127.0.0.1:{target.port}"]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    accepted_s = delivered_s = time.perf_counter() - started
    while target.relays and count(counter) - counted < number:
        time.sleep(0.005)
        delivered_s = time.perf_counter() - started
        if delivered_s > 300:
            raise SystemExit(f"{target.name} delivered {count(counter) - counted} of {number}")
    processes = target.processes()
    used = cpu_s(processes) - cpu_before
    return Run(number / accepted_s, number / delivered_s, used / number * 1000, peak_mb(processes))


def calibrate(target: targets.Target, file: Path, sessions: int, secs: float, counter: Path) -> int:
    number = sessions * 2
    run = measure(target, file, sessions, number, counter)
    rate = run.delivered_per_s if target.relays else run.accepted_per_s
    return max(sessions * 2, int(rate * secs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="4k,50k,1m")
    parser.add_argument("--sessions", default="10")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--secs", type=float, default=3.0)
    parser.add_argument("--only", default="", help="mailward, postfix, bare, rspamd, haraka, amavis")
    parser.add_argument("--chunking", action="store_true", help="let the next hop offer CHUNKING, as most do")
    parser.add_argument("--peers", action="store_true", help="beside the filtering peers that are installed")
    options = parser.parse_args()
    usual = ["mailward", "postfix", "bare", *(peers.available() if options.peers else ())]
    wanted = options.only.split(",") if options.only else usual
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailward-bench-")))
        folder.chmod(0o755)
        files = messages.write_all(folder / "messages", options.sizes.split(","))
        counter, port = folder / "counter", targets.free_port()
        sink = [sys.executable, str(targets.HERE / "sink.py"), str(port), str(counter)]
        sink += ["chunking"] if options.chunking else []
        stack.enter_context(targets.running("sink", sink, port, False, folder / "sink.log"))
        makers = {
            "mailward": lambda: targets.mailward(folder / "mailward", port),
            "postfix": lambda: targets.postfix(folder / "postfix", port),
            "bare": lambda: targets.bare(folder / "bare"),
            **{name: partial(make, folder / name, port) for name, make in peers.PEERS.items()},
        }
        started = [stack.enter_context(makers[name]()) for name in wanted]
        table = Table("size", "sessions", "target", "accepted/s", "delivered/s", "CPU s/1000", "peak MB")
        for sessions in map(int, options.sessions.split(",")):
            for size, file in files.items():
                numbers = {t.name: calibrate(t, file, sessions, options.secs, counter) for t in started}
                runs: dict[str, list[Run]] = {t.name: [] for t in started}
                for _ in range(options.rounds):
                    for target in started:
                        runs[target.name].append(measure(target, file, sessions, numbers[target.name], counter))
                for target in started:
                    table.add_row(size, str(sessions), *row(target, runs[target.name]))
                table.add_section()
        Console(width=120).print(table)


def row(target: targets.Target, runs: list[Run]) -> list[str]:
    def median(name: str) -> float:
        return statistics.median(getattr(run, name) for run in runs)

    delivered = f"{median('delivered_per_s'):,.0f}" if target.relays else "-"
    return [
        target.name,
        f"{median('accepted_per_s'):,.0f}",
        delivered,
        f"{median('cpu_s_per_1000'):.2f}",
        f"{median('peak_mb'):.0f}",
    ]


if __name__ == "__main__":
    main()
