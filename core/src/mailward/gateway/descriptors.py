"""How many descriptors this process has left."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable

from mailward.engine.board import DESCRIPTORS
from mailward.engine.process_settings import HealthSettings
from mailward.gateway.levels import Level, level_of
from mailward.gateway.link import Levels
from mailward.values.event import Event, ResourceLow, ResourceRecovered


class Descriptors:
    """Looks at the descriptors of the process, and tells when they run out."""

    def __init__(self, settings: HealthSettings, place: str, emit: Callable[[Event], None]) -> None:
        self._levels = Levels(settings.files_low_percent, settings.files_stop_percent)
        self._place = place
        self._emit = emit
        self._level = Level.ENOUGH
        self.used = 0

    @property
    def short(self) -> bool:
        """Whether so few were left at the last look that no more clients can be served."""
        return self._level is Level.SHORT

    def look(self) -> None:
        """Count them, and tell of a change."""
        self.used = len(os.listdir("/proc/self/fd"))
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        free_percent = 100.0 * max(0, limit - self.used) / limit
        level = level_of(free_percent, self._level, self._levels)
        if level is not self._level:
            self._level = level
            self._emit(change_of(DESCRIPTORS, self._place, free_percent, level))


def change_of(resource_name: str, place: str, free_percent: float, level: Level) -> Event:
    """The event that tells of a new level."""
    if level is Level.ENOUGH:
        return ResourceRecovered(resource=resource_name, place=place, free_percent=free_percent)
    return ResourceLow(resource=resource_name, place=place, free_percent=free_percent, refusing=level is Level.SHORT)
