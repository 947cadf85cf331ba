"""Rewriting one header block: fields removed, added at its end, inserted at its top."""

from __future__ import annotations

from collections.abc import Iterator

from mailward.mime.compose import subject_prefix
from mailward.mime.part import Part
from mailward.mime.words import decode_header
from mailward.values.edit import Splice


class HeaderRewrite:
    """The changes of the header of one part that lies in the raw message; gives splices."""

    __slots__ = ("_added", "_base", "_line_end", "_part", "_removed", "_top", "separated")

    def __init__(self, part: Part, line_end: bytes) -> None:
        self._part = part
        self._line_end = line_end
        self._base = part.place.start - part.place.source.start
        self._removed: set[int] = set()
        self._added: list[bytes] = []
        self._top: list[bytes] = []
        self.separated = False

    def remove(self, *names: str) -> None:
        """Remove every field of these names, continuation lines too."""
        wanted = {name.lower() for name in names}
        self._removed |= {n for n, row in enumerate(self._part.headers.rows) if row[0] in wanted}

    def add(self, *fields: bytes) -> None:
        """Add fields (without line ends) after the last one."""
        self._added += [field + self._line_end for field in fields]

    def add_on_top(self, field: bytes) -> None:
        """Add a field (with its line end) before the first one, after those added on top before."""
        self._top.append(field)

    def has(self, name: str) -> bool:
        """Whether a field of this name is there and stays."""
        rows = self._part.headers.rows
        return any(row[0] == name and n not in self._removed for n, row in enumerate(rows))

    def prefix(self, name: str, text: str) -> Iterator[Splice]:
        """Put ``text`` before the value of every field of this name, unless it stands there already."""
        block = self._part.headers.block
        for n, (row_name, _, value, value_end, _) in enumerate(self._part.headers.rows):
            if row_name != name or n in self._removed:
                continue
            raw = block[value:value_end]
            if decode_header(raw).startswith(text):
                continue
            at = self._base + value + len(raw) - len(raw.lstrip())
            lead = b"" if raw[:1].isspace() else b" "
            yield Splice(at, at, lead + subject_prefix(text, raw.lstrip()))

    def splices(self) -> Iterator[Splice]:
        """All changes but `HeaderRewrite.prefix`. ``separated`` asks for a blank line before the body."""
        rows, block = self._part.headers.rows, self._part.headers.block
        place = self._part.place
        end = self._base + (rows[-1][4] if rows else 0)
        no_blank = place.start + (rows[-1][4] if rows else 0) == place.body
        nothing_left = len(self._removed) == len(rows)
        top, added = b"".join(self._top), b"".join(self._added)
        if rows and added and not block.endswith(b"\n"):
            added = self._line_end + added
        if no_blank and (self.separated or (nothing_left and place.body < place.end)):
            unfinished = rows and not block.endswith(b"\n") and not added
            added += self._line_end * (2 if unfinished else 1)
        if not rows:
            top, added = top + added, b""
        if top:
            yield Splice(self._base, self._base, top)
        for n in sorted(self._removed):
            yield Splice(self._base + rows[n][1], self._base + rows[n][4], b"")
        if added:
            yield Splice(end, end, added)
