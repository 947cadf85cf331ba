"""What an instance works with: engines and repairers, made from its settings and one set of definitions."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from mailward import Masks
from mailward_antivirus import clamd, command, icap, signatures, yara
from mailward_antivirus.definitions import NO_DEFINITIONS, Definitions
from mailward_antivirus.disarm import repairer
from mailward_antivirus.engine import Engine, EngineFactory, Repairer, RepairerFactory, Surroundings
from mailward_antivirus.heuristics import engine as heuristics
from mailward_antivirus.massmailer import mass_mailers
from mailward_antivirus.signatures import Signatures

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


@frozen(eq=False)
class Equipment:
    """Engines, repairers and lists of one set of definitions. Never changed: another set makes another one."""

    engines: Sequence[Engine] = ()
    repairers: Sequence[Repairer] = ()
    mass_mailers: Masks = field(factory=Masks)
    definitions: Definitions = NO_DEFINITIONS

    @property
    def keeps(self) -> bool:
        """Whether any engine's answers may be kept."""
        return any(not isinstance(engine, Signatures) or engine.known.digest for engine in self.engines)

    def close(self) -> None:
        """End what the engines keep open."""
        for engine in self.engines:
            engine.close()


def equip(surroundings: Surroundings) -> Equipment:
    """Make everything. ValueError says which setting or file cannot be carried out."""
    return Equipment(
        tuple(engine for make in ENGINES for engine in make(surroundings)),
        tuple(repairer for make_one in REPAIRERS for repairer in make_one(surroundings)),
        mass_mailers(surroundings.definitions),
        surroundings.definitions,
    )
