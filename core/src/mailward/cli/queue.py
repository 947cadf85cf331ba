"""``mailward queue``: what waits, and what an operator can do about it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import asdict

from mailward.cli.options import address, config_option, json_option
from mailward.cli.output import FAILED, OK, console, fail, print_json, table, text
from mailward.cli.queue_view import counts_table, entries_table, facts, messages, plain_entry, print_entries
from mailward.cli.selection import Choice, filters

if TYPE_CHECKING:
    from mailward.spool.entry import Entry
    from mailward.spool.operate import Outcome
    from mailward.values.address import Address

_PIECE_BYTES = 1024 * 1024
_SHOWN_BEFORE_ASKING = 20
_RECOVER_S = 60.0
_PAST = {
    "retry": "tried again",
    "drop": "dropped",
    "hold": "held",
    "release": "released",
    "reprocess": "judged again",
    "forward": "forwarded",
    "recover": "recovered",
}
_QUESTIONS = {
    "drop": "Drop {} for good?",
    "hold": "Put {} in hold?",
    "release": "Deliver {} as they are, unscanned?",
    "reprocess": "Judge {} again? What crashed the scan once may crash it again.",
    "forward": "Send copies of {}, unscanned?",
}
"""What is asked before many messages are touched (SAV-Q-05); trying again does no harm."""

_ids = click.argument("ids", metavar="[ID]...", nargs=-1)
_all = click.option("--all", "everything", is_flag=True, help="All messages that the filters let through.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group(short_help="See and change the queue.")
def queue() -> None:
    """See and change the messages that wait.

    Changes go through the gateway where one runs, and are made directly where none does. Filters narrow
    down what a command is about; all that are given must let a message through. Whoever names no ID is
    asked before anything happens, unless --yes says so (trying again is not asked for).

    Exit status: 0 all was done, 1 something was not (it is said what), 2 the command was wrong.

    \b
    Examples:
      mailward queue list --queue hold
      mailward queue show 01j9c2m4k7
      mailward queue release 01j9c2m4k7
      mailward queue drop --sender '*@spam.example' --older '2 d' --yes
      mailward queue retry --next-hop 'smtp:mx.example.com*'
      mailward queue reprocess --queue hold
      mailward queue stats --json
    """


@queue.command("list", short_help="List messages, oldest first.")
@filters
def list_(as_json: bool, config: Path | None, **choice: Any) -> None:
    """List the messages of all queues, oldest first, with what keeps them.

    \b
    Examples:
      mailward queue list
      mailward queue list --recipient '*@example.com' --json
      mailward queue list --reason '*greylist*' --newer '1 h'
    """
    from mailward.spool.admin import damaged

    root = _root(config)
    found = _chosen(root, Choice(**choice))
    broken = damaged(root)
    if as_json:
        print_json({"messages": [plain_entry(entry) for entry in found], "damaged": [str(path) for path in broken]})
        return
    out = console()
    if found:
        print_entries(out, found)
    out.print(text(messages(len(found)), "dim"))
    for path in broken:
        out.print(text(f"damaged, set aside: {path}", "failure"))


@queue.command(short_help="Count what is queued.")
@filters
def stats(as_json: bool, config: Path | None, **choice: Any) -> None:
    """Messages, recipients and bytes of each queue, and when the oldest message came into it.

    \b
    Examples:
      mailward queue stats
      mailward queue stats --domain example.com --json
    """
    from mailward.spool.admin import counts, damaged

    root = _root(config)
    found = counts(_chosen(root, Choice(**choice)))
    broken = len(damaged(root))
    if as_json:
        print_json({"queues": {str(one.queue): asdict(one) for one in found}, "damaged": broken})
        return
    out = console()
    out.print(counts_table(found))
    if broken:
        out.print(text(f"{broken:,} damaged, set aside", "failure"))


@queue.command(short_help="Show one message.")
@click.argument("id", metavar="ID")
@click.option("--raw", is_flag=True, help="Write the message itself, as received, to standard output.")
@json_option
@config_option
def show(id: str, raw: bool, as_json: bool, config: Path | None) -> None:
    """Show all that the queue knows of one message.

    \b
    Examples:
      mailward queue show 01j9c2m4k7
      mailward queue show 01j9c2m4k7 --raw > message.eml
    """
    from mailward.spool.admin import find

    found = find(_root(config), id)
    if found is None:
        fail(f"{id}: not in the queue")
    entry, path = found.entry, found.path
    if raw:
        with path.open("rb") as file:
            file.seek(found.body_at)
            for at in range(0, entry.size_bytes, _PIECE_BYTES):
                sys.stdout.buffer.write(file.read(min(_PIECE_BYTES, entry.size_bytes - at)))
    elif as_json:
        print_json({**plain_entry(entry), "path": str(path)})
    else:
        console().print(table(("", ""), facts(entry, path)))


def _verb(name: str, summary: str, example: str, *more: Callable[[Any], Any]) -> None:
    """Add the command of a verb that takes ids or filters."""

    @queue.command(name, short_help=summary, help=f"{summary}\n\n\b\nExamples:\n  {example}")
    @_ids
    @filters
    @_all
    @click.pass_context
    def command(ctx: click.Context, /, as_json: bool, config: Path | None, yes: bool = True, **choice: Any) -> None:
        ctx.exit(_act(name, Choice(**choice), config, as_json, yes=yes))

    for option in more:
        option(command)


_verb("retry", "Try to deliver now, without waiting for the next attempt.", "mailward queue retry --queue slow")
_verb(
    "drop",
    "Delete messages for good; nobody is told.",
    "mailward queue drop 01j9c2m4k7\n  mailward queue drop --sender '*@spam.example' --yes",
    _yes,
)
_verb("hold", "Move messages to the hold queue.", "mailward queue hold --sender 'boss@example.com' --yes", _yes)
_verb("release", "Deliver messages that are held or in quarantine.", "mailward queue release 01j9c2m4k7", _yes)
_verb(
    "reprocess",
    "Judge messages that are held or in quarantine again.",
    "mailward queue reprocess 01j9c2m4k7\n  mailward queue reprocess --queue hold --yes",
    _yes,
)


@queue.command(short_help="Send a copy to another address.")
@_ids
@click.option("--to", type=address, required=True, metavar="ADDRESS", help="Where the copy goes; the original stays.")
@click.option("--subject", default="", metavar="TEXT", help="Subject of the copy; without it, its own.")
@filters
@_all
@_yes
@click.pass_context
def forward(
    ctx: click.Context, /, to: Address, subject: str, as_json: bool, config: Path | None, yes: bool, **choice: Any
) -> None:
    """Send a copy of messages to another address, unscanned; the originals stay where they are.

    \b
    Examples:
      mailward queue forward 01j9c2m4k7 --to postmaster@example.com
      mailward queue forward --queue hold --to lab@example.com --subject 'Held mail' --yes
    """
    ctx.exit(_act("forward", Choice(**choice), config, as_json, yes=yes, to=str(to), subject=subject))


@queue.command(short_help="Put in hold what a damaged journal segment still holds.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@json_option
@config_option
@click.pass_context
def recover(ctx: click.Context, /, names: tuple[str, ...], as_json: bool, config: Path | None) -> None:
    """Put in hold what can still be read of journal segments that lost their header and were set aside.

    Without NAME: all of them. Nothing is delivered: a message may have been delivered before the damage,
    so look at each, then release or drop it. Those that were not scanned yet say so; reprocess them.

    \b
    Examples:
      mailward queue recover
      mailward queue list --queue hold --reason '*damaged journal*'
    """
    from mailward.spool.admin import act, damaged
    from mailward.spool.operate import Verb

    root = _root(config)
    wanted = [Path(name).name for name in names] or [path.name for path in damaged(root)]
    outcomes = act(root, Verb.RECOVER, wanted, wait_s=_RECOVER_S)
    _show_outcomes("recover", outcomes, as_json)
    ctx.exit(OK if all(outcome.ok for outcome in outcomes) else FAILED)


def _act(
    verb: str, choice: Choice, config: Path | None, as_json: bool, *, yes: bool, to: str = "", subject: str = ""
) -> int:
    from mailward.spool.admin import act
    from mailward.spool.operate import Verb

    if not choice.is_made:
        raise click.UsageError("name messages by ID, by a filter (--queue, --sender, --older …), or say --all")
    root = _root(config)
    found = [] if choice.is_ids_only and verb != "drop" else _chosen(root, choice)
    ids = choice.ids if choice.is_ids_only else tuple(entry.id for entry in found)
    if not yes and found and verb in _QUESTIONS:
        errors = console(errors=True)
        errors.print(entries_table(found[:_SHOWN_BEFORE_ASKING]))
        if len(found) > _SHOWN_BEFORE_ASKING:
            errors.print(text(f"and {messages(len(found) - _SHOWN_BEFORE_ASKING)} more", "dim"))
        click.confirm(_QUESTIONS[verb].format(messages(len(found))), abort=True, err=True)
    outcomes = act(root, Verb(verb), ids, to=to, subject=subject)
    _show_outcomes(verb, outcomes, as_json)
    return OK if all(outcome.ok for outcome in outcomes) else FAILED


def _show_outcomes(verb: str, outcomes: list[Outcome], as_json: bool) -> None:
    if as_json:
        print_json([{"id": outcome.id, "ok": outcome.ok, "text": outcome.text} for outcome in outcomes])
        return
    out = console()
    for outcome in outcomes:
        out.print(text(outcome.id, "bold"), text(outcome.text, "ok" if outcome.ok else "failure"))
    done = sum(outcome.ok for outcome in outcomes)
    out.print(text(f"{done} of {len(outcomes)} {_PAST[verb]}", "dim"))


def _root(config: Path | None) -> Path:
    from mailward.engine.config import load_config

    return load_config(config).state


def _chosen(root: Path, choice: Choice) -> list[Entry]:
    from mailward.spool.admin import listing
    from mailward.spool.entry import Queue

    found = listing(root, Queue(choice.queue) if choice.queue else None)
    return list(choice.take(found, time.time()))
