"""The time, as the core and its plugins ask for it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic as unix_monotonic
from time import time as unix_time

from attrs import frozen


@frozen
class Clock:
    """The time; tests put their own in its place."""

    time: Callable[[], float] = unix_time
    monotonic: Callable[[], float] = unix_monotonic
