"""Waiting for what another process does: polling with a deadline, never a bare sleep."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 60.0
_STEP_S = 0.01


def until(look: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S, story: Callable[[], str] = str) -> T:
    """The first true value that ``look`` returns; an AssertionError with ``story`` where there is none in time."""
    end = time.monotonic() + patience_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience_s:g} s in vain for {what}\n{story()}")
        time.sleep(_STEP_S)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
