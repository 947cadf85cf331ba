"""Help, version, exit status, and errors in the configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import mailward
from mailward.cli.main import cli

Run = Callable[..., Any]
COMMANDS = ["serve", "ctl", "check", "plugins", "queue", "scan", "send", "password"]


def test_help_lists_commands_and_exit_status(run: Run) -> None:
    done = run("--help")
    assert done.status == 0
    assert all(f"\n  {command} " in done.out for command in COMMANDS)
    for line in ("0  done", "1  something was found", "2  wrong usage", "3  could not be decided"):
        assert line in done.out


@pytest.mark.parametrize(
    "command", [*([one] for one in COMMANDS), *(["queue", one] for one in ("list", "show", "retry", "drop", "forward"))]
)
def test_every_command_has_help_with_examples(command: list[str]) -> None:
    done = CliRunner().invoke(cli, [*command, "--help"])
    assert done.exit_code == 0
    assert f"Examples:\n    mailward {command[0]}" in done.output


def test_the_version(run: Run) -> None:
    assert run("--version").out == f"mailward, version {mailward.__version__}\n"


def test_wrong_usage_is_status_2(run: Run) -> None:
    assert run("scan").status == 2
    assert run("nothing").status == 2


@pytest.mark.parametrize("command", [["serve"], ["check"], ["plugins"], ["queue", "list"], ["scan", "x.eml"]])
def test_a_wrong_configuration_is_told_with_file_key_value_and_status_2(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "bad.toml").write_text("[gateway]\nhostnam = 'mx'\n")
    done = run(*command, "-c", "bad.toml")
    assert done.status == 2
    assert done.out == ""
    assert "configuration error in bad.toml" in done.err
    assert "gateway.hostnam = 'mx': is not a setting" in done.err
    assert "allowed: auth, auth_without_tls, " in done.err
    assert "did you mean 'hostname'?" in done.err


def test_the_configuration_can_be_named_in_the_environment(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("plugins = []\n")
    names = [row["name"] for row in run("plugins", "--json", MAILWARD_CONFIG="empty.toml").json if row["enabled"]]
    assert names == []


def test_there_is_no_colour_where_there_is_no_terminal(run: Run) -> None:
    assert "\x1b" not in run("plugins").out
