"""The statuses of a message: those of its parts together (KAV-SCN-02), and what the settings do about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mailward import Finding, Kind
from mailward_antivirus.rules import Named

_OF_KIND: dict[Kind, Named] = {
    Kind.INFECTED: Named.INFECTED,
    Kind.SUSPICIOUS: Named.SUSPICIOUS,
    Kind.ENCRYPTED: Named.PROTECTED,
    Kind.UNCHECKED: Named.ERROR,
    Kind.LIMIT: Named.ERROR,
    Kind.FILTERED: Named.FILTERED,
}


def telling(findings: Iterable[Finding], plugin: str) -> tuple[Finding, ...]:
    """The findings that give a message its statuses: those of ``plugin``, and of others what they apply.

    What cannot be opened is found by whoever opens, what a filter took out by the filter, and an engine may be
    a plugin of its own.
    """
    return tuple(one for one in findings if one.kind in _OF_KIND and (one.plugin == plugin or not one.shadow))


def statuses(findings: Iterable[Finding], repaired: Collection[str]) -> frozenset[Named]:
    """The statuses that ``findings`` give the message; ``repaired`` are the paths of the parts that were repaired."""
    found = set()
    for one in findings:
        status = _OF_KIND.get(one.kind)
        if status is not None:
            cured = one.part in repaired and status in (Named.INFECTED, Named.SUSPICIOUS)
            found.add(Named.DISINFECTED if cured else status)
    return frozenset(found)


def named(listed: Collection[Named], found: Collection[Named]) -> tuple[Named, ...]:
    """Those of ``found`` that a list in the settings names, in its order; ``all`` names every one."""
    return tuple(status for status in Named if status in found and (status in listed or Named.ALL in listed))
