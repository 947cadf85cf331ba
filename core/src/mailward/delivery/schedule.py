"""What is to be attempted next: the fast backlog first, the slow queue when its time comes."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator

from attrs import frozen

from mailward.spool.entry import Entry, Queue

_KEPT_ENTRIES = 1000


@frozen
class Due:
    """A message whose turn it is; ``entry`` is None where it must be read from its file."""

    id: str
    queue: Queue
    entry: Entry | None = None


class Schedule:
    """Order of attempts, in memory. Of a waiting message only id and time are kept, however many wait.

    Times are those of the monotonic clock, in seconds: setting the time of day moves no attempt.

    Slow messages that failed because a next hop could not be reached go to the front as soon as
    that next hop takes other mail (SMS-FLOW-04, SAV-Q-03).
    """

    def __init__(self) -> None:
        self._fast: dict[str, Entry | None] = {}
        self._kept = 0
        self._slow: dict[str, float] = {}
        self._times: list[tuple[float, str]] = []
        self._ready: deque[str] = deque()
        self._waiting: dict[str, set[str]] = {}

    def add_fast(self, entry: Entry) -> None:
        """Attempt as soon as there is room."""
        keep = self._kept < _KEPT_ENTRIES
        self._kept += keep
        self._fast[entry.id] = entry if keep else None

    def add_slow(self, message_id: str, retry_at: float, hops: Iterable[str] = ()) -> None:
        """Attempt at ``retry_at``, or when one of ``hops`` answers."""
        self._slow[message_id] = retry_at
        heapq.heappush(self._times, (retry_at, message_id))
        for hop in hops:
            self._waiting.setdefault(hop, set()).add(message_id)

    def answers(self, hop: str) -> int:
        """A next hop takes mail: what waits for it is due now; how many messages that are."""
        waiting = self._waiting.pop(hop, None)
        if not waiting:
            return 0
        moved = [message_id for message_id in sorted(waiting) if message_id in self._slow]
        for message_id in moved:
            self._slow[message_id] = 0.0
        self._ready.extend(moved)
        return len(moved)

    def forget(self, message_id: str) -> float | None:
        """Take a message out; when it would have been due, None where it does not wait here."""
        if message_id in self._fast:
            self._kept -= self._fast.pop(message_id) is not None
            return 0.0
        return self._slow.pop(message_id, None)

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._fast or message_id in self._slow

    def take_fast(self) -> Due | None:
        """The next message of the fast queue, taken out; None where there is none."""
        if not self._fast:
            return None
        message_id = next(iter(self._fast))
        entry = self._fast.pop(message_id)
        self._kept -= entry is not None
        return Due(message_id, Queue.FAST, entry)

    def take_slow(self, now: float) -> Due | None:
        """The next message of the slow queue whose time has come, taken out; None where there is none."""
        while self._ready:
            message_id = self._ready.popleft()
            if self._slow.pop(message_id, None) is not None:
                return Due(message_id, Queue.SLOW)
        while self._times and self._times[0][0] <= now:
            retry_at, message_id = heapq.heappop(self._times)
            if self._slow.get(message_id) == retry_at:
                del self._slow[message_id]
                return Due(message_id, Queue.SLOW)
        return None

    def is_due(self, now: float) -> bool:
        """Whether a message could be taken at ``now``."""
        next_at = self.next_at()
        return bool(self._fast) or (next_at is not None and next_at <= now)

    def next_at(self) -> float | None:
        """When the next slow message is due; None where none waits."""
        if self._ready:
            return 0.0
        while self._times and self._slow.get(self._times[0][1]) != self._times[0][0]:
            heapq.heappop(self._times)
        return self._times[0][0] if self._times else None

    def __iter__(self) -> Iterator[str]:
        yield from self._fast
        yield from self._slow

    def __len__(self) -> int:
        return len(self._fast) + len(self._slow)

    def depths(self) -> tuple[int, int]:
        """How many wait for their first attempt, and how many for a further one."""
        return len(self._fast), len(self._slow)
