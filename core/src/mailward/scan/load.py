"""Whether more messages wait than they should, and when to say so (IMA-SRV-06, IMA-ALR-06)."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class LoadWatch:
    """Told how many messages wait; says when that is worth an event: at once, then at most once per interval.

    The interval goes on through a brief recovery, so that a load about the threshold does not flood
    the administrator. Exactly at the threshold is not over it.
    """

    def __init__(self, threshold: int, interval_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._threshold = threshold
        self._interval_s = interval_s
        self._clock = clock
        self._told_at = float("-inf")

    def waits(self, number: int) -> bool:
        """Note the number; whether to tell now."""
        if number <= self._threshold or self._clock() - self._told_at < self._interval_s:
            return False
        self._told_at = self._clock()
        return True
