"""The section about the relay on the compatibility page: every ID is there, and what it points at exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "docs" / "compatibility.md").read_text("utf-8").partition("\n## Relay\n")[2].partition("\n## ")[0]
ROWS = {
    cells[0]: cells
    for line in SECTION.splitlines()
    if re.match(r"\| [A-Z]{3}-", line)
    for cells in [[cell.strip() for cell in line.strip("| ").split(" | ")]]
}
EXPECTED = {
    *(f"SAV-RLY-{number:02}" for number in range(1, 7)),
    *(f"SAV-RTE-{number:02}" for number in range(1, 8)),
    *(f"SMS-ROUTE-{number:02}" for number in range(1, 3)),
    *(f"SMS-RELAY-{number:02}" for number in range(1, 3)),
    *(f"KAV-ACC-{number:02}" for number in (1, 2, 3, 5)),
    *(f"SAV-DLV-{number:02}" for number in range(3, 6)),
    *("KAV-RTE-01", "KAV-DSN-01", "KAV-TMO-01", "KAV-ARC-01", "KAV-QUE-02", "KAV-QUE-03", "KAV-LIM-01"),
}


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_id_of_the_plugin_has_a_row() -> None:
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
