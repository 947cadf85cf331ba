"""The heuristics as an engine of the plugin."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from mailward import Part
from mailward_antivirus.engine import Surroundings
from mailward_antivirus.heuristics.assess import Heuristics
from mailward_antivirus.heuristics.level import Level
from mailward_antivirus.report import CLEAR, Report, ScanStatus
from mailward_antivirus.report import Trait as Reason

DATA_FILE = "heuristics.toml"
"""The file of a set of definitions that holds weights: a table ``[weights]`` of trait = number."""

_MOST = 1000.0


class HeuristicEngine:
    """Weighs traits; what it finds is suspicious, never infected."""

    name = "heuristics"
    at_once = 1

    def __init__(self, heuristics: Heuristics) -> None:
        self.heuristics = heuristics

    async def version(self) -> str:
        """Answers are not kept: names and surroundings matter, and asking is cheap."""
        return ""

    async def scan(self, part: Part) -> Report:
        """Suspicious where the traits reach the threshold, with every trait as its evidence."""
        assessed = self.heuristics.assess(part)
        if not assessed.traits:
            return CLEAR
        reasons = tuple(Reason(one.rule, self.heuristics.weight(one.rule), one.evidence) for one in assessed.traits)
        if not assessed.suspicious:
            return Report(traits=reasons, score=assessed.score)
        detail = ", ".join(f"{one.name} {one.score:g}" for one in reasons)
        return Report(ScanStatus.SUSPICIOUS, assessed.name, detail, score=assessed.score, traits=reasons)

    def close(self) -> None:
        """Nothing is kept open."""


def make(surroundings: Surroundings) -> Sequence[HeuristicEngine]:
    """The engine, unless the heuristics are off. ValueError where the definitions' weights are wrong."""
    level = surroundings.settings.heuristics
    if level is Level.OFF:
        return ()
    data = surroundings.definitions.data(DATA_FILE)
    return (HeuristicEngine(Heuristics(level, _weights(data) if data else None)),)


def _weights(data: bytes) -> dict[str, float]:
    try:
        table: Any = tomllib.loads(data.decode("utf-8")).get("weights", {})
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{DATA_FILE}: {error}") from error
    wrong = [
        name
        for name, weight in table.items()
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= _MOST
    ]
    if wrong:
        raise ValueError(f"{DATA_FILE}: the weight of {', '.join(wrong)} is no number from 0 to {_MOST:g}")
    return {name: float(weight) for name, weight in table.items()}
