"""The subject rule (SAV-BLK-02, SMS-CONT-02): whole subjects, decoded, with ``Re:`` and ``Fw:`` before them or not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import field, frozen

from mailward import Action, Message, Scan, Tag, Template, mask_regex
from mailward_content.attachment import listed
from mailward_content.rule import Hit
from mailward_content.texts import visible

SUBJECT_TEXT = "This message was removed by {{ hostname }}: its subject is not allowed.\n"
PREFIXES = ("Re", "Fw", "Fwd")
MAX_PREFIXES = 10
"""How many answers and forwards before a subject are seen through."""

_ONE = r"(?-i:[\x00-\x7f])"
"""What ``?`` stands for: never a character beyond ASCII (SMS-CONT-02)."""


def _spaced(text: str) -> str:
    """As it is shown: one blank wherever there are several, or a fold, and no invisible characters."""
    return " ".join(visible(text).split())


def _one_of_all(rule: Subjects) -> re.Pattern[str]:
    bodies = "|".join(mask_regex(_spaced(pattern), _ONE) for pattern in rule.patterns)
    return re.compile(rf"(?:{bodies})\Z", re.IGNORECASE | re.DOTALL)


def _one_by_one(rule: Subjects) -> tuple[re.Pattern[str], ...]:
    bodies = (mask_regex(_spaced(pattern), _ONE) for pattern in rule.patterns)
    return tuple(re.compile(rf"(?:{body})\Z", re.IGNORECASE | re.DOTALL) for body in bodies)


def _answers(rule: Subjects) -> re.Pattern[str] | None:
    words = "|".join(re.escape(word.strip().rstrip(":")) for word in rule.prefixes)
    return re.compile(rf"(?:{words}) ?(?:\[\d+\]|\(\d+\))? ?[:：] ?", re.IGNORECASE) if words else None


@frozen
class Subjects:
    """The rule with its settings. ``prefixes`` are the words of answers and forwards, without colon."""

    patterns: tuple[str, ...]
    prefixes: tuple[str, ...]
    action: Action
    text: Template
    _any: re.Pattern[str] = field(init=False, eq=False)
    _each: tuple[re.Pattern[str], ...] = field(init=False, eq=False)
    _answer: re.Pattern[str] | None = field(init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_any", _one_of_all(self))
        object.__setattr__(self, "_each", _one_by_one(self))
        object.__setattr__(self, "_answer", _answers(self))

    def look(self, message: Message, scan: Scan) -> Iterator[Hit]:
        """One hit that names every pattern which matches any form of the subject."""
        forms = list(self._forms(message, scan))
        if not any(map(self._any.match, forms)):
            return
        hit = [
            pattern for pattern, regex in zip(self.patterns, self._each, strict=True) if any(map(regex.match, forms))
        ]
        detail = f"{message.subject!r} matches {listed(hit)}"
        yield Hit("subject", "", hit[0], detail, self.action, self.text)

    def _forms(self, message: Message, scan: Scan) -> Iterator[str]:
        """Every subject field, as it is and with the marks that other plugins put before it (SAV-SPM-05)."""
        subjects = message.headers.all("subject") or [""]
        marks = [f.action.subject for f in scan.findings if isinstance(f.action, Tag) and not f.shadow]
        marked = [f"{mark} {subject}" for mark in dict.fromkeys(marks) if mark for subject in subjects]
        for subject in map(_spaced, (*subjects, *marked)):
            yield subject
            for _ in range(MAX_PREFIXES):
                answer = self._answer.match(subject) if self._answer else None
                if answer is None:
                    break
                subject = subject[answer.end() :]
                yield subject
