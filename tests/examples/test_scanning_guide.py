"""The commands and configurations of docs/scanning.md are run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailward.engine.config import parse_config
from mailward.engine.engine import Engine
from mailward.scan.codes import CODES
from mailward.scan.remote.server import Identity
from mailward.scan.remote.servers import Servers

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "scanning.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = _BLOCK.findall(GUIDE)
TOML = [text for language, text in BLOCKS if language == "toml"]
SHELL = [text for language, text in BLOCKS if language == "sh"]


@pytest.fixture
def folder(tmp_path: Path, require: Callable[..., None]) -> Path:
    """A folder with the key and the certificate that the guide has one make."""
    require("openssl")
    subprocess.run(["sh", "-euc", SHELL[0]], cwd=tmp_path, check=True, capture_output=True)
    for text in TOML[1:]:
        (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)
    return tmp_path


def test_every_configuration_of_the_guide_is_one(tmp_path: Path) -> None:
    for text in TOML:
        parse_config(text, "guide", tmp_path)


def test_server_and_gateway_of_the_guide_work_together(folder: Path) -> None:
    program = (sys.executable, "-m", "mailward.cli.main")
    server = (folder / "scan-server.toml").read_text().replace("7777", "0")
    (folder / "scan-server.toml").write_text(server)
    Identity(parse_config(server, "guide", folder))
    assert Servers.of(Engine(parse_config((folder / "mailward.toml").read_text(), "guide", folder))) is not None
    log = folder / "log"
    with log.open("w") as file:
        running = subprocess.Popen([*program, "scan-server", "-c", "scan-server.toml"], cwd=folder, stderr=file)
    try:
        address = _listening(log)
        for command in SHELL[1].splitlines()[1:]:
            words = command.replace("127.0.0.1:7777", address).split()[1:]
            done = subprocess.run([*program, *words], cwd=folder, capture_output=True, text=True, check=True)
            assert "judged" in done.stdout
    finally:
        running.terminate()
    assert running.wait() == 0


def _listening(log: Path) -> str:
    for _ in range(6000):
        found = re.search(r"ready.*(127\.0\.0\.1:\d+)", log.read_text())
        if found is not None:
            return found[1]
        time.sleep(0.01)
    raise AssertionError(log.read_text())


def test_a_server_without_key_or_certificate_does_not_start(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parent.parent.parent / "examples" / "minimal.toml", tmp_path / "mailward.toml")
    command = [sys.executable, "-m", "mailward.cli.main", "scan-server", "-c", "mailward.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "scan_server.certificate: is not set" in done.stderr


def test_the_table_of_codes_is_that_of_the_program() -> None:
    rows = re.findall(r"^\| (\d) \| (`.*?`) \|", GUIDE, re.MULTILINE)
    table = {word: int(number) for number, words in rows for word in re.findall(r"`(\w+)`", words)}
    assert table == CODES
