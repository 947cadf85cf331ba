r"""The rule language (SMS-RULE): what is looked for, and how its terms are combined.

    ALL free, winner NONE invoice        both of the first, and not the last
    cheap pills OR v?agra                one of them
    free AND winner NOT invoice          as the first

A term is found anywhere in a text. ``*`` stands for any characters, ``?`` for exactly one; ``\*`` and ``\?`` are
the characters themselves, any other backslash is a backslash. Upper and lower case are the same unless the
rule says otherwise, and any white space is one blank. A term that begins with ``regex:`` is a regular
expression of RE2, as it stands.
"""

from __future__ import annotations

import re
from enum import StrEnum

from attrs import frozen

REGEX = "regex:"
"""What a regular expression begins with."""

ANY_ONE = "\0"
"""Stands for ``?`` in a piece of a term."""

NOTHING = "\ufdd0"
"""A noncharacter that is in no piece of a term."""

_ESCAPED = {"\\*": NOTHING, "\\?": "\ufdd1"}  # noncharacters: in no text
_OPERATOR = re.compile(r"(?:^|(?<=[\s,]))(ALL|ANY|NONE|AND|OR|NOT)(?=[\s,]|$)")


class Mode(StrEnum):
    """How the positive terms of a rule are combined."""

    ALL = "all"
    ANY = "any"


@frozen
class Term:
    """One term, made ready: ``pieces`` are what stands between the ``*``, in order; ``regex`` for an expression.

    ``written`` is the term as the rule has it, ``cased`` whether upper and lower case differ.
    """

    written: str
    pieces: tuple[str, ...] = ()
    regex: str = ""
    cased: bool = False

    @property
    def trigger(self) -> str:
        """The longest stretch of plain characters, a blank only for want of others: no term is there without it."""
        runs = (run for piece in self.pieces for run in piece.split(ANY_ONE))
        return max(runs, key=lambda run: (not run.isspace(), len(run)), default="")

    @property
    def is_plain(self) -> bool:
        """Whether the term is its trigger and nothing else."""
        return self.pieces == (self.trigger,)


@frozen
class Statement:
    """A rule in text form, taken apart."""

    mode: Mode
    positive: tuple[str, ...]
    negative: tuple[str, ...]


def parse_term(text: str, cased: bool = False) -> Term:
    """One term; raises ValueError where it is empty, matches everything, or is no regular expression."""
    if text.startswith(REGEX):
        pattern = text[len(REGEX) :]
        if not pattern:
            raise ValueError(f"{text!r} is an empty regular expression")
        pattern = pattern if cased else f"(?i){pattern}"
        from mailward_content.regexes import check_regex

        check_regex(text, pattern)
        return Term(text, regex=pattern, cased=cased)
    marked = text
    for escape, mark in _ESCAPED.items():
        marked = marked.replace(escape, mark)
    marked = " ".join(marked.replace("?", ANY_ONE).split())
    pieces = [piece for piece in marked.split("*") if piece]
    for escape, mark in _ESCAPED.items():
        pieces = [piece.replace(mark, escape[1]) for piece in pieces]
    term = Term(text.strip(), tuple(piece if cased else piece.casefold() for piece in pieces), cased=cased)
    if not term.trigger.strip():
        raise ValueError(f"{text!r} matches every text; a term needs at least one plain character")
    return term


def split_terms(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Terms from texts in which commas separate them; expressions stay whole (SMS-RULE-03)."""
    found: list[str] = []
    for text in texts:
        found += [text.strip()] if text.lstrip().startswith(REGEX) else [term.strip() for term in text.split(",")]
    return tuple(found)


def parse_statement(text: str) -> Statement:
    """A rule in text form; raises ValueError that says what is wrong with it."""
    first, *rest = _OPERATOR.split(text)
    groups = list(zip(rest[::2], rest[1::2], strict=True))
    mode: Mode | None = None
    operands: list[str] = [first] if first.strip(" ,") else []
    explicit = False
    if not operands and groups and groups[0][0] in ("ALL", "ANY"):
        word, operand = groups.pop(0)
        mode, explicit, operands = Mode(word.lower()), True, [operand]
    negative: list[str] = []
    negated = False
    for place, (word, operand) in enumerate(groups):
        blank = not operand.strip(" ,")
        if word in ("NOT", "NONE"):
            negated = True
            negative.append(operand)
        elif word == "AND" and blank and groups[place + 1 : place + 2] and groups[place + 1][0] == "NOT":
            continue
        elif word in ("ALL", "ANY"):
            raise ValueError(f"{word} stands at the beginning of a rule and nowhere else")
        elif negated and word == "OR":
            raise ValueError("OR after NOT: every term after NOT is a veto; separate them with commas")
        elif negated:
            negative.append(operand)
        else:
            mode = _joined(mode, word)
            operands.append(operand)
    positive = _terms(operands)
    commas = any("," in operand.strip(" ,") for operand in operands)
    if not explicit and commas:
        mode = _joined(mode, "AND")  # a comma is AND in a text statement (SMS-RULE-02)
    if not positive:
        raise ValueError("has no term that must occur; a rule of NOT alone is never violated")
    return Statement(mode or Mode.ALL, positive, _terms(negative))


def _joined(mode: Mode | None, word: str) -> Mode:
    wanted = Mode.ALL if word == "AND" else Mode.ANY
    if mode not in (None, wanted):
        raise ValueError("AND (or a comma) and OR may not be mixed in a rule; write two rules")
    return wanted


def _terms(operands: list[str]) -> tuple[str, ...]:
    found = split_terms(tuple(" ".join(operand.split()) if REGEX not in operand else operand for operand in operands))
    return tuple(term for term in found if term)
