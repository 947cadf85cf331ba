"""How log lines of a process look, and where they go."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from mailward.engine.core_settings import LogFormat, LogLevel, LogSettings
from mailward.hooks.log import structlog
from mailward.hooks.outlet import LOST, Outlet, standard_error

LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}


_ENCODER = msgspec.json.Encoder(enc_hook=repr)


def _json(fields: dict[str, Any], **options: Any) -> str:
    """A line as JSON; what msgspec cannot write (a lone surrogate) is written by the slower library."""
    try:
        return _ENCODER.encode(fields).decode()
    except (UnicodeEncodeError, TypeError):
        return json.dumps(fields, **options)


def _escaped(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Values from outside with what would move, colour or turn round the text of a terminal written as escapes."""
    for key, value in fields.items():
        if isinstance(value, str) and not value.isprintable() and key != "exception":
            fields[key] = "".join([char if char.isprintable() else repr(char)[1:-1] for char in value])
    return fields


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _lost_in_text(count: int) -> str:
    return f"{_now()} [warning  ] {LOST:<30} count={count}"


def _lost_in_json(count: int) -> str:
    return _json({"count": count, "event": LOST, "level": "warning", "timestamp": _now()})


class _Lines:
    """The end of the chain: a line leaves in one write, so that those of several processes do not mix."""

    def __init__(self, outlet: Outlet) -> None:
        self.msg: Callable[[str], None] = outlet.write
        self.debug = self.info = self.warning = self.error = self.critical = self.exception = self.msg


class _Loggers:
    """Makes them; structlog asks for one for each logger."""

    def __init__(self, outlet: Outlet) -> None:
        self._lines = _Lines(outlet)

    def __call__(self, *args: Any) -> _Lines:
        return self._lines


def configure(settings: LogSettings) -> None:
    """Set the log up for this process: to standard error, as text or JSON lines."""
    text = settings.format is LogFormat.TEXT
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *((_escaped,) if text else ()),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
            if text
            else structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=_Loggers(standard_error(_lost_in_text if text else _lost_in_json)),
        cache_logger_on_first_use=True,
    )
    for name in ("mail.log", "mail.debug"):  # aiosmtpd's
        logging.getLogger(name).setLevel(logging.ERROR)
