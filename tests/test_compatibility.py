"""The compatibility page: each section has a row for every ID it answers for, and what a row points at exists."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parent.parent


def numbered(prefix: str, *numbers: int) -> set[str]:
    return {f"{prefix}-{number:02}" for number in numbers}


SECTIONS: dict[str, set[str]] = {
    "Receiving": numbered("SAV-CON", 1, 2)
    | numbered("SAV-DIA", 1, 2)
    | numbered("SMS-DIAG", 1, 2)
    | numbered("KAV-LIM", 1, 2, 3, 4)
    | numbered("KAV-PIPE", 4, 5, 7, 8)
    | {"SAV-ALR-11", "KAV-ACC-04", "KAV-TMO-01"},
    "Relay": numbered("SAV-RLY", 1, 2, 3, 4, 5, 6)
    | numbered("SAV-RTE", 1, 2, 3, 4, 5, 6, 7)
    | numbered("SMS-ROUTE", 1, 2)
    | numbered("SMS-RELAY", 1, 2)
    | numbered("KAV-ACC", 1, 2, 3, 5)
    | numbered("SAV-DLV", 3, 4, 5)
    | numbered("KAV-QUE", 2, 3)
    | {"KAV-RTE-01", "KAV-DSN-01", "KAV-TMO-01", "KAV-ARC-01", "KAV-LIM-01", "KAV-PIPE-06", "SMS-SET-12"},
    "Engine": numbered("SAV-PIPE", 1, 2, 3)
    | numbered("SMS-FLOW", 1, 10)
    | numbered("KAV-PIPE", 1, 2, 3)
    | numbered("KAV-GRP", 1, 2, 3, 4, 6, 7),
    "Content": numbered("SAV-BLK", 1, 2, 3, 4, 5, 6, 7)
    | numbered("SMS-CONT", 1, 2, 3, 4, 5, 6)
    | numbered("SMS-RULE", 1, 2, 3, 4, 5, 6)
    | {"SMS-SET-05", "KAV-SCN-06", "SAV-AV-08", "SMS-SCAN-02"},
    "Antivirus": numbered("SAV-AV", 1, 2, 3, 4, 5, 6, 7)
    | numbered("SMS-AV", 1, 2, 3, 4, 5, 6)
    | numbered("SAV-QTN", 1, 2, 3)
    | numbered("KAV-SCN", 1, 2, 3, 4, 7, 8)
    | numbered("KAV-ACT", 1, 2, 3, 4, 5, 6)
    | numbered("KAV-QB", 1, 2, 3)
    | numbered("KAV-ICH", 1, 2)
    | numbered("IMA-UPD", 1, 2)
    | numbered("IMA-EXT", 1, 2, 3, 4)
    | numbered("IMA-ACT", 1, 2, 3, 4, 5, 6, 7)
    | {"IMA-SRV-07", "IMA-ALR-07"}
    | {"SMS-SCAN-01", "SAV-OUT-01", "KAV-TST-02", "SAV-DEF-06", "KAV-UPD-04"},
    "Queue": numbered("SAV-Q", 1, 2, 3, 4, 5, 6)
    | numbered("SMS-FLOW", 2, 3, 4, 5, 6, 7, 9)
    | numbered("IMA-QUE", 1, 2, 3)
    | {"SAV-DLV-01", "SAV-CON-03", "SAV-PIPE-04", "SAV-PIPE-06", "KAV-QUE-01", "KAV-MGT-01", "KAV-GRP-05"},
    "Program": numbered("SAV-ALR", 1, 2, 3, 4, 5, 7, 10)
    | numbered("SAV-DLV", 1, 2, 6)
    | numbered("KAV-MGT", 1, 2, 3)
    | numbered("KAV-CLI", 1, 2)
    | numbered("SMS-SET", 1, 7)
    | {"IMA-SRV-09", "SMS-FLOW-08", "SAV-PIPE-05", "KAV-TST-01"},
    "Scan processes and scan servers": numbered("IMA-SRV", 1, 2, 3, 4, 5, 6, 8, 10)
    | {"IMA-ALR-06", "IMA-LOG-03", "KAV-LIM-01", "KAV-SCN-05", "SAV-Q-04"},
}
"""The IDs that each section of the page answers for."""


@frozen
class Row:
    """One row of the page: what became of one function, which several specifications may name."""

    section: str
    ids: tuple[str, ...]
    modules: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.section}: {', '.join(self.ids)}"


def named(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


def rows() -> Iterator[Row]:
    section = ""
    for line in (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif re.match(r"\| [A-Z]{3}-", line):
            ids, _, modules, tests, *_ = (cell.strip() for cell in line.strip("| ").split(" | "))
            yield Row(section, tuple(ids.split(", ")), named(modules), named(tests))


ROWS = tuple(rows())


@cache
def functions(file: str) -> tuple[str, ...]:
    """The names of the tests in a file."""
    return tuple(re.findall(r"^(?:async )?def (test_\w+)\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE))


def test_the_page_has_these_sections() -> None:
    assert {row.section for row in ROWS} == SECTIONS.keys()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_id_of_a_section_has_one_row(section: str) -> None:
    found = [one for row in ROWS if row.section == section for one in row.ids]
    assert sorted(found) == sorted(SECTIONS[section])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_points_at_modules_that_there_are(row: Row) -> None:
    assert row.modules
    for module in row.modules:
        assert importlib.util.find_spec(module) is not None, module


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_points_at_tests_that_there_are(row: Row) -> None:
    """A test is pointed at by its name; of files, one at least has a test that is named by an ID of the row."""
    assert row.tests
    files = [one for one in row.tests if "::" not in one]
    for test in set(row.tests) - set(files):
        file, _, function = test.partition("::")
        assert function in functions(file), test
    words = {one.lower().replace("-", "_") for one in row.ids}
    for file in files:
        assert functions(file), file
    assert not files or any(word in test for file in files for test in functions(file) for word in words), row.name
