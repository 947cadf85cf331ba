"""``mailward queue``: what waits, and what an operator can do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from mailward.cli.options import address, config_option, json_option, mask
from mailward.cli.output import FAILED, OK, console, fail, print_json, table, text

if TYPE_CHECKING:
    from rich.table import Table

    from mailward.spool.entry import Entry
    from mailward.spool.operate import Outcome
    from mailward.values.address import Address
    from mailward.values.masks import Masks

_QUEUES = ("fast", "slow", "hold", "quarantine")
_PIECE_BYTES = 1024 * 1024
_PAST = {"retry": "tried again", "drop": "dropped", "hold": "held", "release": "released", "forward": "forwarded"}


@frozen
class Choice:
    """The messages that a command is about: those of these ids, or all that the filters let through."""

    ids: tuple[str, ...]
    queue: str | None
    sender: Masks | None
    recipient: Masks | None
    everything: bool = False

    @property
    def is_made(self) -> bool:
        """Whether anything was chosen at all."""
        return bool(self.ids or self.queue or self.sender or self.recipient or self.everything)

    @property
    def is_ids_only(self) -> bool:
        """Whether the ids are all that was said: then one that is not there is worth a word."""
        return bool(self.ids) and not (self.queue or self.sender or self.recipient)

    def take(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The chosen ones of ``entries``."""
        for entry in entries:
            addresses = (recipient.address.key for recipient in entry.envelope.recipients)
            if (
                (not self.ids or entry.id in self.ids)
                and (self.sender is None or self.sender.match(entry.envelope.sender.address.key))
                and (self.recipient is None or self.recipient.any(addresses))
            ):
                yield entry


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    # Options are listed in the order opposite to that of the decorators.
    for option in (
        config_option,
        json_option,
        click.option("--recipient", type=mask, metavar="MASK", help="Only with a recipient that matches."),
        click.option("--sender", type=mask, metavar="MASK", help="Only from senders that match."),
        click.option("--queue", type=click.Choice(_QUEUES), help="Only messages in this queue."),
    ):
        command = option(command)
    return command


_ids = click.argument("ids", metavar="[ID]...", nargs=-1)
_all = click.option("--all", "everything", is_flag=True, help="All messages that the filters let through.")


@click.group(short_help="See and change the queue.")
def queue() -> None:
    """See and change the messages that wait.

    Changes go through the gateway where one runs, and are made directly where none does.

    \b
    Examples:
      mailward queue list --queue hold
      mailward queue show 01j9c2m4k7
      mailward queue release 01j9c2m4k7
      mailward queue drop --sender '*@spam.example' --yes
      mailward queue retry --queue slow
    """


@queue.command("list", short_help="List messages, oldest first.")
@_filters
def list_(queue: str | None, sender: Masks | None, recipient: Masks | None, as_json: bool, config: Path | None) -> None:
    """List the messages of all queues, oldest first, with what keeps them.

    \b
    Examples:
      mailward queue list
      mailward queue list --recipient '*@example.com' --json
    """
    from mailward.spool.admin import damaged

    root = _root(config)
    found = _chosen(root, Choice((), queue, sender, recipient))
    broken = damaged(root)
    if as_json:
        print_json({"messages": [_plain(entry) for entry in found], "damaged": [str(path) for path in broken]})
        return
    out = console()
    if found:
        out.print(_table(found))
    out.print(text(_messages(len(found)), "dim"))
    for path in broken:
        out.print(text(f"damaged, set aside: {path}", "failure"))


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
        print_json({**_plain(entry), "path": str(path)})
    else:
        console().print(table(("", ""), _facts(entry, path)))


def _verb(name: str, summary: str, example: str, *more: Callable[[Any], Any]) -> None:
    """Add the command of a verb that takes ids or filters."""

    @queue.command(name, short_help=summary, help=f"{summary}\n\n\b\nExamples:\n  {example}")
    @_ids
    @_filters
    @_all
    @click.pass_context
    def command(
        ctx: click.Context, /, as_json: bool, config: Path | None, yes: bool | None = None, **choice: Any
    ) -> None:
        ctx.exit(_act(name, Choice(**choice), config, as_json, ask=yes is False))

    for option in more:
        option(command)


_verb("retry", "Try to deliver now, without waiting for the next attempt.", "mailward queue retry --queue slow")
_verb(
    "drop",
    "Delete messages for good; nobody is told.",
    "mailward queue drop 01j9c2m4k7\n  mailward queue drop --sender '*@spam.example' --yes",
    click.option("--yes", is_flag=True, help="Do not ask."),
)
_verb("hold", "Move messages to the hold queue.", "mailward queue hold --sender 'boss@example.com'")
_verb("release", "Deliver messages that are held or in quarantine.", "mailward queue release 01j9c2m4k7")


@queue.command(short_help="Send a copy to another address.")
@_ids
@click.option("--to", type=address, required=True, metavar="ADDRESS", help="Where the copy goes; the original stays.")
@_filters
@_all
@click.pass_context
def forward(ctx: click.Context, /, to: Address, as_json: bool, config: Path | None, **choice: Any) -> None:
    """Send a copy of messages to another address; the originals stay where they are.

    \b
    Examples:
      mailward queue forward 01j9c2m4k7 --to postmaster@example.com
    """
    ctx.exit(_act("forward", Choice(**choice), config, as_json, to=str(to)))


def _act(verb: str, choice: Choice, config: Path | None, as_json: bool, *, ask: bool = False, to: str = "") -> int:
    from mailward.spool.admin import act
    from mailward.spool.operate import Verb

    if not choice.is_made:
        raise click.UsageError("name messages by ID, by a filter (--queue, --sender, --recipient), or say --all")
    root = _root(config)
    found = _chosen(root, choice)
    ids = choice.ids if choice.is_ids_only else tuple(entry.id for entry in found)
    if ask and found:
        console(errors=True).print(_table(found))
        click.confirm(f"Drop {_messages(len(found))} for good?", abort=True, err=True)
    outcomes = act(root, Verb(verb), ids, to=to)
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

    return list(choice.take(listing(root, Queue(choice.queue) if choice.queue else None)))


def _messages(count: int) -> str:
    return f"{count} message{'s' if count != 1 else ''}"


def _table(entries: Iterable[Entry]) -> Table:
    return table(("id", "queue", "since", "size", "tries", "from", "to", "why"), map(_line, entries))


def _line(entry: Entry) -> tuple[object, ...]:
    to = [str(recipient.address) for recipient in entry.envelope.recipients]
    why = entry.reason or next((_why(failure) for failure in entry.results), "")
    return (
        text(entry.id, "bold"),
        entry.queue,
        _time(entry.created_at),
        f"{entry.size_bytes:,}",
        entry.attempts,
        str(entry.envelope.sender.address) or "<>",
        ", ".join(to[:3]) + (f" and {len(to) - 3} more" if len(to) > 3 else ""),
        why,
    )


def _facts(entry: Entry, path: Path) -> Iterator[tuple[str, object]]:
    yield "id", entry.id
    if entry.origin and entry.origin != entry.id:
        yield "copy of", entry.origin
    yield "queue", entry.queue
    if entry.reason:
        yield "reason", entry.reason
    yield "policy", entry.policy or "default"
    yield "from", str(entry.envelope.sender.address) or "<>"
    for recipient in entry.envelope.recipients:
        yield "to", str(recipient.address)
    session = entry.envelope.session
    yield "client", f"{session.client_ip} ({session.helo}) by {session.protocol}" if session.client_ip else "this host"
    yield "received", _time(entry.envelope.received_at)
    yield "in queue since", _time(entry.created_at)
    yield "size", f"{entry.size_bytes:,} bytes, {len(entry.splices)} edits"
    yield "attempts", entry.attempts
    if entry.retry_at:
        yield "next attempt", _time(entry.retry_at)
    for failure in entry.results:
        yield "failed", f"{failure.recipient}: {_why(failure)}"
    yield "file", path


def _why(failure: Any) -> str:
    return " ".join(str(word) for word in (failure.next_hop, failure.reply, failure.detail) if word)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at else "-"


def _plain(entry: Entry) -> dict[str, Any]:
    from mailward.values.wire import plain

    return {**plain(entry), "queue": str(entry.queue)}
