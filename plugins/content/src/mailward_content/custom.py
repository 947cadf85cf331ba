"""Custom content rules (SMS-CONT-06, SMS-RULE): all rules of the settings, compiled into one matcher.

    texts of the message ── matcher ──► terms found, text by text ── rules that look there ──► hits

Only rules of which such a term was found are looked at, so that rules which find nothing cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from mailward import Action, Kind, Message, PartAction, Scan, Template, setting
from mailward_content.actions import is_action
from mailward_content.attachment import Reach, listed, target
from mailward_content.language import Mode, Term, parse_statement, parse_term, split_terms
from mailward_content.matcher import Matcher
from mailward_content.rule import Hit
from mailward_content.texts import Place, Text, texts_of

MAX_TEXT_BYTES = 32 * 1024 * 1024
"""How much text of one message is looked at unless the settings say otherwise."""

RULE_TEXT = "{{ filename or 'This message' }} was removed by {{ hostname }}: its content is not allowed.\n"


@frozen
class RuleSettings:
    """``[content.rules.NAME]``: one rule, in text form or as lists of terms."""

    enabled: bool = setting(True, help="whether the rule is applied")
    when: str = setting("", help='the rule as text: "ALL free, winner NONE invoice"; instead of the three lists')
    all: tuple[str, ...] = setting((), help="terms that must all occur")
    any: tuple[str, ...] = setting((), help="terms of which one must occur")
    none: tuple[str, ...] = setting((), help="terms of which none may occur, or the rule is not violated")
    look_in: tuple[Place, ...] = setting((Place.BODY,), help="where the terms are looked for, taken together")
    case_sensitive: bool = setting(False, help="whether upper and lower case differ")
    action: Action | None = setting(
        None, validator=is_action, help="what happens where the rule is violated; not set: on_rule"
    )
    text: Template | None = setting(None, help="text of a placeholder; not set: rule_text")

    def __attrs_post_init__(self) -> None:
        lists = [bool(self.all), bool(self.any)]
        if self.when and (any(lists) or self.none):
            raise ValueError("has a text form (when) and lists of terms; write one of them")
        if all(lists):
            raise ValueError("has terms in all and in any; AND and OR may not be mixed in a rule, write two rules")
        if not self.when and not any(lists):
            raise ValueError("has no term that must occur; write when, all or any")
        if not self.look_in:
            raise ValueError("look_in is empty; allowed: " + ", ".join(Place))
        self.terms()

    def terms(self) -> tuple[Mode, tuple[Term, ...], tuple[Term, ...]]:
        """How positive terms are combined, these, and the vetoes. Raises ValueError where one cannot be used."""
        if self.when:
            said = parse_statement(self.when)
            mode, positive, negative = said.mode, said.positive, said.negative
        else:
            mode = Mode.ALL if self.all else Mode.ANY
            positive, negative = split_terms(self.all or self.any), split_terms(self.none)
        cased = self.case_sensitive
        return mode, _parsed(positive, cased), _parsed(negative, cased)


def _parsed(texts: tuple[str, ...], cased: bool) -> tuple[Term, ...]:
    return tuple(parse_term(text, cased) for text in texts)


@frozen
class _Compiled:
    """A rule with its terms by number. ``place`` is its place in the settings: hits come in this order."""

    place: int
    name: str
    mode: Mode
    positive: frozenset[int]
    negative: frozenset[int]
    action: Action
    text: Template

    def signs(self, terms: list[Term]) -> Iterable[int]:
        """Terms of which one is found wherever the rule is violated; where all must be, the longest alone is enough."""
        if self.mode is Mode.ANY:
            return self.positive
        return (max(self.positive, key=lambda number: (len(terms[number].trigger), number)),)

    def violated_by(self, found: set[int]) -> bool:
        """SMS-RULE-06: the positive side holds, and there is no veto."""
        if self.mode is Mode.ALL and not self.positive <= found:
            return False
        return self.negative.isdisjoint(found)


_Looked = list[tuple[Text, set[int]]]
"""The texts of a message with the terms that were found in each."""


class CustomRules:
    """All custom rules of one set of settings."""

    def __init__(
        self,
        rules: Mapping[str, RuleSettings],
        action: Action,
        text: Template,
        reach: Reach = Reach.ATTACHMENT,
        max_text_bytes: int = MAX_TEXT_BYTES,
    ) -> None:
        """Compile those that are enabled. Raises ValueError that names rule and term."""
        numbers: dict[tuple[str, bool], int] = {}
        terms: list[Term] = []

        def number(term: Term) -> int:
            key = (term.written, term.cased)
            if key not in numbers:
                numbers[key] = len(terms)
                terms.append(term)
            return numbers[key]

        self._reach = reach
        self._text = text
        self._max_text_bytes = max_text_bytes
        self._by_places: dict[frozenset[Place], dict[int, list[_Compiled]]] = {}
        for place, (name, rule) in enumerate(rules.items()):
            if not rule.enabled:
                continue
            mode, positive, negative = rule.terms()
            compiled = _Compiled(
                place,
                name,
                mode,
                frozenset(map(number, positive)),
                frozenset(map(number, negative)),
                rule.action or action,
                rule.text or text,
            )
            by_term = self._by_places.setdefault(frozenset(rule.look_in), {})
            for term in compiled.signs(terms):
                by_term.setdefault(term, []).append(compiled)
        self._terms = tuple(terms)
        self._places = frozenset().union(*self._by_places)
        self._matcher = Matcher(terms)

    def look(self, message: Message, scan: Scan) -> Iterator[Hit]:
        """The hits of every rule that is violated, in the order of the settings; and what was not looked at."""
        looked: _Looked = []
        for text in texts_of(message, self._places, self._max_text_bytes):
            if text.left_out:
                yield self._unchecked(text)
            elif found := self._matcher.find(text.text):
                looked.append((text, found))
        violated: list[tuple[_Compiled, _Looked]] = []
        for places, by_term in self._by_places.items():
            here = [(text, found) for text, found in looked if text.place in places]
            seen = set[int]().union(*(found for _, found in here))
            candidates = {rule.place: rule for term in seen for rule in by_term.get(term, ())}
            violated += [(rule, here) for rule in candidates.values() if rule.violated_by(seen)]
        for rule, here in sorted(violated, key=lambda one: one[0].place):
            yield from self._hits(rule, here)

    def _unchecked(self, text: Text) -> Hit:
        path = "" if text.part is None else text.part.path
        detail = f"more text than max_text_bytes = {self._max_text_bytes}: from here on no rule has looked"
        return Hit("rule", path, "max_text_bytes", detail, None, self._text, Kind.UNCHECKED)

    def _hits(self, rule: _Compiled, looked: _Looked) -> Iterator[Hit]:
        """One hit, or where parts are acted on one for each part with a positive term of the rule."""
        seen = [(text, terms) for text, found in looked if (terms := found & rule.positive)]
        paths = dict.fromkeys(target(text.part, self._reach).path if text.part else "" for text, _ in seen)
        if isinstance(rule.action, PartAction) and len(paths) > 1:
            paths.pop("", None)
        elif not isinstance(rule.action, PartAction):
            paths = dict.fromkeys([next(iter(paths))])
        detail = listed(
            f"{self._terms[term].written!r} in {_where(text)}" for text, found in seen for term in sorted(found)
        )
        for path in paths:
            yield Hit("rule", path, rule.name, detail, rule.action, rule.text)


def _where(text: Text) -> str:
    return str(text.place) if text.part is None else f"{text.place} {text.part.path}"
