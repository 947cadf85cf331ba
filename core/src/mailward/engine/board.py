"""The board of one process: what is switched off, what is short, and what clients are told because of it."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from mailward.values.reply import Reply
from mailward.values.switches import Switches

NOT_ACCEPTING = Reply(421, "4.3.2", "Not accepting mail now, try again later")
SHORT = Reply(452, "4.3.1", "Insufficient system resources, try again later")
DESCRIPTORS = "descriptors"
"""The resource that a connection takes; all others are taken by mail."""


@frozen
class Refusal:
    """What a client is told, and the rule behind it."""

    reply: Reply
    rule: str


class Board:
    """Holds the `Switches` as they are now, and the resources that are short.

    Used from the event loop's thread only.
    """

    def __init__(self, switches: Switches | None = None) -> None:
        self.now = switches or Switches()
        self.short: frozenset[str] = frozenset()
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

    def refuses_connection(self) -> Refusal | None:
        """Why a client may not stay: mail is rejected (SAV-DLV-02), or there are no descriptors for him."""
        if not self.now.accept:
            return Refusal(NOT_ACCEPTING, "reject")
        if DESCRIPTORS in self.short:
            return Refusal(NOT_ACCEPTING, DESCRIPTORS)
        return None

    def refuses_mail(self) -> Refusal | None:
        """Why no message may begin: disk or memory is short."""
        return Refusal(SHORT, " ".join(sorted(self.short))) if self.short else None
