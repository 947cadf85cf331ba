"""The operations guide and the files in contrib are true to the program."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import attrs
import pytest

from mailward.cli.ctl import ctl
from mailward.engine.core_settings import CoreSettings
from mailward.gateway.tell import told_kinds
from mailward.supervisor.commands import SWITCHES, VERBS
from mailward.supervisor.controlfiles import FILES
from mailward.values import event as events

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ALARMS = PAGE.partition("\n## Alarms\n")[2].partition("\n## ")[0]
UNIT = ROOT / "contrib" / "mailward.service"


def test_every_event_of_the_program_is_explained_and_every_one_explained_exists() -> None:
    explained = set(re.findall(r"^\| `(\w+)`", ALARMS, re.MULTILINE))
    assert {kind.name for kind in told_kinds()} | {"stopped"} <= explained
    known = {kind.name for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)}
    assert explained <= known


def test_every_setting_that_is_named_exists() -> None:
    sections = attrs.fields_dict(attrs.resolve_types(CoreSettings))
    named = re.findall(r"`(process|health|control|gateway|scan|delivery|spool)\.(\w+)(?: = \S+)?`", PAGE)
    assert len(named) > 20
    for section, key in named:
        if (section, key) == ("control", "sock"):
            continue  # a file
        kind = sections[section].type
        assert kind is not None
        assert key in attrs.fields_dict(kind), f"{section}.{key}"


def test_every_verb_and_control_file_is_told_of() -> None:
    for verb in VERBS:
        words = verb.split("-")
        assert f"ctl {words[0]}" in PAGE, verb
    for name in FILES:
        assert f"`{name}`" in PAGE
    commands = set(ctl.commands)
    assert commands == {verb.split("-")[0] for verb in VERBS}
    assert set(FILES.values()) <= set(VERBS)
    assert {switch for switch, _ in SWITCHES.values()} == {"deliver", "accept", "receive", "scan", "send"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="not installed: systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "mailward.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/mailward", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    if "Failed to" in done.stderr and "bus" in done.stderr:
        pytest.skip(f"no system to verify against: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert "mailward.service" not in done.stderr


def test_the_unit_and_the_image_run_commands_that_exist() -> None:
    for text in (UNIT.read_text(), (ROOT / "contrib" / "Containerfile").read_text()):
        assert re.search(r'mailward"?,? "?serve', text)
        for verb in re.findall(r'mailward"?,? "?ctl"?,? "?(\w+)', text):
            assert verb in ctl.commands


ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in (ROOT / "docs" / "compatibility.md")
    .read_text(encoding="utf-8")
    .partition("\n## Program\n")[2]
    .partition("\n## ")[0]
    .splitlines()
    if re.match(r"\| [A-Z]{3}-", line)
]


def test_every_id_of_the_program_has_a_row() -> None:
    alarms = {f"SAV-ALR-{number:02}" for number in (1, 2, 3, 4, 5, 7, 10)}
    control = {"SAV-DLV-01", "SAV-DLV-02", "SAV-DLV-06", "KAV-MGT-01", "KAV-MGT-02", "KAV-MGT-03"}
    rest = {"SMS-SET-01", "SMS-SET-07", "KAV-CLI-01", "KAV-CLI-02", "IMA-SRV-09"}
    assert {row[0] for row in ROWS} == alarms | control | rest


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_a_row_points_at_modules_and_tests_that_there_are(row: list[str]) -> None:
    for module in re.findall(r"`([^`]+)`", row[2]):
        assert importlib.util.find_spec(module) is not None, module
    tests = re.findall(r"`([^`]+)::(\w+)`", row[3])
    assert tests
    for file, name in tests:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), name
