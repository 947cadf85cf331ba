"""What a content rule is: one message in, hits out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from attrs import frozen

from mailward import Action, Kind, Message, Scan, Template


@frozen
class Hit:
    """What a rule found.

    ``part`` is the path of what is to be acted on, empty for the message; ``name`` the entry of the
    settings that matched, ``detail`` what it matched, for the log. ``action`` and ``text`` (of a
    placeholder that has none of its own) are those of the rule; an action of None is left to the core.
    """

    rule: str
    part: str
    name: str
    detail: str
    action: Action | None
    text: Template
    kind: Kind = Kind.CONTENT


class Rule(Protocol):
    """One kind of rule with its settings. It looks and names what it found; it changes nothing."""

    def look(self, message: Message, scan: Scan) -> Iterator[Hit]:
        """The hits in ``message``, at most one for each part to be acted on and entry of the settings."""
        ...
