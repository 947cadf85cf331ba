"""How messages of the queue are shown to people and to programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailward.cli.output import print_long_table, table, text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mailward.spool.admin import QueueCount
    from mailward.spool.entry import Entry

MOST_IN_TABLE = 500
"""Messages whose lines are laid out for the terminal."""

_HEADINGS = ("id", "queue", "since", "size", "tries", "from", "to", "why")


def messages(count: int) -> str:
    """So many messages, in words."""
    return f"{count:,} message{'s' if count != 1 else ''}"


def entries_table(entries: Iterable[Entry]) -> Table:
    """One line for each message."""
    return table(_HEADINGS, map(_line, entries))


def print_entries(out: Console, entries: Sequence[Entry]) -> None:
    """One line for each message, at a speed that suits their number."""
    if len(entries) > MOST_IN_TABLE:
        print_long_table(_HEADINGS, map(_line, entries))
    else:
        out.print(entries_table(entries))


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


def facts(entry: Entry, path: Path) -> Iterator[tuple[str, object]]:
    """All that is known of a message."""
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
    if entry.started:
        yield "scans begun", entry.started
    if entry.retry_at:
        yield "next attempt", _time(entry.retry_at)
    if entry.warned:
        yield "delay", "the sender was told"
    for failure in entry.results:
        yield "failed", f"{failure.recipient}: {_why(failure)}"
    yield "file", path


def _why(failure: Any) -> str:
    return " ".join(str(word) for word in (failure.next_hop, failure.reply, failure.detail) if word)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at else "-"


def plain_entry(entry: Entry) -> dict[str, Any]:
    """A message for ``--json``."""
    from mailward.values.wire import plain

    return {**plain(entry), "queue": str(entry.queue)}


def counts_table(counts: Iterable[QueueCount]) -> Table:
    """One line for each queue."""
    rows = (
        (one.queue, f"{one.messages:,}", f"{one.recipients:,}", f"{one.size_bytes:,}", _time(one.oldest_at))
        for one in counts
    )
    return table(("queue", "messages", "recipients", "bytes", "oldest"), rows)
