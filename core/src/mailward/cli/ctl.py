"""``mailward ctl``: tell the running program something, and ask it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mailward.cli.options import config_option, json_option

OK = 0
FAILED = 1
NOT_REACHED = 3
_TIMEOUT_S = 150.0
"""A reload starts processes, each of which may take ``process.start_s``."""


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    folder = click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="State folder of the program (spool.path), instead of looking it up in the configuration.",
    )
    return config_option(json_option(folder(command)))


_persist = click.option("--persist", is_flag=True, help="Keep it off over a restart too, until it is switched on.")
_on_off = click.argument("what", metavar="on|off", type=click.Choice(["on", "off"]))


@click.group(short_help="Control the running program.")
def ctl() -> None:
    """Control the running program, over a socket in its state folder.

    Only root and the user of the program may do it. What is switched off stays so until it is
    switched on again or the program ends; with --persist it stays off over a restart too.

    \b
    Examples:
      mailward ctl status
      mailward ctl pause
      mailward ctl scan off --persist
      mailward ctl reload -c /etc/mailward/mailward.toml
      mailward ctl stats --prometheus
    """


def _switch(verb: str, summary: str, *, off: bool) -> None:
    @ctl.command(verb, short_help=summary, help=f"{summary}\n\n\b\nExamples:\n  mailward ctl {verb}")
    @_common
    def command(config: Path | None, state: Path | None, as_json: bool, persist: bool = False) -> None:
        _do(verb, config, state, as_json, persist=persist)

    if off:
        _persist(command)


def _pair(word: str, summary: str) -> None:
    @ctl.command(word, short_help=summary, help=f"{summary}\n\n\b\nExamples:\n  mailward ctl {word} off")
    @_on_off
    @_persist
    @_common
    def command(what: str, config: Path | None, state: Path | None, as_json: bool, persist: bool) -> None:
        _do(f"{word}-{what}", config, state, as_json, persist=persist)


_switch("pause", "Deliver nothing; mail is accepted and waits.", off=True)
_switch("resume", "Deliver again.", off=False)
_switch("reject", "Accept nothing: clients are told 421; queued mail goes out.", off=True)
_switch("accept", "Accept mail again.", off=False)
_pair("receive", "Listen for connections, or do not.")
_pair("scan", "Scan, or let mail that arrives wait unscanned.")
_pair("send", "Connect to next hops, or do not.")


@ctl.command(short_help="Put the configuration file in force.")
@_common
def reload(config: Path | None, state: Path | None, as_json: bool) -> None:
    """Put the configuration file in force, all of it or, where anything in it is wrong, nothing.

    Definitions and all other files that plugins read are read anew. Messages in progress finish under
    the configuration before. Exit status 1: it is wrong, and nothing has changed.

    \b
    Examples:
      mailward ctl reload
    """
    _do("reload", config, state, as_json)


@ctl.command(short_help="End the program in good order.")
@_common
def stop(config: Path | None, state: Path | None, as_json: bool) -> None:
    """End the program as SIGTERM does: messages in progress are finished.

    \b
    Examples:
      mailward ctl stop
    """
    _do("stop", config, state, as_json)


@ctl.command(short_help="How the program is now.")
@_common
def status(config: Path | None, state: Path | None, as_json: bool) -> None:
    """Show processes, memory, switches, queues, connections and versions.

    \b
    Examples:
      mailward ctl status
      mailward ctl status --json
    """
    facts = _facts("status", config, state)
    click.echo(json.dumps(facts, indent=2) if as_json else _status(facts))


@ctl.command(short_help="Counters since the start.")
@click.option("--prometheus", is_flag=True, help="Print the text format of Prometheus.")
@_common
def stats(config: Path | None, state: Path | None, as_json: bool, prometheus: bool) -> None:
    """Show the counters since the start of the program, summed over its processes.

    \b
    Examples:
      mailward ctl stats
      mailward ctl stats --prometheus
    """
    from mailward.supervisor.statistics import Stats, lines
    from mailward.supervisor.statistics import prometheus as for_prometheus

    facts = _facts("stats", config, state)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        click.echo((for_prometheus if prometheus else lines)(Stats(**facts)), nl=False)


def _do(verb: str, config: Path | None, state: Path | None, as_json: bool, *, persist: bool = False) -> None:
    from mailward.supervisor.control import Answer

    answer: Answer = _ask(verb, config, state, persist)
    problems = [str(problem) for problem in answer.problems]
    if as_json:
        click.echo(json.dumps({"ok": answer.ok, "text": answer.text, "problems": problems}, indent=2))
    else:
        click.echo("\n  ".join([answer.text, *problems]), err=not answer.ok)
    raise click.exceptions.Exit(OK if answer.ok else FAILED)


def _facts(verb: str, config: Path | None, state: Path | None) -> dict[str, Any]:
    answer = _ask(verb, config, state)
    if not answer.ok:
        click.echo(answer.text, err=True)
        raise click.exceptions.Exit(FAILED)
    facts: dict[str, Any] = json.loads(bytes(answer.facts))
    return facts


def _ask(verb: str, config: Path | None, state: Path | None, persist: bool = False) -> Any:
    from mailward.supervisor.control import Request, ask

    folder = state or _folder(config)
    try:
        return ask(folder, Request(verb, persist), _TIMEOUT_S)
    except PermissionError:
        problem = f"{folder}: only root and the user of the program may do this"
    except TimeoutError:
        problem = f"{folder}: no answer within {_TIMEOUT_S:g} s"
    except OSError as error:
        problem = f"{folder}: no program runs on this state folder ({error.strerror or error})"
    click.echo(problem, err=True)
    raise click.exceptions.Exit(NOT_REACHED)


def _folder(config: Path | None) -> Path:
    """The state folder, from a configuration that may be wrong otherwise: that is when it is needed most."""
    from mailward.supervisor.control import SOCKET
    from mailward.supervisor.folder import DEFAULT_FOLDER

    if config is None:
        return Path.cwd() / DEFAULT_FOLDER
    usual = config.resolve().parent / DEFAULT_FOLDER
    try:
        spool = tomllib.loads(config.read_text(encoding="utf-8")).get("spool", {})
        path = str(spool.get("path", DEFAULT_FOLDER))
    except (OSError, ValueError, AttributeError) as error:
        if (usual / SOCKET).exists():
            return usual
        click.echo(f"{config}: cannot be read: {error}; name the state folder with --state", err=True)
        raise click.exceptions.Exit(NOT_REACHED) from None
    return config.resolve().parent / Path(path).expanduser()


def _status(facts: dict[str, Any]) -> str:
    off = [name for name, on in facts["switches"].items() if not on]
    plugins = ", ".join(f"{name} {version}".strip() for name, version in facts["plugins"].items())
    rows = [
        ("version", f"{facts['version']}, process {facts['pid']}"),
        ("up", f"{_time(facts['uptime_s'])}, {facts['reloads']} reloads, {facts['restarts']} restarts of processes"),
        ("configuration", facts["config"]),
        ("state folder", facts["state"]),
        ("listening", ", ".join(facts["listening"]) or "nowhere"),
        ("switched off", ", ".join(off) or "nothing"),
        ("short of", ", ".join(facts["short"]) or "nothing"),
        ("queues", ", ".join(f"{name} {number}" for name, number in facts["queues"].items())),
        ("connections", f"{facts['gauges'].get('connections', 0):g}"),
        ("scan processes", f"{facts['gauges'].get('scan_processes', 0):g}"),
        ("memory", f"{facts['memory_bytes'] / 2**20:.0f} MB"),
        ("plugins", plugins),
    ]
    for one in facts["processes"]:
        leaving = ", ends" if one["leaving"] else ""
        memory = f"{one['memory_bytes'] / 2**20:.0f} MB with its scan processes"
        rows.append((f"gateway {one['slot']}", f"process {one['pid']}, up {_time(one['uptime_s'])}, {memory}{leaving}"))
    return "\n".join(f"{name:<15} {value}" for name, value in rows)


def _time(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3600)
    return (f"{days} d " if days else "") + f"{hours}:{rest // 60:02}:{rest % 60:02} h"
