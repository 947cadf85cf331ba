"""``mailward serve`` from start to end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_the_gateway_says_where_it_listens_and_ends_in_good_order(tmp_path: Path) -> None:
    (tmp_path / "mailward.toml").write_text("plugins = []\n[gateway]\nlisten = ['127.0.0.1:0']\n[scan]\nworkers = 1\n")
    command = [sys.executable, "-m", "mailward.cli.main", "serve", "-c", "mailward.toml"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "ready" in line)
        assert "127.0.0.1:" in line
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    assert process.returncode == 0
    assert out == ""


def test_a_plugin_that_is_not_installed_keeps_it_from_starting(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mailward.toml").write_text("plugins = ['antivirsu']\n[gateway]\nlisten = ['127.0.0.1:0']\n")
    done = run("serve", "-c", "mailward.toml")
    assert done.status == 2
    assert "plugins: plugin 'antivirsu' is not installed; did you mean 'antivirus'?" in done.err


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ('["127.0.0.1:²"]', "gateway.listen = '127.0.0.1:²': is not an address and a port"),
        ('["127.0.0.1:2525", "127.0.0.1:2525"]', "is an address that gateway.listen has too"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_a_wrong_configuration(
    run: Run, tmp_path: Path, listen: str, said: str
) -> None:
    (tmp_path / "mailward.toml").write_text(f"plugins = []\n[gateway]\nlisten = {listen}\n")
    done = run("serve", "-c", "mailward.toml")
    assert done.status == 2
    assert said in done.err
    assert "Traceback" not in done.err
