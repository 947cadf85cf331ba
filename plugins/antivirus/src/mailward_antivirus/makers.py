"""Who makes engines and repairers: the two tables, and the equipment that comes of them."""

from __future__ import annotations

from mailward_antivirus import clamd, command, icap, signatures, yara
from mailward_antivirus.disarm import repairer
from mailward_antivirus.engine import EngineFactory, RepairerFactory, Surroundings
from mailward_antivirus.equipment import Equipment
from mailward_antivirus.heuristics import engine as heuristics
from mailward_antivirus.massmailer import mass_mailers

ENGINES: tuple[EngineFactory, ...] = (
    signatures.make,
    yara.make,
    heuristics.make,
    command.make,
    clamd.make,
    icap.make,
)
"""In the order in which they are asked: what is cheap and sure first."""

REPAIRERS: tuple[RepairerFactory, ...] = (repairer.make,)
"""In the order in which they are asked."""


def equip(surroundings: Surroundings) -> Equipment:
    """Make everything. ValueError says which setting or file cannot be carried out."""
    return Equipment(
        tuple(engine for make in ENGINES for engine in make(surroundings)),
        tuple(repairer for make_one in REPAIRERS for repairer in make_one(surroundings)),
        mass_mailers(surroundings.definitions),
        surroundings.definitions,
    )
