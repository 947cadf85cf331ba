"""``mailward definitions``: the sets of definitions on this host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mailward import Desk, printable
from mailward_antivirus.definitions import DefinitionError, Definitions
from mailward_antivirus.definitions.shelf import Shelf
from mailward_antivirus.proof import Proved, prove, tried
from mailward_antivirus.signatures import Signatures
from mailward_antivirus.supply import shelf_of
from mailward_antivirus.yara import Yara


@click.group(short_help="Load, test and roll back virus definitions.")
def definitions() -> None:
    """Versioned sets of signatures, YARA rules, names of mass mailers and weights of the heuristics.

    A set is a folder. It is copied, loaded and tried on its own samples before it comes into use; running
    gateways take it over within a second, without an interruption. The set before it is kept.

    \b
    Examples:
      mailward definitions load ./definitions-2026-11-26
      mailward definitions status
      mailward definitions rollback
    """


@definitions.command(short_help="What is in use, and what was before.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def status(desk: Desk, as_json: bool) -> None:
    """Show the set in use with what is in it, and the one before it. Exit status 1 where the set is damaged.

    \b
    Examples:
      mailward definitions status
      mailward definitions status --json
    """
    shelf = shelf_of(desk.context)
    rows = {"in use": _described(desk, shelf, "current"), "before it": _described(desk, shelf, "previous")}
    if as_json:
        click.echo(json.dumps(rows))
    else:
        for heading, row in rows.items():
            click.echo(f"{heading}: {', '.join(_words(row))}")
    if rows["in use"].get("problem"):
        raise click.exceptions.Exit(1)


def _described(desk: Desk, shelf: Shelf, which: str) -> dict[str, Any]:
    try:
        found = shelf.current() if which == "current" else shelf.previous()
        if found is None:
            return {}
        equipment, proved = tried(found, desk.settings, desk.context)
    except DefinitionError as error:
        return {"problem": str(error)}
    row: dict[str, Any] = {"version": found.version, "sha256": found.digest, "files": list(found.names)}
    for engine in equipment.engines:
        if isinstance(engine, Signatures):
            row["signatures"] = len(engine.known)
            row["not_carried_out"] = dict(engine.known.unsupported)
        elif isinstance(engine, Yara):
            row["yara_rules"] = engine.count
    row["samples"] = len(proved)
    failed = [one.sample.name for one in proved if not one.passed]
    return {**row, "problem": f"samples that do not pass: {', '.join(failed)}"} if failed else row


def _words(row: dict[str, Any]) -> Iterator[str]:
    if not row:
        yield "none"
        return
    if "version" in row:
        yield f"version {row['version']} ({row['sha256'][:12]})"
        yield f"{len(row['files'])} files"
        yield f"{row.get('signatures', 0)} signatures"
        if "yara_rules" in row:
            yield f"{row['yara_rules']} YARA rules"
        for feature, count in row.get("not_carried_out", {}).items():
            yield f"{count} not carried out ({feature})"
        yield f"{row['samples']} samples"
    if row.get("problem"):
        yield printable(row["problem"])


@definitions.command(short_help="Bring a set into use.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.pass_obj
def load(desk: Desk, folder: Path) -> None:
    """Copy the set in FOLDER, load it, try it on its samples, and bring it into use; or leave all as it is.

    \b
    Examples:
      mailward definitions load ./definitions-2026-11-26
    """
    with _told():
        found = shelf_of(desk.context).install(folder, lambda one: list(prove(one, desk.settings, desk.context)))
    click.echo(f"in use: version {found.version} ({found.digest[:12]})")


@definitions.command(short_help="Go back to the set before.")
@click.pass_obj
def rollback(desk: Desk) -> None:
    """Bring the set that was in use before into use again, once it has been tried; the two change places.

    \b
    Examples:
      mailward definitions rollback
    """
    with _told():
        found = shelf_of(desk.context).rollback(lambda one: list(prove(one, desk.settings, desk.context)))
    click.echo(f"in use: version {found.version} ({found.digest[:12]})")


@definitions.command(short_help="Try a set on its own samples.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@click.pass_obj
def test(desk: Desk, folder: Path | None) -> None:
    """Load the set in FOLDER, or the one in use, and try it on its samples; nothing is changed.

    \b
    Examples:
      mailward definitions test
      mailward definitions test ./definitions-2026-11-26
    """
    with _told():
        found = Definitions.read(folder) if folder else shelf_of(desk.context).current()
        if found is None:
            raise DefinitionError("no definitions are loaded")
        _, proved = tried(found, desk.settings, desk.context)
    for one in proved:
        click.echo(_line(one))
    failed = sum(not one.passed for one in proved)
    click.echo(f"version {found.version}: {len(proved)} samples, {failed} failed")
    if failed:
        raise click.exceptions.Exit(1)


def _line(proved: Proved) -> str:
    found = ", ".join(proved.found) or "nothing"
    return f"{'ok' if proved.passed else 'FAILED':<7} {printable(proved.sample.name)}: found {printable(found)}"


@contextmanager
def _told() -> Iterator[None]:
    """Tells in a sentence what a set is refused for."""
    try:
        yield
    except (DefinitionError, OSError) as error:
        raise click.ClickException(printable(str(error))) from error
