"""``mailward plugins``: what is enabled, what is installed, what can be set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "rules.py").write_text(
        "from attrs import frozen\nfrom mailward import Plugin, Secret, hookimpl, setting\n\n"
        'class Rules(Plugin):\n    """House rules."""\n    version = "7"\n\n'
        "    @frozen\n    class Settings:\n"
        '        key: Secret = setting(Secret("hunter2"), help="the key")\n\n'
        "    @hookimpl\n    def scan_part(self, part):\n        pass\n"
    )
    path = tmp_path / "mailward.toml"
    path.write_text("plugins = ['relay', './rules.py', 'nowhere']\n[rules]\nshadow = true\non_failure = 'ignore'\n")
    return path


def test_enabled_ones_are_listed_in_order_and_installed_ones_after(run: Run, config: Path) -> None:
    rows = run("plugins", "-c", config, "--json").json
    assert [(row["name"], row["enabled"]) for row in rows][:3] == [("relay", True), ("rules", True), ("nowhere", True)]
    assert ("antivirus", False) in [(row["name"], row["enabled"]) for row in rows]
    rules = rows[1]
    assert (rules["version"], rules["hooks"], rules["on_failure"], rules["shadow"]) == (
        "7",
        ["scan_part"],
        "ignore",
        True,
    )
    assert "is not installed" in rows[2]["problem"]


def test_the_list_for_people(run: Run, config: Path) -> None:
    done = run("plugins", "-c", config)
    assert done.status == 0
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert "enabled" in lines["relay"]
    assert "route, deliver" in lines["relay"]
    assert "shadow" in lines["rules"]
    assert "did you mean" in lines["nowhere"] or "installed:" in lines["nowhere"]


def test_one_plugin_with_its_settings(run: Run) -> None:
    done = run("plugins", "antivirus")
    assert done.status == 0
    for text in ("antivirus 0", "Scans every part", "[antivirus]", "eicar", "true or false", "on_failure", "shadow"):
        assert text in done.out


def test_a_file_by_its_section_or_its_path(run: Run, config: Path) -> None:
    for name in ("rules", "./rules.py"):
        (row,) = run("plugins", "-c", config, name, "--json").json
        assert (row["name"], row["enabled"], row["summary"]) == ("rules", True, "House rules.")


def test_secrets_are_not_shown(run: Run, config: Path) -> None:
    assert "hunter2" not in run("plugins", "-c", config, "rules").out


def test_a_plugin_that_is_not_there_is_status_1(run: Run) -> None:
    done = run("plugins", "antivirsu")
    assert done.status == 1
    assert "did you mean 'antivirus'?" in done.err
