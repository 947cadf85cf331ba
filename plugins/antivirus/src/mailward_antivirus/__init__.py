"""Virus scanning for Mailward: signatures, scanners, definitions (SAV-AV, SMS-AV, KAV-SCN, KAV-TST-02).

Every part is asked of every engine; what an engine says is a `Report`, and the settings say what
each kind of report does to the part or the message. What could not be checked is never clean.

    message ─ selection ─ engines in order, answers kept by content ─ reports ─ findings with actions
                                                                          └─ repair ─ scanned again ─ decisions

What plugs in, without anything else having to change:

- an **engine** (`engine.Engine`): ``name``, ``at_once``, ``version()`` and ``scan(part) -> Report``. A report has a
  status (`ScanStatus`), a name, a detail, a score and `Trait`s, the evidence behind a weighed answer, each of
  which becomes a note beside the finding. A factory ``make(Surroundings) -> Sequence[Engine]`` is added to
  `makers.ENGINES`. An engine that raises has not checked the part: the finding is unchecked.
- a **repairer** (`engine.Repairer`): ``name``, ``accepts(part, report)`` and ``repair(part, report) -> Treatment``. A
  factory is added to `makers.REPAIRERS`. Repairers are asked for infected parts where ``on_infected`` begins
  with ``repair``, and for suspicious ones where ``on_suspicious`` is ``repair``. What one gives is scanned by all
  engines before it takes the part's place; where nothing helps, the next action of the chain applies.
- **data files** in a set of definitions: ``surroundings.definitions.data("NAME")`` is the content of ``data/NAME`` or
  None. Engines are made anew for every set, so a factory reads it once. ValueError refuses the set.

Lower modules first: report · rules, settings · definitions · engine · cache, selection, patterns · one
module an engine · scanning, repairing, remedy · equipment, makers, supply · plugin.
"""

from mailward_antivirus.engine import Engine, Repairer, Surroundings, Treatment
from mailward_antivirus.plugin import Antivirus
from mailward_antivirus.report import Fault, Report, ScanStatus, Trait
from mailward_antivirus.settings import AntivirusSettings
from mailward_antivirus.signatures import Signatures

__version__ = "0.1.0"

__all__ = [
    "Antivirus",
    "AntivirusSettings",
    "Engine",
    "Fault",
    "Repairer",
    "Report",
    "ScanStatus",
    "Signatures",
    "Surroundings",
    "Trait",
    "Treatment",
]
