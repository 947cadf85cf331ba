"""Heuristics in the manner of Bloodhound: marks of harm that need no signature, weighed (SAV-AV-01, SMS-AV-01).

`examine` finds the traits of a part, `Heuristics.assess` adds up those of a document and holds the sum
against the level. The weights stand in `weights`, one table; docs/heuristics.md is drawn from it.
"""

from mailward_antivirus.heuristics.assess import Assessment, Heuristics
from mailward_antivirus.heuristics.trait import Level, Trait
from mailward_antivirus.heuristics.weights import THRESHOLDS, TRAITS

__all__ = ["THRESHOLDS", "TRAITS", "Assessment", "Heuristics", "Level", "Trait"]
