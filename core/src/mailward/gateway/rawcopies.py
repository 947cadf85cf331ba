"""Raw copies of messages as they came, kept for finding faults (SAV-DIA-01)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mailward.engine.config import Config
from mailward.engine.diagnostics import diagnostics_folder
from mailward.hooks.conversation import Capture, make_room, write_private
from mailward.hooks.log import get_logger
from mailward.spool.incoming import Incoming
from mailward.values.errors import SpoolError

_PIECE_BYTES = 256 * 1024


class RawCopies:
    """The folder of the copies; the oldest make room for new ones."""

    def __init__(self, config: Config, time: Callable[[], float]) -> None:
        self._settings = config.core.diagnostics
        self._folder = diagnostics_folder(config) / "messages"
        self._time = time

    @property
    def wanted(self) -> bool:
        """Whether any are kept."""
        return self._settings.messages is not Capture.OFF

    def take(self, incoming: Incoming) -> Path | None:
        """Copy a message that has arrived and is not committed yet. Never raises; blocks while it writes."""
        stamp = datetime.fromtimestamp(self._time(), UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
        file = self._folder / f"{stamp}-{incoming.id}.eml"
        try:
            pieces = (incoming.read(at, _PIECE_BYTES) for at in range(0, incoming.size, _PIECE_BYTES))
            write_private(file, *pieces)
            make_room(self._folder, self._settings.max_messages, self._settings.max_messages_bytes)
        except (OSError, SpoolError) as error:
            get_logger().warning("raw copy not kept", id=incoming.id, problem=str(error))
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
            return None
        return file

    def settle(self, copy: Path | None, failed: bool) -> None:
        """The message has its reply: keep the copy, or drop it where only failures are kept."""
        if copy is not None and not failed and self._settings.messages is Capture.ERRORS:
            copy.unlink(missing_ok=True)
