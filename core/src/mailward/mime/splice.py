"""Splices carried out: the only way in which a message is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mailward.mime.limits import MIB
from mailward.values.edit import Splice

Raw = bytes | bytearray | memoryview
"""A message in one piece."""


def apply(raw: Raw, splices: Sequence[Splice]) -> bytes:
    """The message with its splices, which are sorted and do not overlap (as `resolve` gives them)."""
    return b"".join(spliced(raw, splices))


def spliced(
    raw: Raw | Iterable[bytes | memoryview], splices: Sequence[Splice], chunk_bytes: int = MIB
) -> Iterator[bytes | memoryview]:
    """The message with its splices, in pieces of at most ``chunk_bytes`` that are not copied.

    ``raw``: the message in one piece, or the pieces of it in order.
    """
    pieces = _pieces(memoryview(raw), chunk_bytes) if isinstance(raw, Raw) else raw
    waiting = iter((*splices, None))
    splice = next(waiting)
    at, keep_from = 0, 0
    for piece in pieces:
        end = at + len(piece)
        view = memoryview(piece)
        while splice is not None and splice.start <= end:
            if splice.start > keep_from:
                yield from _pieces(view[max(keep_from, at) - at : splice.start - at], chunk_bytes)
            yield from _pieces(memoryview(splice.data), chunk_bytes)
            keep_from = splice.end
            splice = next(waiting)
        if keep_from < end:
            yield from _pieces(view[max(keep_from, at) - at :], chunk_bytes)
            keep_from = end
        at = end
    while splice is not None:
        yield from _pieces(memoryview(splice.data), chunk_bytes)
        splice = next(waiting)


def _pieces(view: memoryview, chunk_bytes: int) -> Iterator[memoryview]:
    for at in range(0, len(view), chunk_bytes):
        yield view[at : at + chunk_bytes]
