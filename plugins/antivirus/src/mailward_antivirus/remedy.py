"""From a report to an action: what the settings say about it, and the text that stands in for a part."""

from __future__ import annotations

from collections.abc import Sequence

from mailward import Action, Drop, Kind, Part, PartAction, Placeholder, Repair, Template, printable
from mailward_antivirus.report import Fault, Report, ScanStatus
from mailward_antivirus.settings import AntivirusSettings

KINDS: dict[ScanStatus, Kind] = {
    ScanStatus.INFECTED: Kind.INFECTED,
    ScanStatus.DISINFECTED: Kind.INFECTED,
    ScanStatus.SUSPICIOUS: Kind.SUSPICIOUS,
    ScanStatus.PROTECTED: Kind.ENCRYPTED,
    ScanStatus.ERROR: Kind.UNCHECKED,
}
"""The kind of the finding that a report becomes; a clear one becomes none."""

_REASONS: dict[Kind, str] = {
    Kind.INFECTED: "it contained a virus",
    Kind.SUSPICIOUS: "it may contain a virus",
    Kind.ENCRYPTED: "it is encrypted and could not be checked for viruses",
    Kind.UNCHECKED: "it could not be checked for viruses",
}


def remedy(settings: AntivirusSettings, report: Report, part: Part) -> Action:
    """The action for what an engine found in ``part`` (SAV-AV-04, SMS-AV-02, KAV-ACT-01)."""
    match report.status:
        case ScanStatus.INFECTED | ScanStatus.DISINFECTED:
            can_repair = report.repaired is not None and in_place(part)
            return at_root(first(settings.on_infected, settings.on_unremoved, can_repair=can_repair), part)
        case ScanStatus.SUSPICIOUS:
            return settings.on_suspicious
        case ScanStatus.PROTECTED:
            return settings.on_encrypted
        case _ if report.fault is Fault.SCANNER:
            return settings.on_unavailable
        case _:
            return settings.on_unchecked


def first(chain: Sequence[Action], residue: Action, *, can_repair: bool) -> Action:
    """The first action of the chain that can be carried out; ``residue`` where there is none."""
    return next((action for action in chain if can_repair or not isinstance(action, Repair)), residue)


def at_root(action: Action, part: Part) -> Action:
    """SMS-AV-04: a message that is itself the virus has nothing left to deliver, so removal means drop."""
    removes = isinstance(action, PartAction) and not isinstance(action, Repair)
    return Drop() if removes and part.parent is None else action


def in_place(part: Part) -> bool:
    """Whether new content can be put in the place of the part: in the message, or in a container we can rewrite."""
    return part.is_rewritable


def with_text(action: Action, settings: AntivirusSettings, report: Report, part: Part, hostname: str) -> Action:
    """The action with the text of its placeholder rendered (SAV-AV-05); other actions as they are."""
    if not isinstance(action, Placeholder):
        return action
    template = Template(action.text) if action.text else settings.replacement
    text = template.render(
        filename=printable(part.filename or ""),
        virus=printable(report.name),
        reason=_REASONS[KINDS[report.status]],
        part=printable(part.path),
        hostname=hostname,
    )
    return Placeholder(text=text)
