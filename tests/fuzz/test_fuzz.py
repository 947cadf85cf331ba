"""Every fuzz target for a few seconds: what the fuzzer finds in longer runs by hand belongs into tests of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECONDS = 3
TARGETS = ["tree", "headers", "names", "edits", "zip", "binhex", "archives"]


@pytest.fixture(scope="module")
def fuzzer() -> list[str]:
    """The command of the fuzzer, where it is installed."""
    if importlib.util.find_spec("atheris") is None:
        required = os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1"
        (pytest.fail if required else pytest.skip)("atheris, the fuzzer, is not installed")
    return [sys.executable, str(HERE / "run.py")]


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_finds_nothing(fuzzer: list[str], target: str, tmp_path: Path) -> None:
    options = ["--seconds", str(SECONDS), "--keep", str(tmp_path), target]
    done = subprocess.run([*fuzzer, *options], capture_output=True, text=True, errors="replace")
    found = {file.name: file.read_bytes()[:2000] for file in tmp_path.iterdir()}
    assert done.returncode == 0, f"{found}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    assert not found


def test_every_target_is_listed(fuzzer: list[str]) -> None:
    done = subprocess.run([*fuzzer, "--list"], capture_output=True, text=True, check=True)
    assert set(TARGETS) <= set(done.stdout.split())
