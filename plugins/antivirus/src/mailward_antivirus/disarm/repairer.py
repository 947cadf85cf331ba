"""Disarming as a repairer of the plugin (SAV-AV-04)."""

from __future__ import annotations

from collections.abc import Sequence

from mailward import Part
from mailward_antivirus.disarm.disarm import can_disarm, disarm
from mailward_antivirus.disarm.outcome import CannotDisarm
from mailward_antivirus.engine import Surroundings, Treatment
from mailward_antivirus.report import Report


class Disarmer:
    """Takes out of documents and pages what acts."""

    name = "disarm"

    def accepts(self, part: Part, report: Report) -> bool:
        """Whether it is a kind of content that can be disarmed."""
        return can_disarm(part)

    async def repair(self, part: Part, report: Report) -> Treatment:
        """The content without what acts, or why not; where nothing acts, there is nothing to repair."""
        try:
            disarmed = disarm(part)
        except CannotDisarm as error:
            return Treatment(None, str(error))
        if not disarmed.removed:
            return Treatment(None, "nothing in it acts that could be taken out")
        return Treatment(disarmed.content, f"took out {', '.join(disarmed.removed)}")


def make(surroundings: Surroundings) -> Sequence[Disarmer]:
    """The repairer, unless the settings leave it out."""
    return (Disarmer(),) if surroundings.settings.disarm else ()
