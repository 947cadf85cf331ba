"""What the name means that a scanner gives, where it is not that of a virus."""

from __future__ import annotations

from mailward_antivirus.report import Fault, Report, ScanStatus, unchecked

_LIMITS = "Heuristics.Limits.Exceeded"
_ENCRYPTED = "Heuristics.Encrypted"
_WITHOUT_SIGNATURE = ("Heuristics.", "PUA.")


def named(name: str) -> Report:
    """The report of a scanner that found ``name``."""
    if name.startswith(_LIMITS):
        return unchecked(Fault.LIMIT, "over a limit of the scanner", name)
    if name.startswith(_ENCRYPTED):
        return Report(ScanStatus.PROTECTED, name, "encrypted, so not scanned")
    if name.startswith(_WITHOUT_SIGNATURE):
        return Report(ScanStatus.SUSPICIOUS, name, "suspicious without a signature")
    return Report(ScanStatus.INFECTED, name)
