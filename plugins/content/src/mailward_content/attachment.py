"""Attachments: what is acted on when something inside of one is hit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from mailward import Part, PartKind

MAX_NAMED = 5
"""How many matches the detail of one finding spells out; the others are counted."""


class Reach(StrEnum):
    """What is acted on where a member of an archive is hit."""

    ATTACHMENT = "attachment"
    MEMBER = "member"


def attachment_of(part: Part) -> Part:
    """The attachment that ``part`` belongs to: itself, or the outermost archive that it lies in (SMS-CONT-03).

    Messages, multiparts and uuencoded files are no archives: what lies in them is an attachment.
    """
    found, node = part, part
    while node.parent is not None:
        if node.kind is PartKind.MEMBER:
            found = node.parent
        node = node.parent
    return found


def target(part: Part, reach: Reach) -> Part:
    """The part that a hit in ``part`` is acted on."""
    return part if reach is Reach.MEMBER else attachment_of(part)


def by_target(matches: Iterable[tuple[Part, str, str]], reach: Reach) -> Iterator[tuple[str, str, str]]:
    """Matches (part, entry, what matched) as one for each target: its path, the first entry, the detail of all."""
    struck: dict[str, list[tuple[str, str]]] = {}
    for part, entry, what in matches:
        goal = target(part, reach)
        where = "" if part is goal else f" ({part.path})"
        struck.setdefault(goal.path, []).append((entry, f"{what}{where} matches {entry}"))
    for path, found in struck.items():
        yield path, found[0][0], listed(text for _, text in found)


def listed(texts: Iterable[str]) -> str:
    """The first of ``texts`` in one line, and how many more there are."""
    found = list(texts)
    more = f", and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return ", ".join(found[:MAX_NAMED]) + more
