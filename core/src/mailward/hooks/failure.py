"""What a failure of a plugin means for the mail."""

from __future__ import annotations

from enum import StrEnum


class OnFailure(StrEnum):
    """What a failure of a plugin (raised, too late, wrong type) means for the mail."""

    DEFER = "defer"
    UNCHECKED = "unchecked"
    IGNORE = "ignore"
