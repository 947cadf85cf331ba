"""The levels of the heuristics."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """How suspicious the heuristics are: a higher level finds more, also more that is harmless.

    SAV-AV-01, SMS-AV-01; IMA-SRV-07 numbers them 0 to 3.
    """

    OFF = "off"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
