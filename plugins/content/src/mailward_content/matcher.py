"""One matcher for all terms of all rules: a text is read once, however many rules there are.

The longest plain stretch of every term goes into one Aho-Corasick automaton. Where it occurs, a term with
wildcards is looked at closer. Regular expressions are one set of RE2, which takes linear time on any text.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import ahocorasick

from mailward_content.language import ANY_ONE, Term

if TYPE_CHECKING:
    from mailward_content.regexes import RegexSet

_ASCII_SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f"
_SPACES = "".join(char for char in map(chr, range(0x3001)) if char.isspace() and char != " ")

Finder = Callable[[str, int], int]
"""Where a piece ends at its first occurrence from a position on; -1 where there is none."""


class Matcher:
    """Which of ``terms`` occur in a text; terms are named by their place in the sequence."""

    def __init__(self, terms: Sequence[Term]) -> None:
        """Compile the terms."""
        numbered = list(enumerate(terms))
        self._folded = _Plain([(n, term) for n, term in numbered if not term.regex and not term.cased])
        self._cased = _Plain([(n, term) for n, term in numbered if not term.regex and term.cased])
        self._regexes: RegexSet | None = None
        regexes = [(n, term.regex) for n, term in numbered if term.regex]
        if regexes:
            from mailward_content.regexes import RegexSet

            self._regexes = RegexSet(regexes)

    def find(self, text: str) -> set[int]:
        """The numbers of the terms that occur in ``text``."""
        found = set[int]() if self._regexes is None else self._regexes.find(text)
        if self._folded or self._cased:
            line = _line(text)
            if self._cased:
                found |= self._cased.find(line)
            if self._folded:
                found |= self._folded.find(line.casefold())
        return found


class _Plain:
    """Terms without regular expressions, that are all looked for in the same form of a text.

    The automaton says the number of a term that is its trigger, and a number below zero for a trigger that is
    none: a set of numbers is all that comes of a text before terms with wildcards are looked at.
    """

    def __init__(self, terms: Sequence[tuple[int, Term]]) -> None:
        values = {term.trigger: -1 - place for place, (_, term) in enumerate(terms)}
        values |= {term.trigger: number for number, term in terms if term.is_plain}
        self._wild: dict[int, list[tuple[int, tuple[Finder, ...]]]] = {}
        self._same: dict[int, list[int]] = {}
        for number, term in terms:
            value = values[term.trigger]
            if not term.is_plain:
                self._wild.setdefault(value, []).append((number, tuple(map(_finder, term.pieces))))
            elif value != number:
                self._same.setdefault(value, []).append(number)
        self._no_terms = frozenset(value for value in values.values() if value < 0)
        self._automaton: Any = ahocorasick.Automaton()
        for trigger in _by_frequency(values):
            self._automaton.add_word(trigger, values[trigger])
        if values:
            self._automaton.make_automaton()

    def __bool__(self) -> bool:
        return len(self._automaton) > 0

    def find(self, text: str) -> set[int]:
        found = {value for _, value in self._automaton.iter(text)}
        for value in found & self._same.keys():
            found.update(self._same[value])
        for value in found & self._wild.keys():
            found.update(number for number, pieces in self._wild[value] if _occurs(text, pieces))
        return found - self._no_terms


def _by_frequency(triggers: Iterable[str]) -> list[str]:
    """Triggers in an order that puts frequent letters first: a node of the automaton tries its letters in turn."""
    counted = Counter(itertools.chain.from_iterable(triggers))
    rank = {letter: place for place, (letter, _) in enumerate(counted.most_common())}
    return sorted(triggers, key=lambda trigger: [rank[letter] for letter in trigger])


def _line(text: str) -> str:
    """``text`` with one blank for any white space; its ends do not matter, for terms are found anywhere.

    By replacing, not by splitting: the words of a large text would take many times its memory.
    """
    for space in _ASCII_SPACES if text.isascii() else _SPACES:
        text = text.replace(space, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def _finder(piece: str) -> Finder:
    """How a piece without ``*`` is found: by its longest plain stretch, then by what is around that."""
    if ANY_ONE not in piece:
        return lambda text, start: -1 if (at := text.find(piece, start)) < 0 else at + len(piece)
    stretch = max(piece.split(ANY_ONE), key=len)
    before = piece.index(stretch)
    pattern = re.compile(".".join(map(re.escape, piece.split(ANY_ONE))), re.DOTALL)

    def find(text: str, start: int) -> int:
        at = text.find(stretch, start + before)
        while at >= 0:
            if pattern.match(text, at - before):
                return at - before + len(piece)
            at = text.find(stretch, at + 1) if at < len(text) else -1
        return -1

    return find


def _occurs(text: str, pieces: tuple[Finder, ...]) -> bool:
    """Whether the pieces occur one after the other: each as early as it can, so the text is read once."""
    at = 0
    for find in pieces:
        at = find(text, at)
        if at < 0:
            return False
    return True
