"""What an instance works with: engines and repairers, made from its settings and one set of definitions.

`makers` makes it. The gateway has none, and does not load what engines need.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from mailward import Masks
from mailward_antivirus.definitions import NO_DEFINITIONS, Definitions
from mailward_antivirus.engine import Engine, Repairer
from mailward_antivirus.signatures import Signatures


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
