"""One matcher for all terms of all rules: a text is read once, however many rules there are.

The plain stretches of every term go into one Aho-Corasick automaton. Where all of them occur, a term with wildcards
is looked at closer. Regular expressions are one set of RE2, which takes linear time on any text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ahocorasick_rs import AhoCorasick
from attrs import frozen

from mailward_content.language import ANY_ONE, NOTHING, Term

if TYPE_CHECKING:
    from mailward_content.regexes import RegexSet

_HALVES = re.compile("[\ud800-\udfff]")
_ASCII_SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f"
_SPACES = "".join(char for char in map(chr, range(0x3001)) if char.isspace() and char != " ")

WINDOW_CHARS = 64 * 1024
"""How much of a text goes through the automaton at once."""

MIN_STRETCH = 3
"""Shorter stretches beside the longest of a term are in most texts, and not worth a place in the automaton."""

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


@frozen
class _Wild:
    """A term with wildcards: what has to be in a text before it is worth a closer look, and how that is done."""

    number: int
    stretches: frozenset[str]
    pieces: tuple[Finder, ...]

    def occurs(self, text: str, found: set[str]) -> bool:
        """Whether the pieces occur one after the other: each as early as it can, so the text is read once."""
        if not self.stretches <= found:
            return False
        at = 0
        for find in self.pieces:
            at = find(text, at)
            if at < 0:
                return False
        return True


def _stretches(term: Term) -> frozenset[str]:
    """The plain stretches of a term that have to be in a text: its trigger, and the others but for short ones."""
    runs = (run for piece in term.pieces for run in piece.split(ANY_ONE))
    return frozenset([term.trigger, *(run for run in runs if len(run) >= MIN_STRETCH)])


class _Plain:
    """Terms without regular expressions, that are all looked for in the same form of a text.

    A text goes through the automaton in windows that overlap, for it makes a list of all that it finds: that of a
    large text full of triggers would take many times its memory.
    """

    def __init__(self, terms: Sequence[tuple[int, Term]]) -> None:
        plain: dict[str, tuple[int, ...]] = {}
        wild: dict[str, list[_Wild]] = {}
        for number, term in terms:
            if term.is_plain:
                plain[term.trigger] = (*plain.get(term.trigger, ()), number)
            else:
                made = _Wild(number, _stretches(term), tuple(map(_finder, term.pieces)))
                wild.setdefault(term.trigger, []).append(made)
        self._wild = wild
        self._plain = {stretch: () for these in wild.values() for one in these for stretch in one.stretches} | plain
        self._automaton = AhoCorasick(self._plain, store_patterns=True)
        self._overlap = max(map(len, self._plain), default=1) - 1
        self._step = max(WINDOW_CHARS, self._overlap)

    def __bool__(self) -> bool:
        return bool(self._plain)

    def find(self, text: str) -> set[int]:
        stretches = set[str]()
        for start in range(0, len(text), self._step):
            stretches.update(self._sought(text[start : start + self._step + self._overlap]))
        found = set[int]().union(*map(self._plain.__getitem__, stretches))
        for trigger in stretches & self._wild.keys():
            found.update(term.number for term in self._wild[trigger] if term.occurs(text, stretches))
        return found

    def _sought(self, text: str) -> list[str]:
        """The plain stretches of terms in ``text``, each as often as it occurs."""
        try:
            return self._automaton.find_matches_as_strings(text, overlapping=True)
        except UnicodeEncodeError:  # the automaton takes UTF-8, which has no halves of surrogate pairs; nor have terms
            return self._automaton.find_matches_as_strings(_HALVES.sub(NOTHING, text), overlapping=True)


def _line(text: str) -> str:
    """``text`` with one blank for any white space; its ends do not matter, for terms are found anywhere.

    By replacing, not by splitting: the words of a large text would take many times its memory.
    """
    text = text.replace("\r\n", " ")
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
