"""From traits to a judgement: what belongs to one document is added up and held against the level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from mailward import Kind, Part, PartKind
from mailward_antivirus.heuristics.examine import examine
from mailward_antivirus.heuristics.hiding import inspect_encrypted, inspect_structure, password_in
from mailward_antivirus.heuristics.level import Level
from mailward_antivirus.heuristics.trait import Trait
from mailward_antivirus.heuristics.weights import THRESHOLDS, TRAITS

_DOCUMENT_MEMBERS = ("[content_types].xml", "mimetype")
_DOCUMENT_TYPES = frozenset({"application/x-ole-storage", "application/rtf", "application/pdf"})
_MEMBERS_LOOKED_AT = 50
_BODIES = frozenset({"text/plain", "text/html"})


@frozen
class Assessment:
    """What the traits of one part, and of all that belongs to it, come to.

    ``traits`` are the weightiest first; ``score`` is the sum of their weights, each trait counted
    once; ``suspicious`` says whether it reaches the threshold of the level.
    """

    traits: tuple[Trait, ...] = ()
    score: float = 0.0
    suspicious: bool = False

    @property
    def name(self) -> str:
        """A name for reports: that of the weightiest trait."""
        return f"Heuristics.{self.traits[0].rule}" if self.traits else ""


class Heuristics:
    """The heuristics at one level (SAV-AV-01, SMS-AV-01)."""

    def __init__(self, level: Level, weights: Mapping[str, float] | None = None) -> None:
        """``weights`` replace those of the built-in table, trait by trait. Raises ValueError for unknown traits."""
        self.level = level
        self._weights = {rule: weight.weight for rule, weight in TRAITS.items()}
        unknown = sorted(set(weights or {}) - set(self._weights))
        if unknown:
            raise ValueError(f"unknown traits: {', '.join(unknown)}; allowed: {', '.join(self._weights)}")
        self._weights.update(weights or {})
        self._threshold = THRESHOLDS.get(level, float("inf"))

    def assess(self, part: Part) -> Assessment:
        """What the traits of ``part`` come to; a part that belongs to a document is assessed with that."""
        if self.level is Level.OFF or document_of(part) is not part:
            return Assessment()
        held: dict[str, Trait] = {}
        for one in _belonging(part):
            for found in (*examine(one), *inspect_structure(one, one.findings)):
                held.setdefault(found.rule, found)
        if is_encrypted(part):
            for found in inspect_encrypted(password_in(_text_around(part))):
                held.setdefault(found.rule, found)
        if not held:
            return Assessment()
        traits = tuple(sorted(held.values(), key=lambda one: -self._weights[one.rule]))
        score = sum(self._weights[one.rule] for one in traits)
        return Assessment(traits, score, score >= self._threshold)

    def weight(self, rule: str) -> float:
        """The weight of a trait."""
        return self._weights[rule]


def document_of(part: Part) -> Part:
    """The document that a part belongs to: the outermost document around it, or the part itself."""
    found, ancestor = part, part.parent
    while ancestor is not None and ancestor.kind in (PartKind.MEMBER, PartKind.LEAF, PartKind.ENCODED):
        if is_document(ancestor):
            found = ancestor
        ancestor = ancestor.parent
    return found


def is_document(part: Part) -> bool:
    """Whether a container is a document: OOXML or ODF by a member, or a file of the older kind, RTF or PDF."""
    if part.detected_type in _DOCUMENT_TYPES:
        return True
    return bool(part.children) and part.has_member(*_DOCUMENT_MEMBERS)


def is_encrypted(part: Part) -> bool:
    """Whether a container or one of its members was found encrypted."""
    looked_at = (part, *part.children[:_MEMBERS_LOOKED_AT])
    return any(finding.kind is Kind.ENCRYPTED for one in looked_at for finding in one.findings)


def _belonging(part: Part) -> Iterator[Part]:
    """The part and, where it is a document, everything in it."""
    yield part
    stack = list(reversed(part.children)) if part.children and is_document(part) else []
    while stack:
        one = stack.pop()
        yield one
        stack.extend(reversed(one.children))


def _text_around(part: Part) -> str:
    """Subject and bodies of the message that a part is in."""
    root = part
    while root.parent is not None:
        root = root.parent
    stack, texts = [root], [root.headers.get("subject") or ""]
    while stack:
        one = stack.pop()
        if one.kind is PartKind.MULTIPART:
            stack.extend(reversed(one.children))
        elif one.kind is PartKind.LEAF and one.declared_type in _BODIES and not one.filename:
            texts.append(one.text)
    return "\n".join(texts)
