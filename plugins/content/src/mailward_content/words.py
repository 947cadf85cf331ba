"""What templates may say about a hit: names of our own, and the tags of older products (SAV-NTF-03)."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from mailward import WORDS, About, Template, fill_in, printable
from mailward_content.rule import Hit


@frozen
class Told:
    """What is to be told, and about what."""

    hit: Hit
    about: About


def _file(told: Told) -> str:
    return f"{told.about.filename or 'a part without a name'} ({printable(told.hit.name or told.hit.rule)})"


_OF_THE_HIT: dict[str, Callable[[Told], str]] = {
    "mask": lambda told: told.hit.name,
    "part": lambda told: printable(told.hit.part),
    "reason": lambda told: printable(told.hit.detail),
    "rule": lambda told: told.hit.rule,
    "CONTENTINFO": lambda told: printable(told.hit.detail),
    "ENCRYPTINFO": lambda told: f"{_file(told)} is encrypted",
    "FILE": _file,
    "STATUS": lambda told: str(told.hit.kind),
    "ACTION": lambda told: str(told.hit.action or ""),
}
"""How the names that are about the hit are worked out; the others are those of every text."""

NAMES = frozenset((*WORDS, *_OF_THE_HIT))
"""Every name."""


def filled(template: Template, told: Told) -> str:
    """The text of ``template`` about a hit; names that it does not use are not worked out."""
    return fill_in(template, _OF_THE_HIT, told, told.about)
