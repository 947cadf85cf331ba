"""docs/architecture.md names what there is: every package, every module of the gateway, and no module that is gone."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "core" / "src" / "mailward"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:\w+/)+\w+\.py)\b", PAGE)))


def test_every_package_of_the_core_has_a_row() -> None:
    packages = {path.parent.name for path in CORE.glob("*/__init__.py")}
    assert [name for name in sorted(packages) if f"| `{name}` |" not in PAGE] == []


def test_every_module_of_the_gateway_has_a_row() -> None:
    modules = {path.stem for path in (CORE / "gateway").glob("*.py")} - {"__init__"}
    words = set(re.findall(r"`(\w+)`", PAGE))
    assert sorted(modules - words) == []
    tables = PAGE.partition("| module of `gateway` |")[2].partition("\n## ")[0]
    rows = "".join(line for line in tables.splitlines() if line.startswith("|") and "module of" not in line)
    assert sorted(set(re.findall(r"`(\w+)`", rows)) - modules) == []


def test_every_library_that_is_needed_has_a_row() -> None:
    needed: set[str] = set()
    for file in (ROOT / "core" / "pyproject.toml", *(ROOT / "plugins").glob("*/pyproject.toml")):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        for one in (*project["dependencies"], *chain(*project.get("optional-dependencies", {}).values())):
            needed.update(re.findall(r"^[\w.-]+", one))
    rows = PAGE.partition("\n## Dependencies\n")[2].partition("\n\nEach is pinned")[0]
    told = set(re.findall(r"[\w.-]+", " ".join(re.findall(r"^\| ([^|]+) \|", rows, re.MULTILINE))))
    assert {"attrs", "yara-x"} <= needed
    assert sorted(name for name in needed - told if not name.startswith("mailward")) == []


@pytest.mark.parametrize("path", NAMED)
def test_a_module_that_is_named_by_its_path_exists(path: str) -> None:
    assert (CORE / path).is_file() or (ROOT / path).is_file()
