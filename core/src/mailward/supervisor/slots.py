"""The slots of the spool: which process has which, and which hold mail that nobody looks after."""

from __future__ import annotations


class Slots:
    """Numbers from 0 on. A slot whose process has ended stays taken until its mail was taken over."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._orphans: set[int] = set()

    def take(self) -> str:
        """The lowest slot that is free."""
        number = 0
        while number in self._used or number in self._orphans:
            number += 1
        self._used.add(number)
        return str(number)

    def orphan(self, slot: str) -> None:
        """The process of this slot has ended, and no other will get the slot before its mail was taken over."""
        self._used.discard(int(slot))
        self._orphans.add(int(slot))

    def adopted(self, slots: tuple[str, ...]) -> None:
        """The mail of these slots was taken over."""
        self._orphans -= {int(slot) for slot in slots}

    @property
    def in_use(self) -> tuple[str, ...]:
        """The slots of processes that live or are about to come back."""
        return tuple(str(number) for number in sorted(self._used))

    @property
    def orphans(self) -> tuple[str, ...]:
        """The slots to be taken over."""
        return tuple(str(number) for number in sorted(self._orphans))
