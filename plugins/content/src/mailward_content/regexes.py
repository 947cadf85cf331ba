"""Regular expressions by RE2: linear time on any text. Imported where a rule has one, for the library takes 3 MB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import re2

SET_BYTES = 64 * 1024 * 1024
"""Memory that the set of regular expressions may take; beyond that each is asked by itself."""


def _quiet() -> Any:
    """Options with which RE2 writes nothing to standard error."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = SET_BYTES
    return options


def check_regex(written: str, pattern: str) -> None:
    """Raise ValueError, in which the expression stands as it was written, where ``pattern`` is none of RE2."""
    try:
        re2.compile(pattern, _quiet())
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else error
        raise ValueError(f"{written!r} is not a regular expression of RE2: {reason}") from error


class RegexSet:
    """Numbered expressions that are looked for together."""

    def __init__(self, patterns: Sequence[tuple[int, str]]) -> None:
        options = _quiet()
        self._numbers = [number for number, _ in patterns]
        self._single = [re2.compile(pattern, options) for _, pattern in patterns]
        self._set = re2.Set.SearchSet(options)
        for _, pattern in patterns:
            self._set.Add(pattern)
        self._set.Add("")  # occurs in every text: where it is not reported, the set ran out of memory
        self._set.Compile()

    def find(self, text: str) -> set[int]:
        """The numbers of the expressions that match somewhere in ``text``."""
        data = text.encode("utf-8", "replace")
        places = set(self._set.Match(data))
        if len(self._numbers) not in places:
            places = {place for place, single in enumerate(self._single) if single.search(data)}
        places.discard(len(self._numbers))
        return {self._numbers[place] for place in places}
