"""Where the pieces of a multipart lie (RFC 2046 section 5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum

from attrs import define, field, frozen

from mailward.mime.manner import ANY_BREAK, CRLF_ALONE, LF, Lines
from mailward.mime.source import Data, Source

_TAIL = re.compile(rb"[^\n]{1,200}")
_MOST_TAILS = 8
_ASK_EVERY = 4096


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


@define(slots=True)
class Division:
    """A multipart body as contiguous segments.

    ``parts`` counts them; ``closed``: the end delimiter was there; ``resumed``: parts follow an end
    delimiter, where clients do not agree; ``full``: the limit at which division stopped, empty where
    it did not; ``bare``: a delimiter line began after or was ended by LF alone; ``returns``: one seems
    to begin after or to be ended by CR alone; ``tails``: lines, without their first dashes, that begin
    like a delimiter and go on.
    """

    segments: list[Segment] = field(factory=list)
    parts: int = 0
    closed: bool = False
    resumed: bool = False
    full: str = ""
    bare: bool = False
    returns: bool = False
    tails: set[bytes] = field(factory=set)


def divide(
    source: Source,
    body: int,
    end: int,
    boundary: bytes,
    most_parts: int,
    lines: Lines = LF,
    out_of_time: Callable[[], bool] = bool,
) -> Division:
    """Divide ``body:end`` at the delimiter lines of ``boundary``; at most ``most_parts`` parts.

    One search through the bytes: linear in their number. The rest after the last part allowed is
    one segment `What.UNREAD`.
    """
    found = Division()
    segments, data, what, at = found.segments, source.data, What.PREAMBLE, body
    for hit, rest in _delimiters(source, body, end, boundary, lines, out_of_time, found):
        paired, after = data[hit - 2 : hit] == b"\r\n", rest.end()
        cut = max(hit - (2 if paired else 1), at)
        segments.append(Segment(at, cut, what))
        segments.append(Segment(cut, after, What.DELIMITER))
        found.bare = found.bare or (not paired and hit > body) or (data[after - 1] == 0x0A and data[after - 2] != 0x0D)
        at = after
        if rest[1]:
            what, found.closed = What.EPILOGUE, True
            continue
        found.resumed = found.resumed or found.closed
        if found.parts == most_parts:
            found.full = "max_parts"
            break
        what = What.PART
        found.parts += 1
    segments.append(Segment(at, end, What.UNREAD if found.full else what))
    return found


def _delimiters(
    source: Source,
    body: int,
    end: int,
    boundary: bytes,
    lines: Lines,
    out_of_time: Callable[[], bool],
    found: Division,
) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Where each delimiter line begins, and what follows its boundary; ``found`` learns of near misses.

    After an end delimiter, another one is text of the epilogue.
    """
    needle, data, at, asked, ended = b"--" + boundary, source.data, body, 0, False
    for hit in source.finds(needle, body, end):
        if hit < at:
            continue
        asked += 1
        if asked % _ASK_EVERY == 0 and out_of_time():
            found.full = "max_time_s"
            return
        if hit != source.start and data[hit - 1] != 0x0A:
            found.returns = found.returns or data[hit - 1] == 0x0D
            if lines is not ANY_BREAK or data[hit - 1] != 0x0D:
                continue
        elif lines is CRLF_ALONE and data[hit - 2 : hit] != b"\r\n":
            continue
        rest = lines.rest.match(data, hit + len(needle), end)
        if rest is None:
            _wrong(found, data, hit + 2, len(boundary), end)
            continue
        if rest[1] and ended:
            continue
        at, ended = rest.end(), rest[1] is not None
        yield hit, rest


def _wrong(found: Division, data: Data, start: int, boundary_bytes: int, end: int) -> None:
    """Note a line whose boundary is at ``start``, and that is no delimiter after all."""
    tail = _TAIL.match(data, start, end) if len(found.tails) < _MOST_TAILS else None
    if tail is None:
        return
    line, returns, _ = tail[0].removesuffix(b"\r").partition(b"\r")
    if returns and not line[boundary_bytes:].strip(b"- \t"):
        found.returns = True
    else:
        found.tails.add(line.rstrip())
