"""docs/heuristics.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from mailward_antivirus.heuristics.level import Level
from mailward_antivirus.heuristics.weights import THRESHOLDS, TRAITS

PAGE = Path(__file__).parents[3] / "docs" / "heuristics.md"


def test_the_page_lists_every_trait_with_its_weight():
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|$", PAGE.read_text().partition("## Traits")[2], re.M)
    assert rows == [(rule, f"{one.weight:g}", one.meaning) for rule, one in TRAITS.items()]


def test_the_page_lists_every_level_with_its_threshold():
    rows = dict(re.findall(r"^\| `(low|medium|high)` \| (\d+) \|", PAGE.read_text(), re.M))
    assert rows == {level.value: f"{threshold:g}" for level, threshold in THRESHOLDS.items() if level is not Level.OFF}
