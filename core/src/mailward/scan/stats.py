"""Figures of the scan: what was done, how long it took, what went wrong."""

from __future__ import annotations

import attrs
from attrs import define, frozen


@define
class Figures:
    """What is counted since the pool started.

    Fields that end in ``_max`` are the largest of their kind; all others can be summed. Times are those
    of single tries: ``wait`` from hand-over to a scan process, ``scan`` within it.
    """

    waiting_max: int = 0
    tries: int = 0
    """Messages handed to scan processes, second and third tries included."""
    judged: int = 0
    """Verdicts given."""
    failed: int = 0
    """Messages that got none."""
    suspects: int = 0
    """Messages put in hold because their scan ended its process three times."""
    turned_away: int = 0
    """Messages refused at once because the line was full."""
    overloads: int = 0
    """Load-exceeded events: more messages waited than the threshold."""
    started: int = 0
    """Scan processes started."""
    deaths: int = 0
    """Scan processes that ended with a message, or without being asked; hung ones included."""
    hung: int = 0
    """Scan processes ended because their message's time was over."""
    slow: int = 0
    """Messages that went on beside the workers."""
    recycled: int = 0
    """Scan processes replaced after their number of messages, or because they had grown."""
    remote: int = 0
    """Messages judged by scan servers."""
    remote_failures: int = 0
    """Tries at scan servers that failed."""
    wait_s: float = 0.0
    wait_s_max: float = 0.0
    scan_s: float = 0.0
    scan_s_max: float = 0.0


@frozen
class PoolStats(Figures):
    """The figures of one gateway's `Pool` since it started, and how it stands now."""

    idle: int = 0
    """Scan processes without a message, now."""
    busy: int = 0
    """Workers with a message, now."""
    aside: int = 0
    """Processes beside the workers, with a slow or suspect message, now."""
    waiting: int = 0
    """Messages in line, now."""

    def plus(self, other: PoolStats) -> PoolStats:
        """These figures and another gateway's, together."""
        ours, theirs = attrs.asdict(self), attrs.asdict(other)
        return PoolStats(
            **{
                name: max(value, theirs[name]) if name.endswith("_max") else value + theirs[name]
                for name, value in ours.items()
            }
        )

    @property
    def scan_s_mean(self) -> float:
        """Seconds that a try took in its scan process, on average; 0 before the first."""
        return self.scan_s / self.tries if self.tries else 0.0

    @property
    def wait_s_mean(self) -> float:
        """Seconds that a message waited in line, on average; 0 before the first."""
        return self.wait_s / self.tries if self.tries else 0.0


@define
class Counts(Figures):
    """The figures while they are counted."""

    def waits(self, number: int) -> None:
        """So many messages are in line now."""
        self.waiting_max = max(self.waiting_max, number)

    def began(self, waited_s: float) -> None:
        """A message came to a scan process after this time in line."""
        self.tries += 1
        self.wait_s += waited_s
        self.wait_s_max = max(self.wait_s_max, waited_s)

    def scanned(self, took_s: float) -> None:
        """A scan process has answered after this time."""
        self.scan_s += took_s
        self.scan_s_max = max(self.scan_s_max, took_s)

    def stats(self, gauges: tuple[int, int, int], waiting: int) -> PoolStats:
        """The figures, with how it stands now."""
        idle, busy, aside = gauges
        return PoolStats(idle=idle, busy=busy, aside=aside, waiting=waiting, **attrs.asdict(self))
