"""Where the pieces of a multipart lie (RFC 2046 section 5.1)."""

from __future__ import annotations

import re
from enum import StrEnum

from attrs import frozen

from mailward.mime.source import Source

_LINE_REST = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\r?\Z)")


class What(StrEnum):
    """What a stretch of a message is."""

    HEADER = "header"
    BODY = "body"
    PREAMBLE = "preamble"
    DELIMITER = "delimiter"
    PART = "part"
    EPILOGUE = "epilogue"
    UNREAD = "unread"


@frozen(slots=True)
class Segment:
    """A stretch ``start:end`` of a source. A delimiter includes the line break before it."""

    start: int
    end: int
    what: What


@frozen(slots=True)
class Division:
    """A multipart body as contiguous segments.

    ``parts`` counts them; ``closed``: the end delimiter was there; ``resumed``: parts follow an end
    delimiter, where clients do not agree; ``full``: there were more parts than asked for;
    ``bare``: a delimiter line was ended by LF alone.
    """

    segments: list[Segment]
    parts: int
    closed: bool
    resumed: bool
    full: bool
    bare: bool


def divide(source: Source, body: int, end: int, boundary: bytes, most_parts: int) -> Division:
    """Divide ``body:end`` at the delimiter lines of ``boundary``; at most ``most_parts`` parts.

    One search through the bytes: linear in their number. The rest after the last part allowed is
    one segment `What.UNREAD`.
    """
    needle = b"\n--" + boundary
    segments = list[Segment]()
    data, what, at = source.data, What.PREAMBLE, body
    parts, closed, resumed, full, bare = 0, False, False, False, False
    position = max(body - 1, source.start)
    first_line = body == source.start and data[body : body + len(needle) - 1] == needle[1:]
    while True:
        hit = position - 1 if first_line else source.find(needle, position, end)
        if hit < 0 and not first_line:
            break
        first_line = False
        rest = _LINE_REST.match(data, hit + len(needle), end)
        if rest is None:
            position = hit + 1
            continue
        if rest[1] and what is What.EPILOGUE:
            position = rest.end() - 1
            continue
        cut = max(hit - 1 if hit > at and data[hit - 1] == 0x0D else hit, at)
        segments.append(Segment(at, cut, what))
        segments.append(Segment(cut, rest.end(), What.DELIMITER))
        bare = bare or (data[rest.end() - 1] == 0x0A and data[rest.end() - 2] != 0x0D)
        at = rest.end()
        position = at - 1 if data[at - 1] == 0x0A else at
        if rest[1]:
            what, closed = What.EPILOGUE, True
            continue
        resumed = resumed or closed
        if parts == most_parts:
            what, full = What.UNREAD, True
            break
        what = What.PART
        parts += 1
    segments.append(Segment(at, end, what))
    return Division(segments, parts, closed, resumed, full, bare)
