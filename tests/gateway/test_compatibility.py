"""The section about receiving on the compatibility page: every ID is there, and what it points at exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "docs" / "compatibility.md").read_text("utf-8").partition("\n## Receiving\n")[2].partition("\n## ")[0]
ROWS = {
    cells[0]: cells
    for line in SECTION.splitlines()
    if re.match(r"\| [A-Z]{3}-", line)
    for cells in [[cell.strip() for cell in line.strip("| ").split(" | ")]]
}
EXPECTED = {
    *("SAV-CON-01", "SAV-CON-02", "SAV-DIA-01", "SAV-DIA-02", "SAV-ALR-11"),
    *("KAV-ACC-04", "KAV-LIM-01", "KAV-LIM-02", "KAV-LIM-03", "KAV-TMO-01"),
}


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_id_has_a_row() -> None:
    assert ROWS.keys() == EXPECTED


@pytest.mark.parametrize("identifier", sorted(EXPECTED))
def test_a_row_points_at_modules_that_there_are(identifier: str) -> None:
    modules = named(ROWS[identifier][2])
    assert modules
    assert all(importlib.util.find_spec(module) is not None for module in modules)


@pytest.mark.parametrize("identifier", sorted(EXPECTED))
def test_a_row_points_at_tests_that_there_are(identifier: str) -> None:
    tests = named(ROWS[identifier][3])
    assert tests
    for test in tests:
        file, _, function = test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", text, re.MULTILINE), f"no {test}"
