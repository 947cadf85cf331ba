"""All signatures together: one pass over their pieces, and a look around each hit.

The pass runs at the speed of C or Rust over decoded content, in windows that overlap by as much as a run can
span, so memory is bounded whatever the size. A hit on the piece of a run's anchor is looked at: the atoms
before and after it, within their gaps. Runs of one signature are met in order: of two ways to match a run
the one that ends first is taken, which loses nothing, since all that follows only has to come later.

Content that is made to hit without end is given up, after `MAX_HITS` hits or `MAX_LOOKED_BYTES` bytes
looked at, as too much to check: never as clear.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import define, field, frozen

from mailward_antivirus.patterns.body import Atom, Body, Run
from mailward_antivirus.patterns.passes import MAX_HITS, Pass, TooManyHits, make_pass
from mailward_antivirus.patterns.place import Surface
from mailward_antivirus.patterns.signature import Signature

MAX_LOOKED_BYTES = 256 * 1024**2


@frozen
class Found:
    """A signature that matches, and where its last run ends in the content (bytes)."""

    name: str
    end: int


@frozen(eq=False)
class _Variant:
    """One body of a signature."""

    signature: Signature
    body: Body


@frozen(eq=False)
class _Anchor:
    """The piece of one run: where in a variant it belongs."""

    variant: int
    run: int


MakePass = Callable[[Mapping[bytes, tuple[_Anchor, ...]]], Pass[tuple[_Anchor, ...]]]


@define(eq=False)
class PatternSet:
    """The signatures, ready to be asked. Build it with `PatternSet.of`."""

    _variants: Sequence[_Variant]
    _finder: Pass[tuple[_Anchor, ...]] | None
    _before: int
    _after: int
    count: int

    @classmethod
    def of(cls, signatures: Iterable[Signature], make: MakePass = make_pass) -> PatternSet:
        """Compile ``signatures``; ``make`` makes the pass."""
        known = tuple(signatures)
        variants = tuple(_Variant(signature, body) for signature in known for body in signature.bodies)
        pieces: dict[bytes, list[_Anchor]] = {}
        before = after = 0
        for number, variant in enumerate(variants):
            for place, run in enumerate(variant.body.runs):
                atom = run.atoms[run.anchor]
                pieces.setdefault(atom.piece, []).append(_Anchor(number, place))
                before = max(before, run.before + atom.piece_at + len(atom.piece))
                after = max(after, run.after)
        owners = {piece: tuple(anchors) for piece, anchors in pieces.items()}
        return cls(variants, make(owners) if owners else None, before, after, len(known))

    def __len__(self) -> int:
        return self.count

    def find(self, chunks: Iterable[bytes], surface: Surface) -> Found | None:
        """The first signature found in the content that ``chunks`` are. Raises TooManyHits."""
        if self._finder is None:
            return None
        search = _Search(self._variants, surface)
        carried, base, seen = b"", 0, 0
        for chunk, last in _with_last(chunks):
            data = carried + chunk if carried else chunk
            limit = len(data) if last else max(0, len(data) - self._after)
            for end, anchors in self._finder.hits(data):
                if end > limit:
                    break
                if base + end > seen and (found := search.hit(data, base, end, anchors)):
                    return found
            seen = base + limit
            keep = min(len(data), self._before + self._after + 1)
            carried, base = data[len(data) - keep :], base + len(data) - keep
        return None


def _with_last(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each chunk, and whether it is the last one."""
    waiting: bytes | None = None
    for chunk in chunks:
        if waiting is not None:
            yield waiting, False
        waiting = chunk
    if waiting is not None:
        yield waiting, True


@define(eq=False)
class _Search:
    """The pass over one content: how far each variant with several runs has come, and what was spent."""

    variants: Sequence[_Variant]
    surface: Surface
    hits: int = 0
    looked: int = 0
    _progress: dict[int, tuple[int, int]] = field(factory=dict)
    _starts: dict[int, tuple[int, int] | None] = field(factory=dict)

    def hit(self, data: bytes, base: int, piece_end: int, anchors: Sequence[_Anchor]) -> Found | None:
        """Look at the anchors whose piece ends before ``piece_end`` of ``data``, which begins at ``base``."""
        self.hits += len(anchors)
        if self.hits > MAX_HITS:
            raise TooManyHits(f"more than {MAX_HITS} pieces of signatures")
        for anchor in anchors:
            variant = self.variants[anchor.variant]
            wanted, earliest = self._progress.get(anchor.variant, (0, 0))
            starts = self._allowed(anchor.variant, variant)
            if anchor.run != wanted or starts is None:
                continue
            run = variant.body.runs[wanted]
            atom = run.atoms[run.anchor]
            at = piece_end - len(atom.piece) - atom.piece_at
            if wanted:
                starts = (earliest, 1 << 62)
            end = self._run(data, base, at, run, starts)
            if end is None:
                continue
            if wanted + 1 == len(variant.body.runs):
                return Found(variant.signature.name, base + end)
            self._progress[anchor.variant] = (wanted + 1, base + end + variant.body.gaps[wanted])
        return None

    def _allowed(self, number: int, variant: _Variant) -> tuple[int, int] | None:
        """Where the variant may begin in this content; None where it does not concern it."""
        if number not in self._starts:
            concerned = self.surface.fits(variant.signature.kind)
            starts = self.surface.starts(variant.signature.offset) if concerned else (0, -1)
            self._starts[number] = starts if starts[0] <= starts[1] else None
        return self._starts[number]

    def _run(self, data: bytes, base: int, at: int, run: Run, starts: tuple[int, int]) -> int | None:
        """Where the run with its anchor at ``at`` ends at the earliest; None where it does not match."""
        anchor = run.atoms[run.anchor]
        if at < 0 or anchor.regex.match(data, at) is None:
            return None
        first, last = starts[0] - base, starts[1] - base
        begins = [at]
        for place in range(run.anchor - 1, -1, -1):
            low, high = run.gaps[place]
            width = run.atoms[place].width
            begins = self._matches(data, run.atoms[place], [(b - width - high, b - width - low) for b in begins])
            if not begins:
                return None
        where = bisect_left(begins, first)
        if where == len(begins) or begins[where] > last:
            return None
        ends = [at + anchor.width]
        for place in range(run.anchor + 1, len(run.atoms)):
            low, high = run.gaps[place - 1]
            found = self._matches(data, run.atoms[place], [(end + low, end + high) for end in ends])
            ends = [start + run.atoms[place].width for start in found]
            if not ends:
                return None
        return ends[0]

    def _matches(self, data: bytes, atom: Atom, windows: list[tuple[int, int]]) -> list[int]:
        """Where ``atom`` begins within any of the windows (first and last place), in order."""
        found: list[int] = []
        done = 0
        for low, high in windows:
            position = max(low, done, 0)
            done = max(done, high + 1)
            self.looked += max(0, high - position + atom.width)
            if self.looked > MAX_LOOKED_BYTES:
                raise TooManyHits(f"more than {MAX_LOOKED_BYTES} bytes around pieces of signatures")
            while position <= high and (match := atom.regex.search(data, position, high + atom.width)):
                found.append(match.start())
                position = match.start() + 1
        return found
