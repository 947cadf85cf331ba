"""Header fields: an index over the bytes of a header block (RFC 5322 section 2.2)."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence

from attrs import frozen

from mailward.mime.manner import LF, MAIN, Lines, Manner
from mailward.mime.source import Source
from mailward.mime.words import decode_header, unfold

_SINGLE = ("content-type", "content-transfer-encoding", "content-disposition")
_BLANK_LINES = re.compile(rb"(?>\r?\n)*+")
_LINE_OF_BLANKS = re.compile(rb"\n[ \t]++\r?\n")

Row = tuple[bytes, bytes, bytes]
"""One field: all of it with its line end; its name; its value, to which a CR may still belong."""


@frozen(slots=True)
class Header:
    """One header field.

    ``name`` as sent; ``raw``: the value bytes after the colon with their folding, without the final
    line end; ``span``: the whole field with its line end as offsets in `Message.raw`, None where the
    part does not lie in the raw message.
    """

    name: str
    raw: bytes
    span: tuple[int, int] | None

    @property
    def value(self) -> str:
        """The decoded, unfolded value."""
        return decode_header(self.raw)


@frozen(slots=True)
class Extent:
    """Where a field lies in its header block: ``start:end`` with its line end, the value from ``value``."""

    start: int
    value: int
    end: int


class Headers:
    """The header fields of one part, names compared without regard to case. Values are decoded when asked for.

    ``block`` is the header as it stands in the message. ``damage``: words for what was wrong with it:
    ``header_line`` (a line that is no field was skipped), ``header_end`` (the body starts at a line
    that is no field, without a blank line), ``max_headers``, ``max_header_bytes``.
    """

    __slots__ = ("_first", "_lines", "_names", "_rows", "_source", "_start", "_varying", "block", "damage")

    def __init__(
        self,
        block: bytes,
        rows: list[Row],
        source: Source | None,
        start: int,
        damage: tuple[str, ...] = (),
        lines: Lines = LF,
    ) -> None:
        self._lines = lines
        self._varying: Sequence[str] | None = None
        self.block = block
        self.damage = damage
        self._rows = rows
        self._source = source
        self._start = start
        self._names = [row[1].lower() for row in rows]
        self._first = dict(zip(reversed(self._names), reversed(rows), strict=True))

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _key(name) in self._first

    def __iter__(self) -> Iterator[Header]:
        extents = self.extents()
        return (self._header(row, extent) for row, extent in zip(self._rows, extents, strict=True))

    @property
    def repeats(self) -> bool:
        """Whether some name occurs more than once."""
        return len(self._first) != len(self._rows)

    @property
    def varying(self) -> Sequence[str]:
        """The names of the fields that place and name a body, of which there are several with different values."""
        if self._varying is None:
            self._varying = [name for name in _SINGLE if self._varies(name)] if self.repeats else ()
        return self._varying

    def _varies(self, name: str) -> bool:
        several = self._names.count(_key(name)) > 1
        return several and len({unfold(raw).lower() for raw in self.raws(name)}) > 1

    @property
    def has_line_of_blanks(self) -> bool:
        """Whether a line of the block holds nothing but blanks: for some clients the header ends there."""
        return _LINE_OF_BLANKS.search(self.block) is not None

    def raw(self, name: str) -> bytes | None:
        """The raw value bytes of the first field of this name, None where there is none."""
        row = self._first.get(_key(name))
        return None if row is None else row[2].removesuffix(b"\r")

    def raws(self, name: str) -> list[bytes]:
        """The raw value bytes of every field of this name, in order."""
        key = _key(name)
        if key not in self._first:
            return []
        if not self.repeats:
            return [self._first[key][2].removesuffix(b"\r")]
        rows = zip(self._names, self._rows, strict=True)
        return [row[2].removesuffix(b"\r") for name, row in rows if name == key]

    def get(self, name: str) -> str | None:
        """The first value of this name, decoded and unfolded; None where there is none."""
        raw = self.raw(name)
        return None if raw is None else decode_header(raw)

    def all(self, name: str) -> list[str]:
        """Every value of this name, decoded and unfolded, in order."""
        return [decode_header(raw) for raw in self.raws(name)]

    @property
    def names(self) -> list[str]:
        """The name of every field in lower case, in order."""
        return [name.decode("ascii") for name in self._names]

    @property
    def fields(self) -> Sequence[Header]:
        """All fields in order."""
        return tuple(self)

    def extents(self) -> list[Extent]:
        """Where each field lies in ``block``."""
        matches = itertools.islice(self._lines.field.finditer(self.block), len(self._rows))
        return [Extent(match.start(), match.start(3), match.end()) for match in matches]

    def _header(self, row: Row, extent: Extent) -> Header:
        span = None
        if self._source is not None and self._source.outer:
            span = self._source.public(self._start + extent.start, self._start + extent.end)
        return Header(row[1].decode("ascii"), row[2].removesuffix(b"\r"), span)


NO_HEADERS = Headers(b"", [], None, 0)
"""For parts that have none: members and uuencode blocks."""


@functools.lru_cache(256)
def _key(name: str) -> bytes:
    return name.lower().encode("ascii", "replace")


def read_headers(
    source: Source, start: int, end: int, max_bytes: int, max_fields: int, manner: Manner = MAIN
) -> tuple[Headers, int]:
    """The header block at ``start`` of a part that ends at ``end``, and where the body starts.

    A single line that is no field is skipped when a field follows; else the body starts there.
    """
    data, lines = source.data, manner.lines
    if manner.late_header:
        skipped = _BLANK_LINES.match(data, start, end)
        start = start if skipped is None else skipped.end()
    first = lines.first.match(data, start, end)
    if start == end or first is not None:
        return Headers(b"", [], source, start, lines=lines), start if first is None else first.end()
    stop = min(end, start + max_bytes)
    blank = lines.blank.search(data, start, stop)
    if blank is not None:
        block, body = data[start : blank.end(1)], blank.end()
    else:
        block, body = data[start:stop], stop
    damage = () if blank is not None or stop == end else ("max_header_bytes",)
    rows = lines.field.findall(block)
    if len(rows) <= max_fields and sum([len(row[0]) for row in rows]) == len(block):
        return Headers(block, rows, source, start, damage, lines), body
    rows, position, more = _sound_rows(block, max_fields, manner)
    if position != len(block):
        body = start + position
        block = block[:position]
    return Headers(block, rows, source, start, damage + more, lines), body


def _sound_rows(block: bytes, max_fields: int, manner: Manner) -> tuple[list[Row], int, tuple[str, ...]]:
    """The fields of a damaged block, where the header ends in it, and the words for the damage."""
    rows, damage, position = list[Row](), list[str](), 0
    for match in manner.lines.field.finditer(block):
        if match.start() != position:
            junk = len(manner.lines.ending.findall(block, position, match.start()))
            if junk > manner.most_junk_lines:
                break
            damage.append("header_line")
        if len(rows) == max_fields:
            return rows, len(block), (*dict.fromkeys(damage), "max_headers")
        position = match.end()
        rows.append((match[1], match[2], match[3]))
    if position != len(block) and manner.most_junk_lines <= 1:
        damage.append("header_end")
        return rows, position, tuple(dict.fromkeys(damage))
    return rows, len(block), tuple(dict.fromkeys(damage))
