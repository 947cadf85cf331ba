"""From a report to an action: what the settings say about it, and the text that stands in for a part."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from mailward import Action, Defer, Drop, Kind, Part, Placeholder, Reject, Repair, Template
from mailward_antivirus.report import Fault, Report, ScanStatus
from mailward_antivirus.settings import AntivirusSettings
from mailward_antivirus.words import Told, filled

KINDS: dict[ScanStatus, Kind] = {
    ScanStatus.CLEAR: Kind.NOTE,
    ScanStatus.INFECTED: Kind.INFECTED,
    ScanStatus.DISINFECTED: Kind.INFECTED,
    ScanStatus.SUSPICIOUS: Kind.SUSPICIOUS,
    ScanStatus.PROTECTED: Kind.ENCRYPTED,
    ScanStatus.ERROR: Kind.UNCHECKED,
    ScanStatus.FILTERED: Kind.FILTERED,
}
"""The kind of the finding that a report becomes."""


def remedy(settings: AntivirusSettings, report: Report, part: Part, *, can_repair: bool) -> Action:
    """The action for what an engine found in ``part`` (SAV-AV-04, SMS-AV-02, KAV-ACT-01)."""
    match report.status:
        case ScanStatus.INFECTED | ScanStatus.DISINFECTED:
            return unrepaired(settings, part) if not can_repair else first_of(settings, part)
        case ScanStatus.SUSPICIOUS if isinstance(settings.on_suspicious, Repair):
            return settings.on_suspicious if can_repair else unrepaired(settings, part)
        case ScanStatus.SUSPICIOUS:
            return settings.on_suspicious
        case ScanStatus.PROTECTED:
            return settings.on_encrypted
        case ScanStatus.FILTERED:
            return settings.on_filtered
        case _ if report.fault is Fault.SCANNER:
            return settings.on_unavailable
        case _:
            return settings.on_unchecked


def first_of(settings: AntivirusSettings, part: Part) -> Action:
    """The first action for an infected part that may be repairable."""
    action = settings.on_infected[0]
    return action if isinstance(action, Repair) else at_root(action, part)


def unrepaired(settings: AntivirusSettings, part: Part) -> Action:
    """The action for an infected part that cannot be repaired: the next of the chain, then what is left over."""
    return at_root(_next(settings.on_infected, settings.on_unremoved), part)


def _next(chain: Sequence[Action], residue: Action) -> Action:
    return next((action for action in chain if not isinstance(action, Repair)), residue)


def at_root(action: Action, part: Part) -> Action:
    """SMS-AV-04: a message that is itself the virus is dropped, whatever else is asked for; refusing it is no less."""
    if part.parent is not None:
        return action
    return action if isinstance(action, (Reject, Defer)) else Drop()


def with_text(action: Action, settings: AntivirusSettings, told: Told) -> Action:
    """The action with the text of its placeholder filled in (SAV-AV-05, KAV-ACT-02); other actions as they are."""
    if not isinstance(action, Placeholder):
        return action
    template = Template.of(action.text) if action.text else settings.replacement
    return Placeholder(text=filled(template, evolve(told, action=str(action))))
