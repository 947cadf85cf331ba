"""Commands that plugins add: found through the configuration, with ``-c`` everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mailward.cli.main import cli

Run = Callable[..., Any]
PLUGIN = '''
import click
from attrs import frozen
from mailward import Plugin, setting


@click.group(short_help="Count words.")
def words():
    """Words."""


@words.command()
@click.argument("more", default="")
@click.pass_obj
def show(desk, more):
    """Show."""
    if more == "fail":
        raise click.ClickException("it failed")
    click.echo(f"{desk.settings.word} {desk.context.name} {desk.context.hostname} {more}".strip())


class Words(Plugin):
    """Has commands."""

    @frozen
    class Settings:
        word: str = setting("none", help="a word")

    @classmethod
    def commands(cls):
        return (words,)

    def setup(self):
        raise ValueError("what the settings point at is broken")
'''


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "words.py").write_text(PLUGIN)
    path = tmp_path / "own.toml"
    path.write_text('plugins = ["./words.py"]\n[gateway]\nhostname = "mx.test"\n[words]\nword = "hello"\n')
    return path


@pytest.mark.parametrize(
    "line",
    [
        ("words", "show", "-c", "own.toml"),
        ("words", "-c", "own.toml", "show"),
        ("words", "show", "--config=own.toml"),
        ("words", "show", "-cown.toml"),
    ],
)
def test_a_command_has_its_plugins_settings_and_context(run: Run, config: Path, line: tuple[str, ...]) -> None:
    done = run(*line)
    assert (done.status, done.out) == (0, "hello words mx.test\n")


def test_the_configuration_of_the_environment_counts_too(run: Run, config: Path) -> None:
    assert run("words", "show", "more", MAILWARD_CONFIG=str(config)).out == "hello words mx.test more\n"
    assert "\n  words " in run("--help", MAILWARD_CONFIG=str(config)).out
    assert "Count words." in run("--help", MAILWARD_CONFIG=str(config)).out


def test_without_the_plugin_there_is_no_such_command(run: Run, config: Path) -> None:
    done = run("words", "show")
    assert done.status == 2
    assert "No such command 'words'" in done.err


def test_a_command_that_fails_is_status_1_and_a_wrong_configuration_status_2(run: Run, config: Path) -> None:
    assert run("words", "show", "fail", "-c", "own.toml").status == 1
    config.write_text('plugins = ["./words.py"]\n[words]\nwrod = "hello"\n')
    done = run("words", "show", "-c", "own.toml")
    assert done.status == 2
    assert "words.wrod" in done.err
    assert run("--help", MAILWARD_CONFIG=str(config)).status == 0


def test_a_name_of_the_core_cannot_be_taken(run: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(
        PLUGIN.replace("def words()", "def queue()").replace("words.", "queue.").replace("(words,)", "(queue,)")
    )
    done = run("nothing", "-c", "own.toml")
    assert done.status == 1
    assert "plugin 'words' offers the command 'queue', which is there already" in done.err
    assert run("queue", "list", "-c", "own.toml").status == 0
    assert run("--help", MAILWARD_CONFIG=str(config)).status == 0


def test_definitions_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAILWARD_CONFIG", raising=False)
    (tmp_path / "own.toml").write_text("plugins = ['antivirus']\n")
    for folder, word in (("one", "needle"), ("two", "thread")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.ndb").write_text(f"Own.{word}:0:*:{word.encode().hex()}\nOther:3:*:6161\n")

    def run(*words: str) -> Any:
        return CliRunner().invoke(cli, ["definitions", *words, "-c", "own.toml"])

    def status(which: str) -> Any:
        return json.loads(run("status", "--json").output)[which]

    assert run("status").output == "in use: none\nbefore it: none\n"
    assert run("test").exit_code == 1
    assert "in use: version sha256-" in run("load", "one").output
    first = status("in use")
    assert (first["signatures"], first["not_carried_out"]) == (1, {"target 3": 1})
    run("load", "two")
    assert status("before it") == first
    assert run("rollback").exit_code == 0
    assert status("in use") == first
    (tmp_path / "two/own.ndb").write_text("nonsense\n")
    done = run("load", "two")
    assert done.exit_code == 1
    assert "line 1: 'nonsense' is no signature" in done.output
    assert status("in use") == first
    (tmp_path / "x.eml").write_bytes(b"Subject: x\r\n\r\na needle\r\n")
    assert "Own.needle" in CliRunner().invoke(cli, ["scan", "x.eml", "-c", "own.toml"]).output
