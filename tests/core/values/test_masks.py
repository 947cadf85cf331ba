"""The mask language against a reference that is too simple to be wrong, and in linear time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Masks
from mailward.values.masks import mask_regex

ALPHABET = "abAB*?\\[]().\n-^$|é"
MASK = st.text(ALPHABET, max_size=12)
TEXT = st.text(ALPHABET, max_size=12)


def tokens(mask: str) -> list[str]:
    """The mask as literal characters, ``*`` and ``?``; literals carry a backslash."""
    found, position = [], 0
    while position < len(mask):
        char = mask[position]
        if char == "\\" and mask[position + 1 : position + 2] in ("*", "?", "\\") and position + 1 < len(mask):
            position += 1
            found.append("\\" + mask[position])
        else:
            found.append(char if char in "*?" else "\\" + char)
        position += 1
    return found


def matches(mask: list[str], text: str) -> bool:
    if not mask:
        return not text
    if mask[0] == "*":
        return any(matches(mask[1:], text[start:]) for start in range(len(text) + 1))
    if not text:
        return False
    return (mask[0] == "?" or mask[0][1].lower() == text[0].lower()) and matches(mask[1:], text[1:])


@given(MASK, TEXT)
def test_a_mask_matches_what_the_reference_says(mask: str, text: str) -> None:
    assert Masks((mask,)).match(text) == matches(tokens(mask), text)


@given(st.text("ab*?", max_size=10), st.text("ab", max_size=14))
def test_masks_of_few_letters_match_what_the_reference_says(mask: str, text: str) -> None:
    assert Masks((mask,)).match(text) == matches(tokens(mask), text)


@given(st.lists(MASK, max_size=5), TEXT)
def test_a_list_matches_as_its_masks_do_and_names_the_first(masks: list[str], text: str) -> None:
    together = Masks(tuple(masks))
    first = next((mask for mask in masks if Masks((mask,)).match(text)), None)
    assert together.which(text) == first
    assert together.match(text) == (first is not None)
    assert together.any([text, text]) == (first is not None)


@pytest.mark.parametrize(
    ("mask", "text", "expected"),
    [
        ("*@example.com", "Ann@Example.COM", True),
        ("*@example.com", "ann@sub.example.com", False),
        ("*.ex?", "setup.EXE", True),
        ("a[1].txt", "a[1].txt", True),
        ("a[1].txt", "a1.txt", False),
        (r"what\?.txt", "what?.txt", True),
        (r"what\?.txt", "whats.txt", False),
        (r"a\b", r"a\b", True),
        ("*", "", True),
        ("*", "two\nlines", True),
        ("", "", True),
        ("", "x", False),
        ("a*a", "a", False),
        ("a", "a\n", False),
    ],
)
def test_examples(mask: str, text: str, expected: bool) -> None:
    assert Masks((mask,)).match(text) is expected


def test_no_mask_matches_nothing() -> None:
    assert not Masks().match("")
    assert Masks().which("x") is None
    assert not Masks()


def test_matching_cannot_run_away() -> None:
    # A matcher that backtracks would need longer than the world lasts for this.
    text = "a" * 20_000
    assert not Masks(("*a" * 30 + "*b",)).match(text)
    assert Masks(("*a" * 30 + "*",)).match(text)
    assert not Masks(("*a?" * 30 + "b*c",)).match(text)


def test_every_star_but_the_last_gives_nothing_back() -> None:
    assert mask_regex("*a*b*c").count("(?>") == 2
    assert re.compile(mask_regex("*a*b*c"))


def test_many_masks_are_one_list() -> None:
    masks = Masks(tuple(f"*@host{number}.example" for number in range(2000)))
    assert masks.which("x@host1999.example") == "*@host1999.example"
    assert not masks.match("x@host2000.example")


def test_what_one_wildcard_stands_for_can_be_narrowed() -> None:
    pattern = re.compile(mask_regex("sh?p", one="[a-z]"))
    assert pattern.fullmatch("shop")
    assert not pattern.fullmatch("shöp")
    assert re.fullmatch(mask_regex("sh?p"), "shöp")
