r"""The body of a signature: hexadecimal bytes with wildcards, read into runs of atoms.

    aabb      bytes                    ??  a?  ?a     any byte, any low half, any high half
    (aa|bb)   one of several           !(aa|bb)       none of several, of one length
    {n} {n-m} {-m} [n-m]               so many bytes of any value
    *  {n-}                            any number of bytes, at least n

An *atom* is a stretch whose length is fixed: one regular expression without repetition, so that trying it
costs no more than its length. A *run* is atoms with bounded gaps between them. A body is runs with open
gaps. Each run has an anchor: the atom with the best literal piece, which is what the one pass looks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from attrs import define, field, frozen

MAX_PIECE_BYTES = 16
MIN_PIECE_BYTES = 2
MAX_SPAN_BYTES = 64 * 1024
MAX_VARIANTS = 64
_FOLDED_GAP_BYTES = 256
"""Fixed gaps up to this length are wildcards of their atom."""

_TOKEN = re.compile(
    r"(?P<byte>[0-9a-fA-F?]{2})|(?P<star>\*)|\{(?P<exact>\d{1,9})\}|\{(?P<low>\d{0,9})-(?P<high>\d{0,9})\}"
    r"|\[(?P<near>\d{1,9})-(?P<far>\d{1,9})\]|(?P<negated>!?)\((?P<choice>[^()]*)\)"
)
_BYTES = re.compile(r"(?:[0-9a-fA-F?]{2})+")


class PatternError(ValueError):
    """A line is no signature; the text says why."""


class Unsupported(PatternError):
    """A signature of a kind that is not carried out here; ``feature`` names it, for the count."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"not supported: {feature}")
        self.feature = feature


@define(eq=False)
class Atom:
    """A stretch of fixed length: the expression that it has to match, and its best literal piece and where that is."""

    source: bytes
    width: int
    piece: bytes
    piece_at: int
    _regex: re.Pattern[bytes] | None = field(default=None, init=False)

    @property
    def regex(self) -> re.Pattern[bytes]:
        """The expression; compiled when it is first needed, for of long lists few ever are."""
        if self._regex is None:
            self._regex = re.compile(self.source, re.DOTALL)
        return self._regex


@frozen(eq=False)
class Run:
    """Atoms with bounded gaps: ``gaps[i]`` (fewest, most bytes) follows ``atoms[i]``."""

    atoms: tuple[Atom, ...]
    gaps: tuple[tuple[int, int], ...]
    anchor: int

    @property
    def before(self) -> int:
        """How many bytes before the anchor the run may begin, at most."""
        return sum(atom.width for atom in self.atoms[: self.anchor]) + sum(most for _, most in self.gaps[: self.anchor])

    @property
    def after(self) -> int:
        """How many bytes after the beginning of the anchor the run may end, at most."""
        return sum(atom.width for atom in self.atoms[self.anchor :]) + sum(most for _, most in self.gaps[self.anchor :])


@frozen(eq=False)
class Body:
    """Runs with open gaps: at least ``gaps[i]`` bytes lie between run ``i`` and the next."""

    runs: tuple[Run, ...]
    gaps: tuple[int, ...]


@frozen
class _Byte:
    """One place of fixed width: ``literal`` where only one value fits."""

    regex: bytes
    width: int = 1
    literal: bytes = b""


@frozen
class _Gap:
    low: int
    high: int | None


@frozen
class _Choice:
    """Alternatives of several lengths: each makes a body of its own."""

    places: tuple[tuple[_Byte, ...], ...]


_Item = _Byte | _Gap | _Choice


def parse(text: str) -> tuple[Body, ...]:
    """The bodies that ``text`` stands for: one, or several where alternatives differ in length. Raises PatternError."""
    try:
        return _bodies(list(_items(text, split=False)))
    except Unsupported:
        # with its alternatives one by one, a stretch may have fixed bytes after all
        return _bodies(list(_items(text, split=True)))


def _bodies(items: list[_Item]) -> tuple[Body, ...]:
    choices = [item.places for item in items if isinstance(item, _Choice)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MAX_VARIANTS:
        raise Unsupported("alternatives of many lengths")
    return tuple(_body(list(_chosen(items, variant))) for variant in product(*choices))


def _chosen(items: list[_Item], variant: tuple[tuple[_Byte, ...], ...]) -> Iterator[_Byte | _Gap]:
    chosen = iter(variant)
    for item in items:
        if isinstance(item, _Choice):
            yield from next(chosen)
        else:
            yield item


def _items(text: str, *, split: bool) -> Iterator[_Item]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            if "$" in text:
                raise Unsupported("macros")
            raise PatternError(f"{text[position : position + 20]!r} is no part of a signature's body")
        position = match.end()
        yield _item(match, split)


def _item(match: re.Match[str], split: bool) -> _Item:
    if (byte := match["byte"]) is not None:
        return _byte(byte)
    if match["choice"] is not None:
        return _choice(match["choice"], bool(match["negated"]), split)
    if match["star"]:
        return _Gap(0, None)
    if match["exact"]:
        return _Gap(int(match["exact"]), int(match["exact"]))
    if match["near"]:
        return _bounded(match["near"], match["far"], match[0])
    if not match["low"] and not match["high"]:
        raise PatternError(f"{match[0]} names no number")
    if not match["high"]:
        return _Gap(int(match["low"]), None)
    return _bounded(match["low"] or "0", match["high"], match[0])


def _bounded(low: str, high: str, text: str) -> _Gap:
    if int(low) > int(high):
        raise PatternError(f"{text}: the first number is larger than the second")
    return _Gap(int(low), int(high))


def _byte(pair: str) -> _Byte:
    if pair == "??":
        return _Byte(b".")
    if "?" not in pair:
        value = bytes.fromhex(pair)
        return _Byte(re.escape(value), 1, value)
    values = [int(pair.replace("?", digit), 16) for digit in "0123456789abcdef"]
    return _Byte(b"[" + b"".join(b"\\x%02x" % value for value in values) + b"]")


def _choice(text: str, negated: bool, split: bool) -> _Byte | _Choice:
    if text in ("B", "L", "W"):
        raise Unsupported("boundaries")
    options = text.split("|")
    if not all(_BYTES.fullmatch(option) for option in options):
        raise PatternError(f"({text[:40]}) holds something else than bytes between |")
    places = tuple(tuple(_byte(option[at : at + 2]) for at in range(0, len(option), 2)) for option in options)
    widths = {len(place) for place in places}
    regex = b"|".join(b"".join(byte.regex for byte in place) for place in places)
    if negated and len(widths) > 1:
        raise PatternError(f"!({text[:40]}) holds alternatives of several lengths")
    if negated:
        return _Byte(b"(?!" + regex + b").{%d}" % min(widths), min(widths))
    if len(widths) == 1 and not split:
        return _Byte(b"(?:" + regex + b")", min(widths))
    return _Choice(places)


def _body(items: list[_Byte | _Gap]) -> Body:
    """Divide at gaps: open ones end a run, wide ones an atom."""
    if not items or isinstance(items[0], _Gap) or isinstance(items[-1], _Gap):
        raise PatternError("a body begins and ends with bytes")
    runs: list[Run] = []
    open_gaps: list[int] = []
    atoms: list[Atom] = []
    gaps: list[tuple[int, int]] = []
    places: list[_Byte] = []
    for item in items:
        if isinstance(item, _Byte):
            places.append(item)
        elif item.high is None:
            runs.append(_run([*atoms, _atom(places)], gaps))
            open_gaps.append(item.low)
            atoms, gaps, places = [], [], []
        elif item.low == item.high <= _FOLDED_GAP_BYTES:
            places.append(_Byte(b".{%d}" % item.low, item.low))
        else:
            atoms.append(_atom(places))
            gaps.append((item.low, item.high))
            places = []
    runs.append(_run([*atoms, _atom(places)], gaps))
    return Body(tuple(runs), tuple(open_gaps))


def _run(atoms: list[Atom], gaps: list[tuple[int, int]]) -> Run:
    anchor = max(range(len(atoms)), key=lambda place: _worth(atoms[place].piece))
    if len(atoms[anchor].piece) < MIN_PIECE_BYTES:
        raise Unsupported(f"stretches without {MIN_PIECE_BYTES} fixed bytes")
    run = Run(tuple(atoms), tuple(gaps), anchor)
    if run.before + run.after > MAX_SPAN_BYTES:
        raise Unsupported(f"bounded gaps of more than {MAX_SPAN_BYTES} bytes")
    return run


def _atom(places: list[_Byte]) -> Atom:
    if not places:
        raise PatternError("two gaps follow each other")
    best, best_at, literal, position = b"", 0, b"", 0
    for place in places:
        position += place.width
        literal = (literal + place.literal)[-MAX_PIECE_BYTES:] if place.literal else b""
        if _worth(literal) > _worth(best):
            best, best_at = literal, position - len(literal)
    return Atom(b"".join(place.regex for place in places), position, best, best_at)


def _worth(piece: bytes) -> tuple[int, int]:
    """How seldom a piece is met by chance: by different bytes first, zeros counted as nothing, then by length."""
    return len(set(piece) - {0}), len(piece)
