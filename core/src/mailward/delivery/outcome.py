"""What the results of an attempt mean for the entry: arithmetic only."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from mailward.delivery.retry import Retry
from mailward.spool.entry import Entry, Failure, Queue
from mailward.values.delivery import Result, Status
from mailward.values.event import Queued


@frozen
class Settled:
    """``entry`` as it goes on (None: nobody is left), and the results of those whose sender must be told."""

    entry: Entry | None
    failed: tuple[Result, ...]


def queued(entry: Entry) -> Queued:
    """The event that the entry goes on in the slow queue, in hold or in quarantine."""
    return Queued(
        message_id=entry.id,
        queue=entry.queue,
        reason=entry.reason,
        recipients=entry.envelope.recipients,
        retry_at=entry.retry_at,
        origin=entry.came_as,
    )


def without_delivered(entry: Entry, results: Iterable[Result]) -> Entry:
    """The entry without the recipients that got their copy."""
    delivered = {result.recipient for result in results if result.status is Status.DELIVERED}
    if not delivered:
        return entry
    return entry.left_for(tuple(one for one in entry.envelope.recipients if one not in delivered))


def settle(entry: Entry, results: tuple[Result, ...], retry: Retry, now: float, jitter: float) -> Settled:
    """Who is left after an attempt, and who failed: for good, or because the message grew too old.

    ``now`` is Unix seconds, ``jitter`` lies in -1..1.
    """
    left = tuple(result for result in results if result.status in (Status.DEFERRED, Status.UNREACHABLE))
    failed = tuple(result for result in results if result.status is Status.FAILED)
    if left and retry.expired(entry.created_at, now):
        return Settled(None, (*failed, *left))
    return Settled(put_off(entry, left, retry, now, jitter) if left else None, failed)


def put_off(entry: Entry, left: tuple[Result, ...], retry: Retry, now: float, jitter: float) -> Entry:
    """The entry for the slow queue, with these recipients left."""
    attempts = entry.attempts + 1
    failures = tuple(Failure(str(one.recipient.address), one.reply, one.detail, one.next_hop, now) for one in left)
    return evolve(
        entry.left_for(tuple(one.recipient for one in left)),
        queue=Queue.SLOW,
        reason=next((text for one in failures if (text := str(one.reply or "") or one.detail)), "deferred"),
        attempts=attempts,
        retry_at=retry.next_at(entry.created_at, attempts, now, jitter),
        results=failures,
    )
