"""What a content rule is: one message in, hits out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from attrs import frozen

from mailward import Action, Message, Part, Template


@frozen
class Hit:
    """What a rule found: the part that is to be acted on, in the rule's own words.

    ``name`` is the entry of the settings that matched, ``detail`` what it matched, for the log.
    """

    part: Part
    name: str
    detail: str


class Rule(Protocol):
    """One kind of rule with its settings. It looks and names what it found; it changes nothing."""

    @property
    def name(self) -> str:
        """The rule's name in findings and log."""
        ...

    @property
    def action(self) -> Action:
        """What happens to a hit."""
        ...

    @property
    def text(self) -> Template:
        """The text of a placeholder that has none of its own."""
        ...

    def look(self, message: Message) -> Iterator[Hit]:
        """The hits in ``message``, at most one for each part to be acted on."""
        ...
