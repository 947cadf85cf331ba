"""Killed at any moment: nothing accepted is lost, and only attempts in progress are repeated."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from mailward.spool.admin import listing

CHILD = Path(__file__).with_name("crash_child.py")


def _start(root: Path, log: Path, mode: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, str(CHILD), str(root), str(log), mode], env=environment)


def _kill_at_random(root: Path, log: Path) -> None:
    ready = log.read_text().count("ready") if log.exists() else 0
    with _start(root, log, "receive") as child:
        end = time.monotonic() + 20
        while not log.exists() or log.read_text().count("ready") == ready:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(random.uniform(0.1, 0.5))
        child.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("round_number", range(3))
def test_killed_and_restarted_everything_accepted_arrives(tmp_path: Path, round_number: int) -> None:
    root, log = tmp_path / "state", tmp_path / "log"
    for _ in range(3):
        _kill_at_random(root, log)
    with _start(root, log, "drain") as child:
        assert child.wait(30) == 0
    accepted: dict[str, list[str]] = {}
    arrived: Counter[tuple[str, str]] = Counter()
    starts = 0
    for line in log.read_text().splitlines():
        verb, *rest = line.split()
        if verb == "accepted":
            accepted[rest[0]] = rest[1:]
        elif verb == "delivered":
            arrived[rest[0], rest[1]] += 1
        elif verb == "ready":
            starts += 1
    assert accepted
    assert starts == 4
    missing = [(one, name) for one, names in accepted.items() for name in names if not arrived[one, name]]
    assert missing == []
    assert all(count <= starts for count in arrived.values())
    twice = [key for key, count in arrived.items() if count > 1]
    # At most 20 attempts of up to 3 recipients were in progress at each of the 3 kills.
    assert len(twice) <= 3 * 20 * 3
    assert listing(root) == []
    assert [path for path in root.glob("spool/0/*/*") if path.parent.name != "journal"] == []
