"""The operations guide and the files in contrib are true to the program."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from mailward.cli.ctl import ctl
from mailward.cli.main import COMMANDS
from mailward.engine.core_settings import CoreSettings
from mailward.supervisor.commands import SWITCHES, VERBS
from mailward.supervisor.controlfiles import FILES
from mailward.values import event as events

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ALARMS = PAGE.partition("\n## Alarms\n")[2].partition("\n## ")[0]
RUN_BY = {
    ROOT / "contrib" / "mailward.service": "serve",
    ROOT / "contrib" / "mailward-scan-server.service": "scan-server",
    ROOT / "contrib" / "Containerfile": "serve",
}
"""The files in contrib that run the program, each with the command that it runs."""
COURSE_OF_THINGS = {"refused", "judged", "delivered", "notified", "reordered"}
"""Events that are no alarms: there is nothing to do about them."""
UNITS = [path for path in RUN_BY if path.suffix == ".service"]


def test_every_event_of_the_program_is_explained_and_every_one_explained_exists() -> None:
    explained = set(re.findall(r"^\| `(\w+)`", ALARMS, re.MULTILINE))
    known = {kind.name for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)}
    assert explained == known - {"event"} - COURSE_OF_THINGS


def said(tree: ast.Module) -> Iterator[str]:
    """The texts that a module logs as warnings and errors."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="warning" | "error" | "exception"), args=[ast.Constant(value=str(text)), *_]
            ):
                yield text


def test_every_warning_of_the_core_that_is_no_event_is_explained() -> None:
    section = PAGE.partition("\n## Other lines of the log\n")[2].partition("\n## ")[0]
    rows = " ".join(re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE))
    told = set(re.findall("`(.*?)`", rows))
    sources = (ROOT / "core" / "src" / "mailward").rglob("*.py")
    assert told == {text for path in sources for text in said(ast.parse(path.read_text(encoding="utf-8")))}


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
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_the_unit(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/usr/bin/mailward", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    if "Failed to" in done.stderr and "bus" in done.stderr:
        pytest.skip(f"no system to verify against: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr


def test_the_units_and_the_image_run_commands_that_exist() -> None:
    for path, command in RUN_BY.items():
        assert command in COMMANDS
        assert re.search(rf'mailward"?,? "?{command}', path.read_text()), path
        for verb in re.findall(r'mailward"?,? "?ctl"?,? "?(\w+)', path.read_text()):
            assert verb in ctl.commands
