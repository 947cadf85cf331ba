"""A cache with an end for each entry and a bound on their number."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST_ENTRIES = 10_000


class Expiring(Generic[K, V]):
    """Values by key, each for its own time; where there are too many, what was asked for longest ago goes."""

    def __init__(self, monotonic: Callable[[], float], most_entries: int = MOST_ENTRIES) -> None:
        self._monotonic = monotonic
        self._most = most_entries
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value of ``key``, None where there is none or its time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._monotonic():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def left_s(self, key: K) -> float:
        """For how many seconds ``key`` is kept yet; 0 where it is not."""
        entry = self._entries.get(key)
        return max(0.0, entry[0] - self._monotonic()) if entry is not None else 0.0

    def put(self, key: K, value: V, seconds: float) -> None:
        """Keep ``value`` for so many seconds from now."""
        self._entries[key] = (self._monotonic() + seconds, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def forget(self, key: K) -> None:
        """Drop ``key``, if it is there."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
