"""The program as a user runs it: a child process in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen


@frozen
class Ran:
    """What a run of the program left."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, read as JSON."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run("scan", "x.eml", stdin=b"…")`` in the test's folder, with an environment that says nothing of Mailward."""

    def start(*arguments: str | Path, stdin: bytes = b"", **environment: str) -> Ran:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILWARD_")}
        done = subprocess.run(
            [sys.executable, "-m", "mailward.cli.main", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env={**clean, **environment},
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return start
