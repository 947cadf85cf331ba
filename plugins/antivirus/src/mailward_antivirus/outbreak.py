"""Outbreaks: so many infected messages within so much time (SAV-OUT-01, SMS-AV-06).

The window is one file that all processes share under a lock. It holds the latest messages only, as many as
make an outbreak: there is one if the oldest of them still lies in the window. Messages count, not files,
and each once, however often it is scanned. After an alert there is none for a whole window.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from attrs import define, frozen


@frozen
class Outbreak:
    """An alert: ``messages`` infected ones within ``window_s`` seconds."""

    messages: int
    window_s: float


@define
class _State:
    """What the file holds: time and id of the latest infected messages, and the time of the last alert."""

    seen: list[tuple[float, str]]
    alerted_at: float

    @classmethod
    def read(cls, text: str) -> _State:
        """A file that is damaged is an empty one."""
        try:
            found: Any = json.loads(text)
            seen = [(float(at), str(name)) for at, name in found["seen"]]
            return cls(seen, float(found["alerted_at"]))
        except (ValueError, TypeError, KeyError):
            return cls([], 0.0)


@frozen
class Window:
    """The sliding window in the file ``path``."""

    path: Path
    messages: int
    window_s: float

    def note(self, message_id: str, now: float) -> Outbreak | None:
        """Count an infected message; the alert that it sets off, if any. Raises OSError."""
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8", errors="replace") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            state = _State.read(file.read())
            if message_id and any(name == message_id for _, name in state.seen):
                return None
            # a clock that was set back must not keep old entries for ever
            state.seen = [(at, name) for at, name in state.seen if now - self.window_s < at <= now]
            state.seen = [*state.seen, (now, message_id)][-self.messages :]
            rested = not now - self.window_s < state.alerted_at <= now
            outbreak = len(state.seen) >= self.messages and rested
            if outbreak:
                state.alerted_at = now
            file.seek(0)
            file.truncate()
            json.dump({"seen": state.seen, "alerted_at": state.alerted_at}, file)
        return Outbreak(len(state.seen), self.window_s) if outbreak else None
