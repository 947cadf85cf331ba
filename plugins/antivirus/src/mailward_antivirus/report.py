"""What an engine is, and what it says about one part (KAV-SCN-01)."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from attrs import field, frozen

from mailward import Part


class ScanStatus(StrEnum):
    """The statuses of an object, those of KAV-SCN-01 that an engine can give."""

    CLEAR = "clear"
    INFECTED = "infected"
    DISINFECTED = "disinfected"
    SUSPICIOUS = "suspicious"
    PROTECTED = "protected"
    ERROR = "error"


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
class Report:
    """One engine on one content.

    ``name`` is the virus or the scanner's word for it, ``repaired`` the content without the virus
    (only with `ScanStatus.DISINFECTED`), ``fault`` is set with `ScanStatus.ERROR` alone.
    """

    status: ScanStatus = ScanStatus.CLEAR
    name: str = ""
    detail: str = ""
    fault: Fault = Fault.NONE
    repaired: bytes | None = field(default=None, repr=False)

    @property
    def final(self) -> bool:
        """Whether no other engine need be asked: the part is known to be infected."""
        return self.status in (ScanStatus.INFECTED, ScanStatus.DISINFECTED)


CLEAR = Report()


def unchecked(fault: Fault, detail: str, name: str = "") -> Report:
    """The report of an engine that has no answer, and why."""
    return Report(ScanStatus.ERROR, name, detail, fault)


class Engine(Protocol):
    """Something that judges content.

    Only the content may matter, never where it stands: what is said about a content holds for every
    part of the message that has it. An engine answers every question with a report; it raises only where it is broken.
    """

    @property
    def name(self) -> str:
        """The engine's name: the rule in findings and log."""
        ...

    @property
    def at_once(self) -> int:
        """How many contents of one message may be scanned at a time.

        1 for what only computes: it is asked about every part. Others are asked once for each content.
        """
        ...

    async def scan(self, part: Part) -> Report:
        """Judge the content of ``part``."""
        ...
