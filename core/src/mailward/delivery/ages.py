"""How old messages are when the time of day is set while they wait: as old as before."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import evolve

from mailward.hooks.clock import Clock
from mailward.hooks.log import get_logger
from mailward.spool.entry import Entry

LEAST_JUMP_S = 5.0
"""Less than this is no step, but what keeps a clock right."""

_log = get_logger("mailward.delivery")


class Jumps:
    """Notices that the time of day was set: it has gone further than the clock that nobody sets, or less far."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._apart_s = self._apart()

    def _apart(self) -> float:
        return self._clock.time() - self._clock.monotonic()

    def look(self) -> float:
        """By how many seconds it was set since the last look; 0 where it was not."""
        apart_s = self._apart()
        by_s = apart_s - self._apart_s
        if abs(by_s) < LEAST_JUMP_S:
            return 0.0
        self._apart_s = apart_s
        return by_s


def born_later(entry: Entry, by_s: float, now: float) -> Entry:
    """The entry as one that is so many seconds younger, and in no case from the future; ``now`` is Unix seconds."""
    created_at = min(entry.created_at + by_s, now)
    return entry if created_at == entry.created_at else evolve(entry, created_at=created_at)


class Ages:
    """Remembers of the messages that wait by how much the time of day was set since they came.

    Only `Entry.created_at` needs that: waits are kept by the other clock. Across a restart there is nothing
    but the time of day to go by.
    """

    def __init__(self, clock: Clock, waiting: Callable[[], Iterable[str]]) -> None:
        """``waiting`` gives the ids of the messages that are there."""
        self._clock = clock
        self._jumps = Jumps(clock)
        self._waiting = waiting
        self._set_by_s: dict[str, float] = {}

    def look(self) -> None:
        """Notice whether the time of day was set; to be called before another message comes in."""
        by_s = self._jumps.look()
        if not by_s:
            return
        _log.warning("the time of day was set, messages keep their age", by_s=round(by_s, 3))
        for message_id in set(self._waiting()):
            self._set_by_s[message_id] = self._set_by_s.get(message_id, 0.0) + by_s

    def in_time(self, entry: Entry) -> Entry:
        """The entry with the birth that makes it as old now as it is."""
        self.look()
        return born_later(entry, self._set_by_s.get(entry.id, 0.0), self._clock.time())

    def forget(self, message_id: str) -> None:
        """Its birth has been written anew, or it is gone."""
        self._set_by_s.pop(message_id, None)
