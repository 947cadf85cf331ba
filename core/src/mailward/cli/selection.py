"""Which messages of the queue a command is about: ids, or filters that all must let a message through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click
from attrs import fields, frozen

from mailward.cli.options import config_option, json_option, mask
from mailward.values.address import domain_spellings

if TYPE_CHECKING:
    from mailward.spool.entry import Entry
    from mailward.values.masks import Masks

QUEUES = ("incoming", "fast", "slow", "hold", "quarantine")


def duration(value: str) -> float:
    """Read a duration as in the configuration: ``90``, ``5 min``, ``2 d``."""
    from mailward.hooks.settings import Seconds

    return float(_read(value, Seconds))


def size(value: str) -> int:
    """Read a size as in the configuration: ``1048576``, ``1 MB``."""
    from mailward.hooks.settings import ByteSize

    return int(_read(value, ByteSize))


def _read(value: str, kind: Any) -> Any:
    from mailward.engine.convert import read

    try:
        return read(value, kind)
    except (ValueError, TypeError) as error:
        raise click.BadParameter(str(error)) from error


@frozen
class Choice:
    """The messages that a command is about: those of these ids, or all that the filters let through."""

    ids: tuple[str, ...] = ()
    queue: str | None = None
    sender: Masks | None = None
    recipient: Masks | None = None
    domain: Masks | None = None
    older: float | None = None
    newer: float | None = None
    larger: int | None = None
    smaller: int | None = None
    reason: Masks | None = None
    next_hop: Masks | None = None
    id_prefix: str | None = None
    everything: bool = False

    @property
    def has_filters(self) -> bool:
        """Whether anything but ids was said."""
        given = (getattr(self, one.name) for one in fields(Choice) if one.name not in ("ids", "everything"))
        return any(value is not None for value in given)

    @property
    def is_made(self) -> bool:
        """Whether anything was chosen at all."""
        return bool(self.ids or self.has_filters or self.everything)

    @property
    def is_ids_only(self) -> bool:
        """Whether the ids are all that was said: then one that is not there is worth a word."""
        return bool(self.ids) and not self.has_filters

    def take(self, entries: Iterable[Entry], now: float) -> Iterator[Entry]:
        """The chosen ones of ``entries``; ``now`` is Unix seconds."""
        tests = list(self._tests(now))
        for entry in entries:
            if all(test(entry) for test in tests):
                yield entry

    def _tests(self, now: float) -> Iterator[Callable[[Entry], bool]]:
        """One test for each filter that was given."""
        if self.ids:
            ids = frozenset(self.ids)
            yield lambda entry: entry.id in ids
        if (prefix := self.id_prefix) is not None:
            yield lambda entry: entry.id.startswith(prefix)
        if (sender := self.sender) is not None:
            yield lambda entry: sender.any(entry.envelope.sender.address.keys)
        if (recipient := self.recipient) is not None:
            yield lambda entry: recipient.any(key for one in entry.envelope.recipients for key in one.address.keys)
        if (domain := self.domain) is not None:
            yield lambda entry: domain.any(
                name for one in entry.envelope.recipients for name in domain_spellings(one.address.domain)
            )
        if (older := self.older) is not None:
            yield lambda entry: entry.created_at <= now - older
        if (newer := self.newer) is not None:
            yield lambda entry: entry.created_at > now - newer
        if (larger := self.larger) is not None:
            yield lambda entry: entry.size_bytes > larger
        if (smaller := self.smaller) is not None:
            yield lambda entry: entry.size_bytes < smaller
        if (reason := self.reason) is not None:
            yield lambda entry: reason.any(_reasons(entry))
        if (hop := self.next_hop) is not None:
            yield lambda entry: hop.any(failure.next_hop.lower() for failure in entry.results)


def _reasons(entry: Entry) -> Iterator[str]:
    yield entry.reason.lower()
    for failure in entry.results:
        yield str(failure.reply or "").lower()
        yield failure.detail.lower()


_FILTERS = (
    click.option("--queue", type=click.Choice(QUEUES), help="Only messages in this queue."),
    click.option("--sender", type=mask, metavar="MASK", help="Only from senders that match."),
    click.option("--recipient", type=mask, metavar="MASK", help="Only with a recipient that matches."),
    click.option("--domain", type=mask, metavar="MASK", help="Only with a recipient in a domain that matches."),
    click.option("--older", type=duration, metavar="TIME", help="Only older than this: 90, '5 min', '2 d'."),
    click.option("--newer", type=duration, metavar="TIME", help="Only newer than this."),
    click.option("--larger", type=size, metavar="SIZE", help="Only larger than this: 1048576, '1 MB'."),
    click.option("--smaller", type=size, metavar="SIZE", help="Only smaller than this."),
    click.option("--reason", type=mask, metavar="MASK", help="Only with a reason or a last reply that matches."),
    click.option("--next-hop", type=mask, metavar="MASK", help="Only those that failed at such a next hop."),
    click.option("--id-prefix", metavar="TEXT", help="Only those whose id begins so."),
    json_option,
    config_option,
)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `Choice`, ``--json`` and ``--config``."""
    # Options are listed in the order opposite to that of the decorators.
    for option in reversed(_FILTERS):
        command = option(command)
    return command
