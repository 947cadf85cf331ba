"""Message ids: ours alone, so that nothing a client sends ever becomes a file name."""

from __future__ import annotations

import os
import re

from mailward.hooks.clock import Clock
from mailward.values.errors import SpoolError

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS = 9
_RANDOM_DIGITS = 6
_ID = re.compile(r"[A-Za-z0-9]{1,64}")


def _base32(number: int, digits: int) -> str:
    return "".join([_DIGITS[(number >> shift) & 31] for shift in range(5 * (digits - 1), -1, -5)])


def new_id(clock: Clock, slot: str = "0") -> str:
    """A new message id: milliseconds, 30 random bits, then the slot; sorts by time.

    Unique across the processes of one spool because slots differ; within a slot a repetition
    would need the same millisecond and the same 30 bits, and is then refused by the file system.
    """
    milliseconds = int(clock.time() * 1000)
    return _base32(milliseconds, _TIME_DIGITS) + _base32(int.from_bytes(os.urandom(4), "big"), _RANDOM_DIGITS) + slot


def is_id(text: str) -> bool:
    """Whether ``text`` may be an id (or a slot): 1 to 64 ASCII letters and digits."""
    return _ID.fullmatch(text) is not None


def check_id(text: str) -> str:
    """``text`` itself; raises SpoolError where it is no id."""
    if _ID.fullmatch(text) is None:
        raise SpoolError(f"{text[:80]!r} is not an id: 1 to 64 letters and digits")
    return text
