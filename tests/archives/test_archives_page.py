"""docs/archives.md says what the plugin does: every format, every rule, every limit of a reader, what is not found."""

from __future__ import annotations

import re
from pathlib import Path

import mailward_archives
from mailward.mime import CONTAINER_TYPES
from mailward_archives.passwords import _MOST_S, MOST_TRIES
from mailward_archives.settings import FORMATS
from mailward_archives.table import BY_TYPE

from .test_reach import MISSING

PAGE = (Path(__file__).parents[2] / "docs" / "archives.md").read_text("utf-8")
SOURCES = {path.name: path.read_text("utf-8") for path in Path(mailward_archives.__file__).parent.glob("*.py")}
UNREAD = {
    "application/x-ace-compressed": "ACE",
    "application/x-alz": "ALZ",
    "application/x-egg": "EGG",
    "application/x-stuffit": "StuffIt",
    "application/x-zoo": "ZOO",
    "application/x-lrzip": "lrzip",
    "application/x-lzop": "lzop",
    "application/x-zpaq": "ZPAQ",
    "application/x-apple-archive": "Apple Archive",
    "application/vnd.ms-outlook-pst": "Outlook (`.pst`)",
    "application/x-outlook-express": "Express (`.dbx`)",
}
"""Containers that are known and not read, and the words of the page for them."""
OF_THE_CORE = {"application/mac-binhex40"}
OF_THE_TABLE_ALONE = {"application/x-installshield"}
"""Part of another format: the cabinets behind an installer."""


def test_every_format_has_a_row() -> None:
    rows = "".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))
    assert [name for name in FORMATS if f"`{name}`" not in rows] == []


def test_every_rule_is_explained() -> None:
    rules = {rule for text in SOURCES.values() for rule in re.findall(r'PLUGIN, "(\w+)"|note\(\w+, "(\w+)"', text)}
    rules |= {rule for text in SOURCES.values() for rule in re.findall(r'note\([\w.]+, "(\w+)"', text)}
    words = {word for rule in rules for word in (rule if isinstance(rule, tuple) else (rule,)) if word}
    assert {"special", "password", "unopened", "multivolume", "encrypted", "limit"} <= words
    assert [word for word in sorted(words) if f"`{word}`" not in PAGE] == []


def test_what_is_known_and_not_read_is_named() -> None:
    unread = CONTAINER_TYPES - set(BY_TYPE) - OF_THE_CORE - OF_THE_TABLE_ALONE
    assert unread == set(UNREAD)
    text = " ".join(PAGE.split())
    assert [words for words in UNREAD.values() if words not in text] == []


def test_what_is_not_found_is_named_with_its_reason() -> None:
    for name in MISSING:
        assert f"| `{name}` |" in PAGE
    assert f"{44 - len(MISSING)} are found" in PAGE


def test_the_bounds_of_trying_passwords_are_those_of_the_page() -> None:
    text = " ".join(PAGE.split())
    assert f"up to {MOST_TRIES} words" in text
    assert f"at most {_MOST_S:.0f} seconds" in text
