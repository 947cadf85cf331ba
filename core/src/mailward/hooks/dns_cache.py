"""Answers of DNS, kept as long as they say by a clock that nobody sets."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from dns.name import Name
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType
from dns.resolver import Answer, CacheBase

Key = tuple[Name, RdataType, RdataClass]

MOST_S = 86_400.0
"""A day at most: a record that says years is a mistake or a trap."""


class DnsCache(CacheBase):
    """The newest answers; where there are too many, what was asked for longest ago goes.

    dnspython's own caches go by the time of day: where that is set back, they keep answers too long.
    """

    def __init__(self, most_entries: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most = most_entries
        self._monotonic = monotonic
        self._entries: OrderedDict[Key, tuple[float, Answer]] = OrderedDict()

    def get(self, key: Key) -> Answer | None:
        """The answer to a question; None where there is none or its time is over."""
        with self.lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry[0] <= self._monotonic():
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
            return entry[1]

    def put(self, key: Key, value: Answer) -> None:
        """Keep an answer that has just come."""
        ttl_s = min(float(value.chaining_result.minimum_ttl), MOST_S)
        with self.lock:
            self._entries[key] = (self._monotonic() + ttl_s, value)
            self._entries.move_to_end(key)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def left_s(self, answer: Answer) -> float:
        """For how many seconds an answer holds; 0 where it is not kept."""
        with self.lock:
            end, kept = self._entries.get((answer.qname, answer.rdtype, answer.rdclass), (0.0, None))
        return max(0.0, end - self._monotonic()) if kept is answer else 0.0
