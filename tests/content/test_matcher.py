"""The one matcher for all terms: it finds what a loop over the terms finds, in work that grows with the text alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ahocorasick_rs import AhoCorasick
from hypothesis import given
from hypothesis import strategies as st

from mailward_content import matcher
from mailward_content.language import Term, parse_term
from mailward_content.matcher import Matcher

ATOMS = ("a", "b", "ab", "Ab", "B", " ", "é", "É", "ß", "ss", "\N{PILE OF POO}", "\ufffd")
ATOMS += (r"\*", r"\?", "*", "?", "\\", ".")
CHARS = "aAbB é\u00c9ßsS\N{PILE OF POO}*?\\.\t\r\n\u2003\ufffd\0\ud83d\udca9\udc80"
ESCAPED = (r"\*", r"\?")
TERMS = st.lists(st.tuples(st.lists(st.sampled_from(ATOMS), min_size=1, max_size=6).map("".join), st.booleans()))


@contextmanager
def windows_of(chars: int) -> Iterator[None]:
    """Texts go through the automaton in such windows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matcher, "WINDOW_CHARS", chars)
        yield


def parsed(terms: list[tuple[str, bool]]) -> list[Term]:
    """The terms without those that are refused."""
    made: list[Term] = []
    for written, cased in terms:
        try:
            made.append(parse_term(written, cased))
        except ValueError:
            continue
    return made


def occurs(term: Term, text: str) -> bool:
    """Whether a term occurs in a text, character by character as the rule language says it."""
    signs = re.findall(r"\\[*?]|.", " ".join(term.written.split()), re.DOTALL)
    meant = {"*": ".*", "?": "."}
    folded = (sign if term.cased else sign.casefold() for sign in signs)
    pattern = "".join(meant.get(sign) or re.escape(sign[1:] if sign in ESCAPED else sign) for sign in folded)
    spaced = re.sub(r"\s+", " ", text)
    return re.search(pattern, spaced if term.cased else spaced.casefold(), re.DOTALL) is not None


@given(TERMS, st.text(CHARS, max_size=40), st.integers(1, 9))
def test_it_finds_what_a_loop_over_the_terms_finds(terms: list[tuple[str, bool]], text: str, window: int) -> None:
    known = parsed(terms)
    with windows_of(window):
        found = Matcher(known).find(text)
    assert found == {number for number, term in enumerate(known) if occurs(term, text)}


@pytest.mark.parametrize("before", range(12))
def test_a_term_is_found_wherever_a_window_ends(before: int) -> None:
    with windows_of(4):
        terms = Matcher([parse_term("needle"), parse_term("nee"), parse_term("d?e"), parse_term("needles")])
    assert terms.find("." * before + "needle" + "." * 7) == {0, 1, 2}


def test_half_of_a_surrogate_pair_is_no_character_of_a_term() -> None:
    terms = Matcher([parse_term(text) for text in (r"\?", "\ufffd", "free", "fr?e*win", "\N{PILE OF POO}")])
    assert terms.find("free \udc80 fr\udc80e \ud83d\udca9 win") == {2, 3}


class Watched(str):
    """A text that counts how many of its characters were searched."""

    searched = 0

    def find(self, piece: str, start: Any = None, end: Any = None) -> int:
        found = super().find(piece, start, end)
        Watched.searched += (len(self) if found < 0 else found + len(piece)) - (start or 0)
        return found


class WatchedAutomaton:
    """An automaton that counts the characters that it is given and the triggers that it lists."""

    def __init__(self, automaton: AhoCorasick) -> None:
        self._automaton = automaton
        self.work = self.longest_list = 0

    def find_matches_as_strings(self, text: str, overlapping: bool) -> list[str]:
        found = self._automaton.find_matches_as_strings(text, overlapping)
        self.work += len(text) + len(found)
        self.longest_list = max(self.longest_list, len(found))
        return found


def work_on(term: str, text: str) -> int:
    """Characters and triggers that were looked at in search of a term."""
    ready = Matcher([parse_term(term, cased=True)])._cased
    watched = WatchedAutomaton(ready._automaton)
    ready._automaton = watched  # type: ignore[assignment]
    Watched.searched = 0
    ready.find(Watched(text))
    assert watched.longest_list <= matcher.WINDOW_CHARS + ready._overlap
    return watched.work + Watched.searched


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("a", "a"),
        ("aaaaaaaa", "a"),
        ("a*b", "ba"),
        ("a?*b?*c", "ab"),
        ("aaaaaaaaaa?b", "a"),
        ("*a*a*a*a*a*a*b", "a"),
        ("ab" * 50 + "?c", "ab"),
    ],
)
def test_twice_the_text_is_twice_the_work_and_no_longer_lists(term: str, text: str) -> None:
    with windows_of(1024):
        once, twice = (work_on(term, text * length) for length in (20_000, 40_000))
    assert once < twice <= once * 2.01
