"""Patterns over hostile text: RE2, which takes linear time whatever the text is; case never matters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, cast

import re2


class Match(Protocol):
    """A match of a `Pattern`."""

    def start(self, group: int = ...) -> int:
        """Where it begins."""
        ...

    def end(self, group: int = ...) -> int:
        """Where it ends."""
        ...

    def __getitem__(self, group: int) -> bytes: ...


class Pattern(Protocol):
    """A compiled pattern over bytes."""

    def search(self, data: bytes) -> Match | None:
        """The first match anywhere."""
        ...

    def match(self, data: bytes) -> Match | None:
        """A match at the beginning."""
        ...

    def finditer(self, data: bytes) -> Iterator[Match]:
        """Every match."""
        ...


def _options() -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    return options


def pattern(*alternatives: str) -> Pattern:
    """One pattern for any of these; ``(?m)`` may stand before the first."""
    return cast(Pattern, re2.compile("|".join(alternatives).encode("latin-1"), _options()))


def around(data: bytes, match: Match) -> bytes:
    """What stands around a match, as evidence."""
    return data[max(0, match.start() - 20) : match.start() + 120].strip()
