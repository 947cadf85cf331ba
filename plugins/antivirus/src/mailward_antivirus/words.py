"""What texts may say about a part that was found: names of our own, and the tags of older products (SAV-NTF-03)."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from mailward import WORDS, About, Kind, Template, fill_in, printable

_REASONS: dict[Kind, str] = {
    Kind.INFECTED: "it contained a virus",
    Kind.SUSPICIOUS: "it may contain a virus",
    Kind.ENCRYPTED: "it is encrypted and could not be checked for viruses",
    Kind.UNCHECKED: "it could not be checked for viruses",
    Kind.FILTERED: "it is not checked for viruses",
}


@frozen
class Told:
    """What is to be told of a part: what was found in it, by its name, and the action; ``done`` is that in words."""

    about: About
    kind: Kind
    name: str
    action: str = ""
    done: str = ""

    @property
    def file(self) -> str:
        """The file, for people."""
        return self.about.filename or "a part without a name"


_OF_THE_VIRUS: dict[str, Callable[[Told], str]] = {
    "virus": lambda told: printable(told.name),
    "reason": lambda told: _REASONS.get(told.kind, ""),
    "done": lambda told: told.done,
    "VIRUSINFO": lambda told: f"{printable(told.name or str(told.kind))} in {told.file}",
    "VIRUS_NAMES": lambda told: printable(told.name),
    "ENCRYPTINFO": lambda told: f"{told.file} is encrypted" if told.kind is Kind.ENCRYPTED else "",
    "FILE": lambda told: f"{told.file} ({printable(told.name or str(told.kind))})",
    "STATUS": lambda told: str(told.kind),
    "ACTION": lambda told: told.action,
}
"""How the names that are about what was found are worked out; the others are those of every text."""

NAMES = frozenset((*WORDS, *_OF_THE_VIRUS))
"""Every name."""


def filled(template: Template, told: Told) -> str:
    """The text of ``template``; names that it does not use are not worked out."""
    return fill_in(template, _OF_THE_VIRUS, told, told.about)
