"""The one pass: where the pieces of all signatures stand in a stretch of content.

Two automata do the same. yara-x, where it is installed, looks at about a gigabyte a second; ahocorasick_rs, which
is always there, at 80 to 300 megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from ahocorasick_rs import BytesAhoCorasick

MAX_HITS = 200_000
"""As many hits in one content are looked at."""

WINDOW_BYTES = 64 * 1024
"""How much of a content goes through the automaton of ahocorasick_rs at once."""

_PIECES_A_RULE = 200
T = TypeVar("T", covariant=True)


class TooManyHits(Exception):
    """The content holds so many pieces of signatures that it was not checked to its end."""


class Pass(Protocol[T]):
    """Finds pieces, each with what belongs to it."""

    def hits(self, data: bytes) -> Iterator[tuple[int, T]]:
        """The end of each piece in ``data`` (bytes) and what belongs to it, in order. Raises TooManyHits."""
        ...


class AhoPass(Generic[T]):
    """By ahocorasick_rs, which makes a list of all that it finds: so a window at a time."""

    def __init__(self, pieces: Mapping[bytes, T]) -> None:
        self._owners = tuple(pieces.values())
        self._automaton = BytesAhoCorasick(pieces)
        self._overlap = max(map(len, pieces), default=1) - 1

    def hits(self, data: bytes) -> Iterator[tuple[int, T]]:
        """See `Pass`."""
        for start in range(0, len(data), WINDOW_BYTES):
            base = max(0, start - self._overlap)
            window = data[base : start + WINDOW_BYTES]
            for number, _, end in self._automaton.find_matches_as_indexes(window, overlapping=True):
                if base + end > start:
                    yield base + end, self._owners[number]


class YaraPass(Generic[T]):
    """By yara-x: each piece is a pattern of a rule. ImportError where it is not installed."""

    def __init__(self, pieces: Mapping[bytes, T]) -> None:
        import yara_x

        self._scanner_type = yara_x.Scanner
        compiler = yara_x.Compiler()
        listed = list(pieces)
        for start in range(0, len(listed), _PIECES_A_RULE):
            stop = min(start + _PIECES_A_RULE, len(listed))
            patterns = "\n".join(f"$p{number} = {{ {listed[number].hex(' ')} }}" for number in range(start, stop))
            compiler.add_source(f"rule r{start} {{ strings: {patterns} condition: any of them }}")
        self._rules = compiler.build()
        self._owners = {f"$p{number}": pieces[piece] for number, piece in enumerate(listed)}

    def hits(self, data: bytes) -> Iterator[tuple[int, T]]:
        """See `Pass`."""
        found: list[tuple[int, str]] = []
        scanner = self._scanner_type(self._rules)  # it may not outlive this call: it belongs to the thread
        scanner.max_matches_per_pattern(MAX_HITS + 1)
        for rule in scanner.scan(data).matching_rules:
            for pattern in rule.patterns:
                found += [(match.offset + match.length, pattern.identifier) for match in pattern.matches]
                if len(found) > MAX_HITS:
                    raise TooManyHits(f"more than {MAX_HITS} pieces of signatures")
        found.sort()
        for end, identifier in found:
            yield end, self._owners[identifier]


def make_pass(pieces: Mapping[bytes, T]) -> Pass[T]:
    """The faster of the two that can be had."""
    try:
        return YaraPass(pieces)
    except ImportError:
        return AhoPass(pieces)
