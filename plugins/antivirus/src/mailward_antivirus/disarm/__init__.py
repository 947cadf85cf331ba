"""Disarming: what acts in a document is taken out, everything else stays (SAV-AV-04 repair, KAV-SCN-03 cure)."""

from mailward_antivirus.disarm.disarm import disarm
from mailward_antivirus.disarm.outcome import CannotDisarm, Disarmed

__all__ = ["CannotDisarm", "Disarmed", "disarm"]
