"""The rule language (SMS-RULE): statements, terms, and what they find, against a matcher too simple to be wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailward_content.language import Mode, parse_statement, parse_term, split_terms
from mailward_content.matcher import Matcher


def occurs(term: str, text: str, *, cased: bool = False) -> bool:
    return bool(Matcher([parse_term(term, cased)]).find(text))


@pytest.mark.parametrize(
    ("statement", "mode", "positive", "negative"),
    [
        ("ALL free,winner NONE invoice", "all", ["free", "winner"], ["invoice"]),
        ("ANY v?agra,cheap pills", "any", ["v?agra", "cheap pills"], []),
        (r"ALL 100\*", "all", [r"100\*"], []),
        ("ANY a,b NONE c", "any", ["a", "b"], ["c"]),
        ("free AND winner NOT invoice", "all", ["free", "winner"], ["invoice"]),
        ("free, winner", "all", ["free", "winner"], []),
        ("free winner", "all", ["free winner"], []),
        ("cheap pills OR v?agra", "any", ["cheap pills", "v?agra"], []),
        ("free AND NOT invoice AND NOT receipt", "all", ["free"], ["invoice", "receipt"]),
        ("free NOT invoice NOT receipt, bill", "all", ["free"], ["invoice", "receipt", "bill"]),
        ("free NONE invoice AND receipt", "all", ["free"], ["invoice", "receipt"]),
        ("  ANY  a ,  b  c ,", "any", ["a", "b  c"], []),
        ("this and that or not", "all", ["this and that or not"], []),
        ("ALL free AND winner", "all", ["free", "winner"], []),
        ("ORANGE", "all", ["ORANGE"], []),
        (r"ANY regex:\bfr[e3]{2}\b OR cheap", "any", [r"regex:\bfr[e3]{2}\b", "cheap"], []),
    ],
)
def test_sms_rule_01_02_a_statement_is_taken_apart(
    statement: str, mode: str, positive: list[str], negative: list[str]
) -> None:
    said = parse_statement(statement)
    assert (said.mode, [" ".join(one.split()) for one in said.positive], list(said.negative)) == (
        Mode(mode),
        [" ".join(one.split()) for one in positive],
        negative,
    )


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("a AND b OR c", "may not be mixed"),
        ("a OR b AND c", "may not be mixed"),
        ("a, b OR c", "may not be mixed"),
        ("ALL a OR b", "may not be mixed"),
        ("ANY a AND b", "may not be mixed"),
        ("a ALL b", "stands at the beginning"),
        ("NOT a", "a rule of NOT alone"),
        ("ALL NONE a", "a rule of NOT alone"),
        ("", "no term that must occur"),
        (" , ", "no term that must occur"),
        ("a NOT b OR c", "OR after NOT"),
    ],
)
def test_sms_rule_02_a_statement_that_makes_no_sense_is_refused(statement: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_statement(statement)


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("free", "FREE for the winner", True),
        ("free", "carefree people", True),  # no word boundaries
        ("cheap pills", "cheap pills", True),
        ("cheap pills", "cheap\r\n   pills", True),  # any white space is one blank
        ("cheap pills", "cheappills", False),
        ("v?agra", "buy viagra now", True),
        ("v?agra", "buy vagra now", False),
        ("v?agra", "buy viiagra now", False),
        ("v?agra", "buy vïagra now", True),
        ("free*prize", "free for all: a prize", True),
        ("free*prize", "freeprize", True),
        ("free*prize", "a prize for free", False),
        ("*free*", "FREE", True),
        (r"100\*", "100* sure", True),
        (r"100\*", "100% sure", False),
        (r"why\?", "why? because", True),
        (r"why\?", "why not", False),
        (r"a\b", r"a\b", True),
        (r"\\*", "x \\ x", False),  # a backslash, and an escaped star
        (r"\\*", "x \\* x", True),
        ("a[b]", "a[b]", True),
        ("a[b]", "ab", False),
        ("straße", "STRASSE", True),
        ("ÄRGER", "ärger", True),
        (r"regex:\bfree\b", "carefree", False),
        (r"regex:\bfree\b", "feel FREE", True),
        (r"regex:^total: \d+$", "sum\ntotal: 12\n", False),
        (r"regex:(?m)^total: \d+$", "sum\nTotal: 12\nend", True),
        ("regex:a{2},b", "AA,b", True),
    ],
)
def test_sms_rule_03_what_a_term_finds(term: str, text: str, found: bool) -> None:
    assert occurs(term, text) is found


def test_sms_rule_03_case_counts_where_a_rule_says_so() -> None:
    assert not occurs("free", "FREE", cased=True)
    assert occurs("free", "free", cased=True)
    assert not occurs("regex:free", "FREE", cased=True)
    assert not occurs("fr?e", "FREE", cased=True)


def test_sms_rule_03_commas_separate_terms_and_blanks_around_them_go() -> None:
    assert split_terms((" free , big  winner ", r"regex:a{1,2}")) == ("free", "big  winner", r"regex:a{1,2}")


@pytest.mark.parametrize("term", ["", "*", "?", " ", "**", "?*?", "* ?", "\t"])
def test_a_term_that_matches_everything_is_refused(term: str) -> None:
    with pytest.raises(ValueError, match="matches every text"):
        parse_term(term)


@pytest.mark.parametrize("term", ["regex:(", r"regex:(a)\1", "regex:a(?=b)", "regex:[z-a]", "regex:"])
def test_an_expression_that_is_none_or_not_linear_is_refused(term: str) -> None:
    with pytest.raises(ValueError, match="regular expression"):
        Matcher([parse_term(term)])


LETTERS = "ab*?\\ .[é"


def reference(term: str) -> re.Pattern[str]:
    """The term as an expression of the standard library, character by character."""
    pieces, position = [], 0
    while position < len(term):
        pair = term[position : position + 2]
        if pair in ("\\*", "\\?"):
            pieces.append(re.escape(pair[1]))
            position += 2
            continue
        pieces.append({"*": ".*", "?": "."}.get(term[position], re.escape(term[position])))
        position += 1
    return re.compile("".join(pieces), re.IGNORECASE | re.DOTALL)


@given(st.text(LETTERS, min_size=1, max_size=8), st.text(LETTERS.upper() + "ab", max_size=30))
@example("? ?b", "a AB")
@example("? ?[", "")
def test_a_term_finds_what_the_simple_reading_of_it_finds(term: str, text: str) -> None:
    spaced = " ".join(term.split())
    try:
        parsed = parse_term(term)
    except ValueError:
        assert not spaced.replace("*", "").replace("?", "").replace(" ", "") or spaced.strip("*? ") == ""
        return
    assert bool(Matcher([parsed]).find(text)) is bool(reference(spaced).search(re.sub(r"\s+", " ", text)))


@given(
    st.lists(st.text("abc*?", min_size=1, max_size=5), max_size=12),
    st.text("ABCabc ", max_size=60),
)
def test_all_terms_together_find_what_each_finds_alone(terms: list[str], text: str) -> None:
    kept: list[Any] = []
    for term in terms:
        try:
            kept.append(parse_term(term))
        except ValueError:
            continue
    kept += [parse_term("regex:b+c"), parse_term("aB", cased=True)]
    alone = {number for number, term in enumerate(kept) if Matcher([term]).find(text)}
    assert Matcher(kept).find(text) == alone


def test_many_expressions_are_found_where_the_set_has_no_memory_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = [parse_term(f"regex:{'[a-q][^u-z]{13}x' if number else 'needle'}") for number in range(20)]
    whole = Matcher(terms)

    class Empty:
        def Match(self, data: bytes) -> list[int]:
            return []

    text = "hay needle hay"
    assert whole.find(text) == {0}
    monkeypatch.setattr(whole._regexes, "_set", Empty())
    assert whole.find(text) == {0}


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("a*b", "b" * 200_000 + "a" * 200_000),
        ("a?*b?*c", "ab" * 200_000),
        ("aaaaaaaaaa*b", "a" * 400_000),
        (r"regex:(a*)*b", "a" * 200_000),
        ("*a*a*a*a*a*a*b", "a" * 400_000),
    ],
)
def test_a_hostile_text_takes_linear_time(term: str, text: str) -> None:
    # quadratic work on these would not end within the time of a test run
    assert occurs(term, text) is (term == "a?*b?*c" and "c" in text)
