"""All pages together: links lead somewhere, lines are short, examples run, and what the code has is told of."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from mailward import (
    Address,
    Context,
    Deliver,
    Drop,
    Engine,
    Envelope,
    Finding,
    Hold,
    Kind,
    Quarantine,
    Recipient,
    Reject,
)
from mailward.cli import check, checks
from mailward.cli.main import cli
from mailward.engine.config import DEFAULTS, parse_config
from mailward.engine.core_settings import DispositionSettings
from mailward.engine.merge import default_action
from mailward.gateway import session
from mailward.mime import apply

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "bench" / "README.md")
MOST_COLUMNS = 120
COMMAND_LINE = (ROOT / "docs" / "cli.md").read_text("utf-8")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_CONFIGURATION = ("[weights]", "# pyproject.toml")


@cache
def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCED.sub("", page.read_text("utf-8"))


@cache
def anchors(page: Path) -> frozenset[str]:
    """What a link may name behind ``#``: the headings, as GitHub and others write them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_file_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`((?:docs|bench|tests|contrib|examples|core|plugins)/[\w./-]+)", page.read_text("utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES[:-1], ids=name_of)
def test_the_lines_of_a_page_are_short(page: Path) -> None:
    """Rows of tables cannot be broken; signatures are as long as they are."""
    long = [line for line in prose(page).splitlines() if len(line) > MOST_COLUMNS and not line.startswith("|")]
    assert long == []


def test_every_page_is_in_the_table_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8").partition("## Read on")[2]
    assert [name_of(page) for page in PAGES[1:] if f"]({name_of(page)})" not in readme] == []


def configurations() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for language, text in _FENCED.findall(page.read_text("utf-8")):
            if language == "toml" and not text.startswith(_NOT_CONFIGURATION):
                yield f"{name_of(page)}: {text.splitlines()[0]}", text


@pytest.mark.parametrize(("name", "text"), tuple(configurations()), ids=lambda one: one.partition("\n")[0])
def test_an_example_of_a_configuration_is_one(name: str, text: str) -> None:
    """Sections and keys of the core; those of plugins are tried with the page of each."""
    assert parse_config(text, name, ROOT).core


def blocks_of_the_readme(language: str) -> list[str]:
    return [text for kind, text in _FENCED.findall((ROOT / "README.md").read_text("utf-8")) if kind == language]


def mail(filename: str, content: bytes) -> bytes:
    return (
        b"Subject: as agreed\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\n\r\nsee below\r\n--x\r\nContent-Type: application/octet-stream; name="
        + filename.encode()
        + b"\r\n\r\n"
        + content
        + b"\r\n--x--\r\n"
    )


def test_the_readme_names_the_plugins_of_the_built_in_defaults() -> None:
    start = (ROOT / "README.md").read_text("utf-8").partition("## Run it")[2].partition("and delivers")[0]
    assert tuple(re.findall(r"`(\w+)`", start)) == parse_config(DEFAULTS, "defaults", ROOT).plugins


def test_the_readme_counts_the_names_that_are_taken_out(tmp_path: Path) -> None:
    (text,) = blocks_of_the_readme("toml")
    (tmp_path / "mailward.toml").write_text(text, encoding="utf-8")
    engine = Engine.from_config(tmp_path / "mailward.toml")
    (names,) = (one.plugin.settings.names for one in engine.policies.default.instances if one.name == "content")
    assert {"*.exe", "*.js"} < set(names.patterns)
    assert f"take out *.exe, *.js and {len(names.patterns) - 2} more" in text


def test_the_plugin_of_the_readme_holds_payroll_that_leaves_the_house(tmp_path: Path) -> None:
    plugin, _ = blocks_of_the_readme("python")
    (tmp_path / "house_rules.py").write_text(plugin, encoding="utf-8")
    engine = Engine(parse_config('plugins = ["./house_rules.py"]', "README.md", tmp_path))
    for local, action in ((False, Hold()), (True, Deliver())):
        to = Recipient(Address.parse("bob@example.org"), local=local)
        verdict = asyncio.run(engine.judge(Envelope(recipients=(to,)), mail("Payroll-May.xls", b"numbers")))
        assert verdict.copies[0].action == action


def test_what_the_readme_embeds_judges_and_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, block = blocks_of_the_readme("python")
    (tmp_path / "mailward.toml").write_text('plugins = ["content"]\n[content]\nblock_names = true\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    raw = mail("game.exe", b"to be taken out")
    names: dict[str, Any] = {"raw_message": raw}
    code = compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    asyncio.run(eval(code, names))
    (copy,) = names["verdict"].copies
    assert (copy.action, [finding.rule for finding in copy.findings]) == (Deliver(), ["file_name"])
    assert b"to be taken out" not in apply(raw, copy.splices)


def words_of(command: click.Command, context: click.Context) -> Iterator[str]:
    """The long options of a command, the names of those below it, and theirs."""
    yield from (word for one in command.params for word in one.opts if word.startswith("--"))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield name
            yield from words_of(below, context)


def test_every_command_and_option_is_on_the_page_of_the_command_line() -> None:
    told = set(re.findall(r"(?<![\w-])(?:--)?[a-z][a-z-]*", COMMAND_LINE))
    of_all = {"--config", "--version"}
    assert sorted(set(words_of(cli, click.Context(cli))) - told - of_all) == []


def test_every_row_of_the_checks_is_on_the_page_of_the_command_line() -> None:
    rows = re.findall(r'(?:Check\(|\bname =)\s*f?"([^"]+)"', inspect.getsource(check) + inspect.getsource(checks))
    assert {"postmaster", "listen {listen}", "{key} certificate"} <= set(rows)
    words = {re.sub(r"\{.*?\}", "…", row) for row in rows}
    assert sorted(word for word in words if f"`{word}`" not in COMMAND_LINE) == []


def test_every_extension_that_is_offered_is_on_the_page_about_receiving() -> None:
    offered = set(re.findall(r'"([A-Z0-9]{3,})\b', inspect.getsource(session._offers)))
    assert {"SIZE", "DSN", "PIPECONNECT", "XCLIENT", "HELP"} <= offered
    page = (ROOT / "docs" / "smtp.md").read_text("utf-8").partition("## What is offered")[2].partition("\n## ")[0]
    assert sorted(offered - set(re.findall(r"\w+", page))) == []


def test_every_kind_of_finding_is_told_to_authors_of_plugins_with_its_default() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    table = page.partition("| `Kind` |")[2].partition("\n\n")[0]
    told = {
        Kind[name]: row[2]
        for row in (line.strip("| ").split(" | ") for line in table.splitlines()[2:])
        for name in re.findall(r"`([A-Z]+)`", row[0])
    }
    assert told.keys() == set(Kind)
    settings = DispositionSettings(infected=Drop(), unchecked=Hold(), limit=Reject(), ambiguous=Quarantine())
    for kind, default in told.items():
        action = default_action(Finding(kind, "core", "rule"), settings)
        named = re.match(r"`(\w+)` of `\[disposition\]`", default)
        assert action == (getattr(settings, named[1]) if named else None)


def test_everything_in_the_context_is_told_to_authors_of_plugins() -> None:
    names = {one.name for one in attrs.fields(Context)} | {
        name for name, _ in inspect.getmembers(Context, inspect.isfunction) if not name.startswith("_")
    }
    assert {"log", "store", "resolve_path"} <= names
    page = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    told = page.partition("`self.context` has")[2].partition("\n\n")[0]
    assert sorted(name for name in names if f"`{name}`" not in told and f"`{name}()`" not in told) == []
