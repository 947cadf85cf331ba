"""The code of the guide for plugin authors is loaded, configured and run."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailward import Address, Engine, Envelope, Hold, Recipient
from mailward.engine.config import parse_config

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = _BLOCK.findall(GUIDE)
PYTHON = {text.splitlines()[0].removeprefix("# "): text for language, text in BLOCKS if language == "python"}
PLUGINS = [name for name in PYTHON if not name.startswith("test_")]
TOML = [text for language, text in BLOCKS if language == "toml" and not text.startswith("# pyproject")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in PYTHON.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_every_block_of_code_names_its_file() -> None:
    assert all(re.fullmatch(r"\w+\.py", name) for name in PYTHON)
    assert len(PYTHON) == sum(language == "python" for language, _ in BLOCKS)


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_of_the_guide_works(folder: Path, name: str) -> None:
    engine = Engine(parse_config(f'plugins = ["./{name}"]', "guide", folder))

    async def main() -> None:
        async with engine:
            await engine.judge(Envelope(), b"Subject: x\r\n\r\nhello\r\n")
            assert all("raised" not in check.detail for check in await engine.check())

    asyncio.run(main())
    assert any(instance.implementations for instance in engine.policies.instances)


@pytest.mark.parametrize("number", range(len(TOML)))
def test_a_configuration_of_the_guide_works(folder: Path, number: int) -> None:
    Engine(parse_config(TOML[number], "guide", folder))


def test_the_smallest_plugin_of_the_guide_does_what_it_says(folder: Path) -> None:
    engine = Engine(parse_config('plugins = ["./no_payroll.py"]', "guide", folder))
    raw = b'MIME-Version: 1.0\r\nContent-Type: text/csv; name="PAYROLL.csv"\r\n\r\n1\r\n'
    to = Recipient(Address.parse("a@b.example"), local=False)
    assert asyncio.run(engine.judge(Envelope(recipients=(to,)), raw)).copies[0].action == Hold()


def test_the_tests_of_the_guide_pass(folder: Path) -> None:
    # a folder of its own: without one it closes the folder above this run's, which other users may be working in
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/tmp", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
