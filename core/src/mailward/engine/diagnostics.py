"""Where conversations are kept, by the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from mailward.engine.config import Config
from mailward.hooks.conversation import ConversationLog


def diagnostics_folder(config: Config) -> Path:
    """The folder of everything that is kept for finding faults."""
    return config.state / "diagnostics"


def conversation_log(
    config: Config, direction: Literal["inbound", "outbound"], time: Callable[[], float]
) -> ConversationLog:
    """The log of the conversations of one direction."""
    settings = config.core.diagnostics
    inbound = direction == "inbound"
    return ConversationLog(
        diagnostics_folder(config) / direction,
        capture=settings.inbound if inbound else settings.outbound,
        errors=settings.inbound_errors if inbound else settings.outbound_errors,
        content=settings.inbound_data if inbound else settings.outbound_data,
        max_files=settings.max_files,
        max_bytes=settings.max_file_bytes,
        time=time,
    )
