"""Alerts: events for people, not more than one of a kind within an hour, whatever the number of processes."""

from __future__ import annotations

import time
from pathlib import Path

from attrs import define, field

from mailward import Context, Custom

REST_S = 3600.0
_FOLDER = "alerts"


@define(eq=False)
class Alerts:
    """Emits events of this plugin and logs them; which were emitted is shared through files in the store."""

    context: Context
    _said: dict[str, float] = field(factory=dict, init=False)

    def tell(self, rule: str, detail: str, *fields: tuple[str, str]) -> bool:
        """Emit the event ``rule`` unless there was one within `REST_S`; whether it was emitted."""
        if self._said_lately(rule):
            return False
        self.emit(rule, detail, *fields)
        return True

    def emit(self, rule: str, detail: str, *fields: tuple[str, str]) -> None:
        """Emit the event ``rule``, and log it."""
        self.context.log.error(rule.replace("_", " "), detail=detail, **dict(fields))
        self.context.emit(Custom(plugin=self.context.name, rule=rule, fields=(("detail", detail), *fields)))

    def _said_lately(self, rule: str) -> bool:
        now = time.monotonic()
        if now - self._said.get(rule, float("-inf")) < REST_S:
            return True
        self._said[rule] = now
        try:
            return _marked(self.context.store() / _FOLDER, rule)
        except OSError:
            return False  # what cannot be shared is said by each process


def _marked(folder: Path, rule: str) -> bool:
    """Whether another process has left its mark within `REST_S`; leaves one otherwise."""
    folder.mkdir(mode=0o700, exist_ok=True)
    mark = folder / rule
    try:
        if 0 <= time.time() - mark.stat().st_mtime < REST_S:
            return True
    except FileNotFoundError:
        pass
    mark.touch(mode=0o600)
    return False
