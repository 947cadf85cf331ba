"""The supervisor's own log lines, in the two forms that gateway processes write, without their means."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from mailward.hooks.outlet import LOST, standard_error

_LEVELS = ("debug", "info", "warning", "error")


class Log:
    """Writes lines to standard error; text and from ``info`` on, until it is told otherwise."""

    def __init__(self) -> None:
        self._least = 1
        self._json = False
        self._outlet = standard_error(lambda count: self._line("warning", LOST, {"count": count}))

    def configure(self, level: str, form: str) -> None:
        """Write lines from this level on, as ``text`` or ``json``."""
        self._least = _LEVELS.index(level)
        self._json = form == "json"

    def info(self, event: str, **fields: Any) -> None:
        """Write a line about something ordinary."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Write a line about something to look at."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Write a line about something that has to be mended."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if _LEVELS.index(level) < self._least:
            return
        self._outlet.write(self._line(level, event, fields))

    def plain(self, text: str) -> None:
        """Write a text for the person who starts the program."""
        self._outlet.write(text)

    def _line(self, level: str, event: str, fields: dict[str, Any]) -> str:
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if self._json:
            text = json.dumps({**fields, "event": event, "level": level, "timestamp": at}, default=str)
        else:
            words = " ".join(
                f"{key}={value if isinstance(value, str) else repr(value)}" for key, value in fields.items()
            )
            text = f"{at} [{level:<9}] {event:<30} {words}".rstrip()
        return text.replace("\n", "\\n")
