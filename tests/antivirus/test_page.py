"""The page about the plugin: its examples are read as configuration, every setting has one, its tables are tried."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from mailward import Engine, Kind
from mailward_antivirus import AntivirusSettings
from mailward_antivirus.command_settings import CommandSettings

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "antivirus.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SHOWN = "\n".join((*EXAMPLES, (DOCS / "heuristics.md").read_text(encoding="utf-8")))


def prepared(folder: Path) -> None:
    """What the examples point at."""
    (folder / "lists").mkdir()
    (folder / "rules").mkdir()
    for name in ("own.hdb", "feed.hsb", "own.ndb"):
        (folder / "lists" / name).write_text("")
    (folder / "rules/own.yar").write_text("rule Own { condition: false }\n")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.strip().splitlines()[1][:40])
def test_an_example_is_a_configuration(example: str, tmp_path: Path) -> None:
    prepared(tmp_path)
    path = tmp_path / "mailward.toml"
    head = "" if example.startswith("plugins") else 'plugins = ["relay", "archives", "content", "antivirus"]\n'
    path.write_text(head + example)
    assert Engine.from_config(path).policies.default.instances


@pytest.mark.parametrize("name", [f.name for kind in (AntivirusSettings, CommandSettings) for f in attrs.fields(kind)])
def test_every_setting_has_an_example(name: str) -> None:
    assert re.search(rf"^{name} = |^\[\[antivirus\.{name}\]\]", SHOWN, re.MULTILINE), name


def rows(heading: str) -> list[tuple[str, str]]:
    table = PAGE.partition(f"\n{heading}\n")[2].partition("\n\n")[0]
    assert table, heading
    return [tuple(cell.strip() for cell in row.strip("|").split(" | "))[:2] for row in table.split("\n")[1:]]  # type: ignore[misc]


_KINDS = {"infected": Kind.INFECTED, "suspicious": Kind.SUSPICIOUS, "unchecked": Kind.UNCHECKED}


@pytest.mark.parametrize(("prefix", "counts"), rows("| prefix | counts as | what the defaults do |"))
def test_the_prefixes_of_the_test_file(mails: Any, judge: Any, prefix: str, counts: str) -> None:
    for one in prefix.replace("none", "").replace("`", "").split(","):
        copy = judge(mails.attached(one.strip().encode() + mails.eicar))
        (finding,) = [f for f in copy.findings if f.plugin == "antivirus" and f.kind is not Kind.NOTE]
        assert finding.kind is _KINDS[counts.split()[0]]


def test_every_event_that_is_emitted_is_on_the_page() -> None:
    source = "".join(path.read_text() for path in (DOCS.parent / "plugins/antivirus/src").rglob("*.py"))
    for rule in re.findall(r'alerts\.(?:tell|emit)\(\s*"(\w+)"', source):
        assert f"`{rule}`" in PAGE.partition("Events: ")[2].partition("\n\n")[0], rule
