"""Archives behind other content: programs that open them look for their signature, not only at the start."""

from __future__ import annotations

from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of, pieces

_SIGNATURES = (
    (b"Rar!\x1a\x07\x00", "rar"),
    (b"Rar!\x1a\x07\x01\x00", "rar"),
    (b"7z\xbc\xaf\x27\x1c\x00", "7z"),
    (b"MSCF\0\0\0\0", "cab"),
)


def _found(data: Data) -> tuple[int, str] | None:
    if data.find(b"\0", 1) < 0:
        # All of them hold a zero byte, and texts hold none.
        return None
    places = [(at, kind) for signature, kind in _SIGNATURES if (at := data.find(signature, 1)) > 0]
    return min(places, default=None)


def read_hidden(part: Part) -> Iterator[Member | Finding] | None:
    """The first archive inside content of another type; None where there is none. Zip is the core's."""
    with data_of(part) as data:
        if _found(data) is None:
            return None
    return _members(part)


def _members(part: Part) -> Iterator[Member | Finding]:
    with data_of(part) as data:
        found = _found(data)
        if found is not None:
            yield Member(f"hidden.{found[1]}", pieces(data, found[0], len(data)))
