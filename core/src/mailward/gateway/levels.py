"""Levels of a resource: enough, low, short; with a distance between entering a level and leaving it."""

from __future__ import annotations

from enum import IntEnum

from mailward.gateway.link import Levels

_LEAVE = 1.2
"""How many times the free share of a level there must be until it is left again."""


class Level(IntEnum):
    """How much there is; the higher, the worse."""

    ENOUGH = 0
    LOW = 1
    SHORT = 2


def level_of(free_percent: float, before: Level, levels: Levels) -> Level:
    """The level at so much free, if it was ``before`` until now."""
    for level, limit in ((Level.SHORT, levels.stop_percent), (Level.LOW, levels.low_percent)):
        leaves_at = min(limit * _LEAVE, 100.0) if before >= level else limit
        if free_percent < leaves_at:
            return level
    return Level.ENOUGH
