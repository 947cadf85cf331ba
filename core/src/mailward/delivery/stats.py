"""Figures of the queue and of deliveries since the process began."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, frozen

from mailward.spool.entry import Entry, Queue
from mailward.values.delivery import Result, Status


@frozen
class QueueStats:
    """The figures of one process; sums over processes are those of the gateway.

    Gauges, as it is now: ``incoming``, ``fast`` and ``slow`` messages that wait; ``active`` attempts in
    progress; ``scanning`` messages of the incoming queue in the scan.

    Counts since the start: ``attempts``; ``sent_messages`` (attempts that left nobody to serve),
    ``sent_recipients``, ``sent_bytes`` (content, once for each recipient's delivery of a message);
    ``deferred_recipients`` and ``failed_recipients`` by attempt; ``expired_messages`` that grew too old;
    ``dsn_generated`` notifications of all kinds; ``reordered`` messages that went to the front because
    their next hop answered; ``held`` and ``quarantined`` additions, those that were dropped later
    included (SAV-Q-06).
    """

    incoming: int = 0
    fast: int = 0
    slow: int = 0
    active: int = 0
    scanning: int = 0
    attempts: int = 0
    sent_messages: int = 0
    sent_recipients: int = 0
    sent_bytes: int = 0
    deferred_recipients: int = 0
    failed_recipients: int = 0
    expired_messages: int = 0
    dsn_generated: int = 0
    reordered: int = 0
    held: int = 0
    quarantined: int = 0


@define
class Counts:
    """The counts while they grow."""

    attempts: int = 0
    sent_messages: int = 0
    sent_recipients: int = 0
    sent_bytes: int = 0
    deferred_recipients: int = 0
    failed_recipients: int = 0
    expired_messages: int = 0
    dsn_generated: int = 0
    reordered: int = 0
    held: int = 0
    quarantined: int = 0

    def attempted(self, entry: Entry, results: Iterable[Result], *, over: bool) -> None:
        """Count an attempt; ``over`` says that nobody is left to serve."""
        self.attempts += 1
        delivered = temporary = 0
        for result in results:
            if result.status is Status.DELIVERED:
                delivered += 1
            elif result.status is Status.FAILED:
                self.failed_recipients += 1
            else:
                temporary += 1
        self.sent_recipients += delivered
        self.sent_bytes += entry.size_bytes if delivered else 0
        self.deferred_recipients += temporary
        self.expired_messages += over and temporary > 0
        self.sent_messages += over and delivered > 0

    def came_to_stay(self, queue: Queue) -> None:
        """Count an addition to hold or quarantine."""
        self.held += queue is Queue.HOLD
        self.quarantined += queue is Queue.QUARANTINE
