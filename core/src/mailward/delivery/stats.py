"""Figures of the queue and of deliveries since the process began."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, frozen

from mailward.spool.entry import Entry, Queue
from mailward.values.delivery import Result, Status


@define
class Figures:
    """What is counted since the process began (SAV-Q-06)."""

    attempts: int = 0
    sent_messages: int = 0
    """Attempts that left nobody to serve."""
    sent_recipients: int = 0
    sent_bytes: int = 0
    """Size of the content, once for each attempt that delivered it to somebody."""
    deferred_recipients: int = 0
    """Counted at each attempt."""
    failed_recipients: int = 0
    """Counted at each attempt."""
    expired_messages: int = 0
    """Messages that grew too old."""
    dsn_generated: int = 0
    """Notifications of all kinds."""
    reordered: int = 0
    """Messages that went to the front because their next hop answered."""
    held: int = 0
    """Additions to hold, those that were dropped later included."""
    quarantined: int = 0
    """Additions to quarantine, those that were dropped later included."""


@frozen
class QueueStats(Figures):
    """The figures of one process, and how its queue stands now; sums over processes are those of the gateway."""

    incoming: int = 0
    """Messages that wait for their scan, now."""
    fast: int = 0
    """Messages that wait for their first attempt, now."""
    slow: int = 0
    """Messages that wait for a further attempt, now."""
    active: int = 0
    """Attempts in progress, now."""
    scanning: int = 0
    """Messages of the incoming queue in the scan, now."""


@define
class Counts(Figures):
    """The figures while they are counted."""

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
