"""The section about scans on the compatibility page, and the unit file: what they point at exists."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "compatibility.md").read_text("utf-8")
SECTION = PAGE.partition("\n## Scan processes and scan servers\n")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in SECTION.splitlines()
    if re.match(r"\| [A-Z]{3}-", line)
]
UNIT = ROOT / "contrib" / "mailward-scan-server.service"
EXPECTED = {
    *(f"IMA-SRV-{number:02}" for number in (1, 2, 3, 4, 5, 6, 8)),
    *("IMA-ALR-06", "IMA-LOG-03", "KAV-LIM-01", "KAV-SCN-05", "SAV-Q-04"),
}


def test_every_id_has_a_row() -> None:
    assert {row[0] for row in ROWS} == EXPECTED


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_points_at_modules_and_tests_that_there_are(row: list[str]) -> None:
    modules, tests = (re.findall(r"`([^`]+)`", cell) for cell in row[2:4])
    assert modules
    assert all(importlib.util.find_spec(module) is not None for module in modules)
    assert tests
    for test in tests:
        file, _, function = test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", text, re.MULTILINE), f"no {test}"


def test_the_unit_runs_the_command_and_systemd_understands_it(tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert "ExecStart=/usr/bin/mailward scan-server -c " in text
    if shutil.which("systemd-analyze") is None:
        pytest.skip("not installed: systemd-analyze")
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("/usr/bin/mailward", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    if "Failed to" in done.stderr and "bus" in done.stderr:
        pytest.skip(f"no system to verify against: {done.stderr}")
    assert UNIT.name not in done.stderr
