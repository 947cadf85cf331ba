"""Rewriting one header block: fields removed, added at its end, inserted at its top."""

from __future__ import annotations

from collections.abc import Iterator

from mailward.mime.compose import subject_prefix
from mailward.mime.part import Part
from mailward.values.edit import Splice


class HeaderRewrite:
    """The changes of the header of one part that lies in the raw message; gives splices."""

    __slots__ = ("_added", "_base", "_changed", "_line_end", "_part", "_removed", "_top", "separated")

    def __init__(self, part: Part, line_end: bytes) -> None:
        self._part = part
        self._line_end = line_end
        self._base = part.place.start - part.place.source.start
        self._removed: set[int] = set()
        self._changed: dict[int, bytes] = {}
        self._added: list[bytes] = []
        self._top: list[bytes] = []
        self.separated = False

    def remove(self, *names: str) -> None:
        """Remove every field of these names, continuation lines too."""
        wanted = {name.lower() for name in names}
        self._removed |= {n for n, name in enumerate(self._part.headers.names) if name in wanted}

    def change(self, name: str, field: bytes) -> None:
        """Put a field (with its line end) in the place of the first of its name, of which no other stays."""
        places = [n for n, one in enumerate(self._part.headers.names) if one == name.lower()]
        if not places:
            self.add_on_top(field)
            return
        self._removed |= set(places[1:])
        self._removed.discard(places[0])
        self._changed[places[0]] = field

    def add(self, *fields: bytes) -> None:
        """Add fields (without line ends) after the last one."""
        self._added += [field + self._line_end for field in fields]

    def add_on_top(self, field: bytes) -> None:
        """Add a field (with its line end) before the first one, after those added on top before."""
        self._top.append(field)

    def has(self, name: str) -> bool:
        """Whether a field of this name is there and stays."""
        return any(one == name and n not in self._removed for n, one in enumerate(self._part.headers.names))

    def prefix(self, name: str, texts: list[str]) -> Iterator[Splice]:
        """Put ``texts``, the last one first, before the value of every field of this name; none twice."""
        headers = self._part.headers
        for n, (extent, header) in enumerate(zip(headers.extents(), headers, strict=True)):
            if header.name.lower() != name or n in self._removed:
                continue
            missing = [text for text in texts if text not in leading(header.value, texts)]
            if missing:
                value = header.raw.lstrip()
                at = self._base + extent.value + len(header.raw) - len(value)
                lead = b"" if header.raw[:1].isspace() else b" "
                yield Splice(at, at, lead + subject_prefix(" ".join(reversed(missing)), value))

    def splices(self) -> Iterator[Splice]:
        """All changes but `HeaderRewrite.prefix`. ``separated`` asks for a blank line before the body."""
        place, block, extents = self._part.place, self._part.headers.block, self._part.headers.extents()
        last = extents[-1].end if extents else 0
        no_blank = place.start + last == place.body
        nothing_left = len(self._removed) == len(extents)
        top, added = b"".join(self._top), b"".join(self._added)
        unfinished = bool(extents) and not block.endswith(b"\n") and len(extents) - 1 not in self._removed
        if unfinished and added:
            added = self._line_end + added
        if no_blank and (self.separated or (nothing_left and place.body < place.end)):
            added += self._line_end * (2 if unfinished and not added else 1)
        if not extents:
            top, added = top + added, b""
        if top:
            yield Splice(self._base, self._base, top)
        for n in sorted(self._removed):
            yield Splice(self._base + extents[n].start, self._base + extents[n].end, b"")
        for n, field in self._changed.items():
            start, end = extents[n].start, extents[n].end
            data = field if block.endswith(b"\n", start, end) else field.removesuffix(self._line_end)
            yield Splice(self._base + start, self._base + end, data)
        if added:
            yield Splice(self._base + last, self._base + last, added)


def leading(value: str, texts: list[str]) -> set[str]:
    """Those of ``texts`` that stand at the beginning of ``value``, one after the other."""
    found = set[str]()
    while present := next((text for text in texts if text not in found and value.startswith(text)), ""):
        found.add(present)
        value = value[len(present) :].lstrip()
    return found
