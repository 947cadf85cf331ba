r"""The mask language: ``*``, ``?``, ``\`` as escape, everything else literal, case-insensitive.

One function for every list in Mailward (specification README, decision 7). ``[`` is literal
(SAV list (a) 26). Matching is linear in the text for each mask: every ``*`` is an atomic group.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from attrs import field, frozen


def mask_regex(mask: str, one: str = ".") -> str:
    """The body of a regular expression that matches what ``mask`` matches, unanchored at both ends.

    ``one`` is the expression for one character, which ``?`` stands for.
    """
    pieces: list[str] = [""]
    position = 0
    while position < len(mask):
        char = mask[position]
        if char == "\\" and mask[position + 1 : position + 2] in ("*", "?", "\\"):
            position += 1
            pieces[-1] += re.escape(mask[position])
        elif char == "*":
            pieces.append("")
        elif char == "?":
            pieces[-1] += one
        else:
            pieces[-1] += re.escape(char)
        position += 1
    if len(pieces) == 1:
        return pieces[0]
    middle = "".join(f"(?>.*?{piece})" for piece in pieces[1:-1] if piece)
    return f"{pieces[0]}{middle}.*{pieces[-1]}"


@lru_cache(maxsize=512)
def _compile(patterns: tuple[str, ...]) -> re.Pattern[str]:
    body = "|".join(f"({mask_regex(p)})" for p in patterns)
    return re.compile(rf"(?:{body})\Z", re.IGNORECASE | re.DOTALL)


def _patterns(masks: Iterable[str]) -> tuple[str, ...]:
    return tuple(masks)


@frozen
class Masks:
    """A list of masks that is asked as one: ``Masks(["*@example.com"]).match(text)``."""

    patterns: tuple[str, ...] = field(default=(), converter=_patterns)

    def match(self, text: str) -> bool:
        """Whether any mask matches the whole of ``text``."""
        return bool(self.patterns) and _compile(self.patterns).match(text) is not None

    def which(self, text: str) -> str | None:
        """The first mask, in list order, that matches the whole of ``text``, or None."""
        if not self.patterns:
            return None
        found = _compile(self.patterns).match(text)
        return None if found is None or found.lastindex is None else self.patterns[found.lastindex - 1]

    def any(self, texts: Iterable[str]) -> bool:
        """Whether any mask matches any of ``texts``."""
        return any(self.match(text) for text in texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.patterns)

    def __bool__(self) -> bool:
        return bool(self.patterns)
