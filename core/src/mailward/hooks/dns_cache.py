"""Answers of DNS, kept as long as they say by a clock that nobody sets."""

from __future__ import annotations

import time
from collections.abc import Callable

from dns.name import Name
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType
from dns.resolver import Answer, CacheBase

from mailward.hooks.expiring import Expiring

Key = tuple[Name, RdataType, RdataClass]

MOST_S = 86_400.0
"""A day at most: a record that says years is a mistake or a trap."""


class DnsCache(CacheBase):
    """The newest answers; where there are too many, what was asked for longest ago goes.

    dnspython's own caches go by the time of day: where that is set back, they keep answers too long.
    """

    def __init__(self, most_entries: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._answers: Expiring[Key, Answer] = Expiring(monotonic, most_entries)

    def get(self, key: Key) -> Answer | None:
        """The answer to a question; None where there is none or its time is over."""
        with self.lock:
            return self._answers.get(key)

    def put(self, key: Key, value: Answer) -> None:
        """Keep an answer that has just come."""
        with self.lock:
            self._answers.put(key, value, min(float(value.chaining_result.minimum_ttl), MOST_S))

    def left_s(self, answer: Answer) -> float:
        """For how many seconds an answer holds; 0 where it is not kept."""
        key = (answer.qname, answer.rdtype, answer.rdclass)
        with self.lock:
            return self._answers.left_s(key) if self._answers.get(key) is answer else 0.0
