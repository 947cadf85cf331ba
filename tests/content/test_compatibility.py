"""The section about content on the compatibility page: every ID is there, and what it points at exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (
    (ROOT / "docs" / "compatibility.md")
    .read_text(encoding="utf-8")
    .partition("\n## Content\n")[2]
    .partition("\n## ")[0]
)
ROWS = {
    cells[0]: cells
    for line in SECTION.splitlines()
    if re.match(r"\| [A-Z]{3}-", line)
    for cells in [[cell.strip() for cell in line.strip("| ").split(" | ")]]
}
EXPECTED = {
    *(f"SAV-BLK-{number:02}" for number in range(1, 8)),
    *(f"SMS-CONT-{number:02}" for number in range(1, 7)),
    *(f"SMS-RULE-{number:02}" for number in range(1, 7)),
    *("SMS-SET-05", "KAV-SCN-06", "SAV-AV-08", "SMS-SCAN-02"),
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
def test_a_row_points_at_tests_that_are_named_by_its_id(identifier: str) -> None:
    files = named(ROWS[identifier][3])
    assert files
    word = identifier.lower().replace("-", "_")
    for file in files:
        assert "def test_" in (ROOT / file).read_text(encoding="utf-8")
    texts = [(ROOT / file).read_text(encoding="utf-8") for file in files]
    assert any(re.search(rf"^def test_\w*{word}", text, re.MULTILINE) for text in texts), f"no test of {identifier}"
