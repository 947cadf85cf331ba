"""Fields of WordprocessingML: those that start programs lose their instruction, all others stay."""

from __future__ import annotations

import html
import re

_TOKEN = re.compile(
    rb"<w:fldChar\b[^>]{0,400}w:fldCharType\s*=\s*[\"'](begin|separate|end)[\"'][^>]{0,400}>"
    rb"|(<w:instrText\b[^>]{0,400}>)([^<]*)"
    rb"|(<w:fldSimple\b[^>]{0,400}?w:instr\s*=\s*[\"'])([^\"']*)"
)
_DDE = re.compile(r"\bdde(?:auto)?[\s\"'\\]|\bdde(?:auto)?\Z", re.I)
Span = tuple[int, int]


def without_dde(data: bytes) -> tuple[bytes, bool]:
    """The XML with DDE instructions blanked, and whether there were any. Word joins instructions from pieces."""
    doomed: list[Span] = []
    open_fields: list[list[Span]] = []
    stray: list[Span] = []
    for token in _TOKEN.finditer(data):
        if token[2] is not None:
            (open_fields[-1] if open_fields else stray).append(token.span(3))
        elif token[4] is not None:
            if _starts_programs(data, [token.span(5)]):
                doomed.append(token.span(5))
        elif token[1] == b"begin":
            open_fields.append([])
        elif open_fields:
            pieces = open_fields[-1]
            if _starts_programs(data, pieces):
                doomed.extend(pieces)
            open_fields[-1] = []
            if token[1] == b"end":
                open_fields.pop()
    for pieces in (*open_fields, stray):
        if _starts_programs(data, pieces):
            doomed.extend(pieces)
    return (_blanked(data, sorted(set(doomed))), True) if doomed else (data, False)


def _starts_programs(data: bytes, pieces: list[Span]) -> bool:
    joined = b"".join(data[start:end] for start, end in pieces)
    return _DDE.search(html.unescape(joined.decode("utf-8", "replace"))) is not None


def _blanked(data: bytes, spans: list[Span]) -> bytes:
    kept, place = [], 0
    for start, end in spans:
        kept.append(data[place:start])
        place = end
    return b"".join([*kept, data[place:]])
