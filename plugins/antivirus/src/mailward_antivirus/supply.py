"""The equipment in use: made at start, and anew when another set of definitions comes into use (IMA-UPD-02).

Scans go on with what there is while the new set is read and compiled in a thread. A set that does not load
leaves the old one in place; at start, the one before it is tried. Where there is none at all, ``problem``
says so, and every message is unchecked (IMA-ALR-07).
"""

from __future__ import annotations

import threading

from attrs import define, field

from mailward import Context
from mailward_antivirus.cache import ScanCache
from mailward_antivirus.definitions import NO_DEFINITIONS, DefinitionError, Definitions
from mailward_antivirus.definitions.shelf import Shelf
from mailward_antivirus.engine import Surroundings
from mailward_antivirus.equipment import Equipment
from mailward_antivirus.rules import Use
from mailward_antivirus.settings import AntivirusSettings

LOOK_S = 1.0
"""How often the shelf is looked at."""

SHELF = "definitions"
CACHE = "scan-cache"


def shelf_of(context: Context) -> Shelf:
    """The shelf in the plugin's store; nothing is made."""
    return Shelf(context.state / "plugins" / context.name / SHELF)


@define(eq=False)
class Supply:
    """Equipment of one instance. ``problem``: why nothing can be called clean; ``trouble``: what else is to be told."""

    settings: AntivirusSettings
    context: Context
    equipment: Equipment = field(factory=Equipment)
    problem: str = ""
    trouble: str = ""
    _name: str = ""
    _looked_at: float = float("-inf")
    _loading: threading.Thread | None = None
    _loaded: tuple[str, Equipment | str] | None = None
    _cache: ScanCache | None = None
    _cache_tried: bool = False

    @property
    def shelf(self) -> Shelf:
        """Where the sets are."""
        return shelf_of(self.context)

    def load(self) -> None:
        """Make the equipment now. ValueError where the settings cannot be carried out, whatever the definitions."""
        before, told = self.equipment, (self.problem, self.trouble)
        self.problem = self.trouble = ""
        try:
            if self.settings.definitions is Use.OFF:
                self.equipment = self._equip(NO_DEFINITIONS)
            else:
                self._load_current()
        except ValueError:
            self.problem, self.trouble = told  # nothing has changed
            raise
        before.close()

    def _load_current(self) -> None:
        self._name = self.shelf.current_name()
        try:
            found = self.shelf.current()
            self.equipment = self._equip(found or NO_DEFINITIONS)
            if found is None and self.settings.definitions is Use.REQUIRED:
                self.problem = "no definitions are loaded; load a set with: mailward definitions load FOLDER"
        except ValueError as error:
            without = self._equip(NO_DEFINITIONS)  # raises where it is the settings that are wrong
            if self.equipment.definitions:
                self._stays(str(error))
            else:
                self.equipment = without
                self._fall_back(str(error))

    def prepare(self) -> None:
        """Open in the template of the scan processes what they share, before it gives up the right to."""
        if self.equipment.keeps:
            self.cache()

    def refresh(self) -> Equipment:
        """The equipment to use now. Costs next to nothing, but for one look at the shelf every `LOOK_S`."""
        now = self.context.clock.monotonic()
        if now - self._looked_at >= LOOK_S and self.settings.definitions is not Use.OFF:
            self._looked_at = now
            self._take_over()
            name = self.shelf.current_name()
            if name != self._name and self._loading is None:
                self._name = name
                self._loading = threading.Thread(target=self._load_other, args=(name,), daemon=True)
                self._loading.start()
        return self.equipment

    def settle(self) -> Equipment:
        """The equipment for the set that is in use now, waiting for it where it is still being read."""
        self._looked_at = float("-inf")
        self.refresh()
        if self._loading is not None:
            self._loading.join()
            self._take_over()
        return self.equipment

    def cache(self) -> ScanCache | None:
        """The answers that are kept, opened on first use; None where they are not, or cannot be."""
        if not self._cache_tried and self.settings.scan_cache_bytes:
            self._cache_tried = True
            try:
                self._cache = ScanCache.open(self.context.store() / CACHE, self.settings.scan_cache_bytes)
            except OSError as error:
                self.context.log.warning("scan cache cannot be used", detail=str(error))
        return self._cache

    def _equip(self, definitions: Definitions) -> Equipment:
        # here, because the gateway makes none: engines and repairers are most of what the plugin loads
        from mailward_antivirus.makers import equip

        return equip(Surroundings(self.settings, self.context, definitions))

    def _fall_back(self, reason: str) -> None:
        """The set that was in use before, in the place of one that does not load."""
        self.context.log.error("definitions cannot be loaded", detail=reason)
        try:
            before = self.shelf.previous()
            if before is None:
                raise DefinitionError("there is no set to go back to")
            self.equipment = self._equip(before)
            self.trouble = f"{reason}; the set before it is in use"
        except ValueError as error:
            self.problem = f"{reason}; {error}"

    def _load_other(self, name: str) -> None:
        try:
            found = self.shelf.current()
            self._loaded = (name, self._equip(found) if found else "definitions: the link to the set in use is gone")
        except ValueError as error:
            self._loaded = (name, str(error))

    def _take_over(self) -> None:
        """Use what the thread has made; what it could not make leaves the old in place, and is told."""
        if self._loading is None or self._loading.is_alive():
            return
        self._loading = None
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            self.trouble = "definitions: another set came into use and could not be loaded"
        elif isinstance(loaded[1], Equipment):
            self.equipment.close()
            self.equipment, self.problem, self.trouble = loaded[1], "", ""
            self.context.log.info("definitions in use", version=loaded[1].definitions.version)
        else:
            self._stays(loaded[1])

    def _stays(self, reason: str) -> None:
        self.trouble = f"{reason}; the set before it stays in use"
        self.context.log.error("definitions cannot be loaded", detail=reason)
