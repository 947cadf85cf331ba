"""Header fields: an index over the bytes of a header block (RFC 5322 section 2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import overload

from attrs import frozen

from mailward.mime.source import Source
from mailward.mime.words import decode_header

_BLANK = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)", re.M)

_Row = tuple[str, int, int, int, int]
"""Name in lower case; positions in the block: field start, value start, value end, field end."""


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


class Headers:
    """The header fields of one part, names compared without regard to case. Values are decoded when asked for.

    ``damage``: words for what was wrong with the block: ``header_line`` (a line that is no field was
    skipped), ``header_end`` (the body starts at a line that is no field, without a blank line),
    ``max_headers``, ``max_header_bytes``.
    """

    __slots__ = ("_index", "_source", "_start", "block", "damage", "rows")

    def __init__(
        self, block: bytes, rows: list[_Row], source: Source | None, start: int, damage: tuple[str, ...] = ()
    ) -> None:
        self.damage = damage
        self.block = block
        self.rows = rows
        self._source = source
        self._start = start
        index: dict[str, list[int]] = {}
        for number, row in enumerate(rows):
            if row[0] in index:
                index[row[0]].append(number)
            else:
                index[row[0]] = [number]
        self._index = index

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index

    def __iter__(self) -> Iterator[Header]:
        return iter(self.fields)

    def raws(self, name: str) -> list[bytes]:
        """The raw value bytes of every field of this name, in order."""
        rows = self.rows
        return [self.block[rows[n][2] : rows[n][3]] for n in self._index.get(name.lower(), ())]

    def raw(self, name: str) -> bytes | None:
        """The raw value bytes of the first field of this name, None where there is none."""
        numbers = self._index.get(name.lower())
        if numbers is None:
            return None
        row = self.rows[numbers[0]]
        return self.block[row[2] : row[3]]

    def get(self, name: str) -> str | None:
        """The first value of this name, decoded and unfolded; None where there is none."""
        raw = self.raw(name)
        return None if raw is None else decode_header(raw)

    def all(self, name: str) -> list[str]:
        """Every value of this name, decoded and unfolded, in order."""
        return [decode_header(raw) for raw in self.raws(name)]

    def count(self, name: str) -> int:
        """How many fields of this name there are."""
        return len(self._index.get(name.lower(), ()))

    @property
    def names(self) -> frozenset[str]:
        """The names that occur, in lower case."""
        return frozenset(self._index)

    @property
    def fields(self) -> Sequence[Header]:
        """All fields in order."""
        return Fields(self)

    def field(self, number: int) -> Header:
        """The field at a place in the order; raises IndexError."""
        _, start, value, value_end, end = self.rows[number]
        name_end = self.block.index(b":", start)
        name = self.block[start:name_end].rstrip().decode("ascii")
        span = None
        if self._source is not None and self._source.outer:
            span = self._source.public(self._start + start, self._start + end)
        return Header(name, self.block[value:value_end], span)


class Fields(Sequence[Header]):
    """The fields of `Headers` as a sequence; each is made when it is looked at."""

    __slots__ = ("_headers",)

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def __len__(self) -> int:
        return len(self._headers.rows)

    @overload
    def __getitem__(self, index: int) -> Header: ...
    @overload
    def __getitem__(self, index: slice) -> list[Header]: ...
    def __getitem__(self, index: int | slice) -> Header | list[Header]:
        """The field at ``index``; raises IndexError."""
        if isinstance(index, slice):
            return [self._headers.field(n) for n in range(*index.indices(len(self)))]
        return self._headers.field(index)


NO_HEADERS = Headers(b"", [], None, 0)
"""For parts that have none: members and uuencode blocks."""


def read_headers(source: Source, start: int, end: int, max_bytes: int, max_fields: int) -> tuple[Headers, int]:
    """The header block at ``start`` of a part that ends at ``end``, and where the body starts.

    A single line that is no field is skipped when a field follows; else the body starts there.
    """
    data = source.data
    if start == end or data[start] == 0x0A:
        return Headers(b"", [], source, start), min(start + 1, end)
    if data[start : start + 2] == b"\r\n":
        return Headers(b"", [], source, start), start + 2
    damage = list[str]()
    stop = min(end, start + max_bytes)
    blank = _BLANK.search(data, start, stop)
    if blank is not None:
        block, body = source.copy(start, blank.start() + 1), blank.end()
    elif stop == end:
        block, body = source.copy(start, end), end
    else:
        damage.append("max_header_bytes")
        block = source.copy(start, stop)
        body = stop
    rows, position = list[_Row](), 0
    for match in _FIELD.finditer(block):
        at = match.start()
        if at != position:
            if block.count(b"\n", position, at) != 1:
                break
            damage.append("header_line")
        if len(rows) == max_fields:
            damage.append("max_headers")
            position = len(block)
            break
        position = match.end()
        rows.append((match[1].lower().decode("ascii"), at, match.start(2), _without_cr(block, match.end(2)), position))
    if position != len(block):
        damage.append("header_end")
        body = start + position
        block = block[:position]
    return Headers(block, rows, source, start, tuple(dict.fromkeys(damage))), body


def _without_cr(block: bytes, end: int) -> int:
    return end - 1 if end and block[end - 1] == 0x0D else end
