"""Time limits of connections: one timer looks at all of them, so that a command costs no timer of its own."""

from __future__ import annotations

import asyncio
from typing import Protocol

SWEEP_S = 0.5


class Timed(Protocol):
    """Something that may run out of time."""

    def check_time(self, now: float) -> None:
        """Act where it has; ``now`` is the event loop's time."""
        ...


class Watch:
    """Checks everybody that is in it twice a second, and rests while nobody is."""

    def __init__(self) -> None:
        self._watched: set[Timed] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, one: Timed) -> None:
        """Look after ``one``. To be called on the event loop."""
        self._watched.add(one)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def discard(self, one: Timed) -> None:
        """Look after ``one`` no more."""
        self._watched.discard(one)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for one in tuple(self._watched):
            one.check_time(now)
        self._timer = loop.call_later(SWEEP_S, self._sweep) if self._watched else None
