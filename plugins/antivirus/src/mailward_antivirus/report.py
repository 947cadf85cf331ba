"""What is said about one part: statuses, faults, traits and the report that holds them (KAV-SCN-01)."""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen


class ScanStatus(StrEnum):
    """The statuses of an object (KAV-SCN-01). ``FILTERED``: not scanned, because the settings leave it out."""

    CLEAR = "clear"
    INFECTED = "infected"
    DISINFECTED = "disinfected"
    SUSPICIOUS = "suspicious"
    PROTECTED = "protected"
    ERROR = "error"
    FILTERED = "filtered"


class Fault(StrEnum):
    """Why there is no answer (`ScanStatus.ERROR`): it decides who has to act.

    ``CONTENT``: this content cannot be scanned, trying again will not help. ``LIMIT``: it is larger
    than what is scanned. ``SCANNER``: the scanner is not there or not well; later it may be.
    """

    NONE = ""
    CONTENT = "content"
    LIMIT = "limit"
    SCANNER = "scanner"


@frozen
class Trait:
    """One reason behind a report: what was seen, its weight, and the evidence (where it stands, what it says).

    Each becomes a finding of its own, a note beside the finding of the report.
    """

    name: str
    score: float = 0.0
    evidence: str = ""


@frozen
class Report:
    """One engine on one content.

    ``name`` is the virus or the scanner's word for it, ``repaired`` the content without the virus
    (only with `ScanStatus.DISINFECTED`), ``fault`` is set with `ScanStatus.ERROR` alone. ``score`` is
    the weight where the engine weighs, ``traits`` what it weighed; a clear report may have traits too.
    """

    status: ScanStatus = ScanStatus.CLEAR
    name: str = ""
    detail: str = ""
    fault: Fault = Fault.NONE
    repaired: bytes | None = field(default=None, repr=False)
    score: float = 0.0
    traits: tuple[Trait, ...] = ()

    @property
    def final(self) -> bool:
        """Whether no other engine need be asked: the part is known to be infected."""
        return self.status in (ScanStatus.INFECTED, ScanStatus.DISINFECTED)


CLEAR = Report()


def unchecked(fault: Fault, detail: str, name: str = "") -> Report:
    """The report of an engine that has no answer, and why."""
    return Report(ScanStatus.ERROR, name, detail, fault)
