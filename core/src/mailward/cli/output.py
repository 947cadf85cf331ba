"""What commands print: tables and trees for people, JSON for machines, errors with what to do.

Colour only on a terminal (and never where ``NO_COLOR`` is set). Everything that came out of mail is
shown through `shown`, so that no name in a message can speak to the terminal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mailward.cli.exits import FAILED as FAILED
from mailward.cli.exits import FOUND as FOUND
from mailward.cli.exits import OK as OK
from mailward.cli.exits import UNDECIDED as UNDECIDED
from mailward.cli.exits import USAGE as USAGE

if TYPE_CHECKING:
    from mailward.values.errors import ConfigError

_WIDE = 400
_NOT_PRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
STYLES = {"ok": "green", "warning": "yellow", "failure": "bold red", "dim": "dim"}


def shown(text: object) -> str:
    r"""``text`` fit to be printed: control, direction and invisible characters stand as ``\x1b``, ``\u202e``."""
    return _NOT_PRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), str(text))


def console(*, errors: bool = False) -> Console:
    """The console to print on; lines are never cut where the output is not a terminal."""
    file = sys.stderr if errors else sys.stdout
    return Console(file=file, width=None if file.isatty() else _WIDE, highlight=False, markup=False, emoji=False)


def text(value: object, style: str = "") -> Text:
    """A piece of text in a style, made printable."""
    return Text(shown(value), style=STYLES.get(style, style))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table without frame; cells are made printable."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, show_header=any(headings))
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else text(cell) for cell in row))
    return made


def print_long_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table of thousands of rows, which `table` would take long for: the same, unfolded and without styles."""
    cells = [list(headings)]
    cells += [[cell.plain if isinstance(cell, Text) else shown(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _width(cell: str) -> int:
    return len(cell) if cell.isascii() else cell_len(cell)


def print_json(value: Any) -> None:
    """One JSON document on standard output, ASCII only."""
    click.echo(json.dumps(value, indent=2, default=str))


def problem_list(error: ConfigError) -> list[dict[str, str]]:
    """The problems of a configuration, for JSON."""
    return [
        {
            "file": error.source,
            "key": problem.key,
            "message": problem.message,
            "value": problem.value,
            "allowed": problem.allowed,
            "nearest": problem.nearest,
        }
        for problem in error.problems
    ]


def show_config_error(error: ConfigError) -> None:
    """Print every problem of a configuration to standard error: file, key, value, what is allowed."""
    out = console(errors=True)
    out.print(Text.assemble(text("configuration error", "failure"), " in ", text(error.source)))
    for problem in error.problems:
        value = f" = {problem.value}" if problem.value else ""
        out.print(Text.assemble("  ", text(problem.key + value, "bold"), ": ", text(problem.message)))
        if problem.allowed:
            out.print(Text.assemble("      allowed: ", text(problem.allowed)))
        if problem.nearest:
            out.print(Text.assemble("      did you mean ", text(repr(problem.nearest), "bold"), "?"))


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Say on standard error why the command ends, and end it."""
    console(errors=True).print(Text.assemble(text("error", "failure"), ": ", text(message)))
    raise click.exceptions.Exit(status)
