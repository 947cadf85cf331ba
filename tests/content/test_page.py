"""The page about the plugin: its examples are read as configuration, its tables are tried."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import mailward_content
from mailward import Engine
from mailward_content import words
from mailward_content.texts import Place

PAGE = (Path(__file__).parents[2] / "docs" / "content.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def rows(heading: str) -> list[list[str]]:
    """The rows of the table with this heading line, cells without the marks of code."""
    table = PAGE.partition(f"\n{heading}\n")[2].partition("\n\n")[0]
    assert table, heading
    return [[cell.strip().strip("`") for cell in row.strip("|").split(" | ")] for row in table.split("\n")[1:]]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.strip().splitlines()[-1][:40])
def test_an_example_is_a_configuration(example: str, tmp_path: Path) -> None:
    path = tmp_path / "mailward.toml"
    head = "" if "plugins" in tomllib.loads(example) else 'plugins = ["relay", "archives", "content", "antivirus"]\n'
    path.write_text(head + example)
    assert Engine.from_config(path).policies.default.instances


def test_there_are_examples_of_every_rule() -> None:
    assert len(EXAMPLES) >= 11


@pytest.mark.parametrize(("pattern", "good", "bad"), rows("| pattern | matches | does not match |"))
def test_the_subjects_of_the_page(content: Any, mails: Any, pattern: str, good: str, bad: str) -> None:
    settings = f"block_subjects = true\nsubjects = ['{pattern}']"
    assert content(mails.titled(good), settings).action.name == "drop"
    assert content(mails.titled(bad), settings).clean


@pytest.mark.parametrize(("rule", "text", "violated"), rows("| rule | text | violated |"))
def test_the_rules_of_the_page(content: Any, mails: Any, rule: str, text: str, violated: str) -> None:
    copy = content(mails.plain(text.encode()), f"rules.one = {{ when = '{rule}' }}")
    assert copy.clean is (violated == "no")


def test_every_rule_of_a_finding_is_on_the_page() -> None:
    sources = "".join(path.read_text("utf-8") for path in Path(mailward_content.__file__).parent.glob("*.py"))
    rules = set(re.findall(r'Hit\("(\w+)"', sources)) | set(re.findall(r'PartMasks\(\s*"(\w+)"', sources))
    assert {"size", "limit", "file_name", "file_type"} <= rules
    told = {name for row in rows("| kind | rule | name | detail |") for name in re.findall(r"\w+", row[1])}
    assert rules - told == set()


def test_every_place_and_every_tag_is_on_the_page() -> None:
    assert [row[0] for row in rows("| place | what it is |")] == [str(place) for place in Place]
    told = set(
        re.findall(r"\b[A-Z_]{4,}\b", PAGE.partition("work in any of these texts")[2].partition("Other tags")[0])
    )
    assert told == {name for name in words.NAMES if name.isupper()}
