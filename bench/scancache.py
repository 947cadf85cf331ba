"""What a kept answer costs: ``python bench/scancache.py``; beside hashing, and beside a pass over byte patterns."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from mailward import Message
from mailward_antivirus.cache import ScanCache
from mailward_antivirus.patterns import PatternSet, parse_line
from mailward_antivirus.patterns.executable import HEAD_BYTES, layout_of
from mailward_antivirus.patterns.place import Surface
from mailward_antivirus.report import Report

ROUNDS = 2000


def timed(work: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Median and 99th percentile in microseconds."""
    taken = []
    for _ in range(rounds):
        started = perf_counter()
        work()
        taken.append((perf_counter() - started) * 1e6)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def show(name: str, figures: tuple[float, float]) -> None:
    """One line."""
    print(f"{name:<44} median {figures[0]:>10.1f} µs   99 % {figures[1]:>10.1f} µs")


def part_of(content: bytes) -> Message:
    """A message that holds ``content``."""
    return Message.from_bytes(b"Content-Transfer-Encoding: binary\r\n\r\n" + content)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        cache = ScanCache.open(Path(folder) / "cache", 16 * 1024 * 1024)
        for size in (4096, 50_000, 1_000_000):
            content = os.urandom(size)
            digest = part_of(content).root.digest("sha256")
            cache.put(cache.key(digest, "clamd", "ClamAV 1.4.6/27000"), Report())

            def hit(digest: str = digest) -> None:
                assert cache.get(cache.key(digest, "clamd", "ClamAV 1.4.6/27000")) is not None

            def hash_too(content: bytes = content) -> None:
                found = part_of(content).root.digest("sha256")
                assert cache.get(cache.key(found, "clamd", "ClamAV 1.4.6/27000")) is not None

            show(f"hit, {size} bytes, hash known", timed(hit))
            show(f"hit, {size} bytes, message read and hashed", timed(hash_too, 300))
        show("miss", timed(lambda: cache.get(cache.key(os.urandom(8).hex(), "clamd", "1"))))
    lines = [f"T.{n}:0:*:{os.urandom(12).hex()}*{os.urandom(12).hex()}" for n in range(5000)]
    patterns = PatternSet.of(map(parse_line, lines))
    content = os.urandom(1_000_000)
    surface = Surface(len(content), str, lambda: layout_of(content[:HEAD_BYTES]))
    show("5,000 byte patterns over 1,000,000 bytes", timed(lambda: patterns.find([content], surface), 20))


if __name__ == "__main__":
    main()
