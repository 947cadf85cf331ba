"""Names of viruses that mail themselves: the whole message is the virus's work and is dropped (SMS-AV-04)."""

from __future__ import annotations

from mailward import Masks
from mailward_antivirus.definitions import Definitions
from mailward_antivirus.definitions.folder import MASS_MAILERS

SHIPPED = ("*@m", "*@mm", "Email-Worm.*", "I-Worm.*", "Worm.*", "Win.Worm.*")
"""How the names of mass mailers begin or end with the makers of scanners; a set of definitions may bring others."""


def mass_mailers(definitions: Definitions) -> Masks:
    """The masks of the set, one a line, ``#`` before a remark; the shipped ones where it has none."""
    lines = (line.strip() for line in definitions.text(MASS_MAILERS).split("\n"))
    return Masks(tuple(line for line in lines if line and not line.startswith("#")) or SHIPPED)
