"""The loss test, a short one: everything is killed, stopped, cut and filled, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SOAK = Path(__file__).parents[2] / "bench" / "soak.py"


def test_nothing_acknowledged_is_lost_whatever_happens(record_property: Callable[[str, object], None]) -> None:
    command = [sys.executable, str(SOAK), "--minutes", "0.4", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.stdout.startswith("{"), done.stderr[-3000:]
    report = json.loads(done.stdout)
    record_property("soak", report)
    assert report["accepted"] > 0
    assert not report["lost"]
    assert not report["damaged"]
    assert report["doubled"] <= report["doubles_allowed"]
    assert report["faults"]
    assert done.returncode == 0
