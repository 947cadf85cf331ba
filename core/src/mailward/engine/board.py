"""The board of switches of one process: who needs to know is told when one is thrown."""

from __future__ import annotations

from collections.abc import Callable

from mailward.values.switches import Switches


class Board:
    """Holds the `Switches` as they are now. Used from the event loop's thread only."""

    def __init__(self, switches: Switches | None = None) -> None:
        self.now = switches or Switches()
        self._watchers: list[Callable[[Switches], None]] = []

    def watch(self, watcher: Callable[[Switches], None]) -> None:
        """Have ``watcher`` called with the new switches after each change; it must be quick."""
        self._watchers.append(watcher)

    def set(self, switches: Switches) -> None:
        """Throw switches."""
        if switches == self.now:
            return
        self.now = switches
        for watcher in self._watchers:
            watcher(switches)
