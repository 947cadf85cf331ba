"""Second readings: where clients differ about the structure of a part, and what each makes of it.

Every client reads all of a message in its own way, so a reading goes through the whole subtree, and
has no readings of its own: the work stays in proportion to the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from mailward.mime import manner
from mailward.mime.base64end import (
    has_url_digits,
    is_cut_by_junk,
    looks_like_base64,
    padding_end,
    resumes_after,
)
from mailward.mime.content import is_identity
from mailward.mime.declared import LONGEST_BOUNDARY, boundary_of, has_plain_boundary, names_another
from mailward.mime.layout import Segment, What
from mailward.mime.limits import MIB
from mailward.mime.manner import Manner, Pick
from mailward.mime.part import Part

MESSAGE_TYPES = frozenset(("message/rfc822", "message/global", "message/news"))
MOST_READINGS = 4
_UNENCODED = frozenset(("message/rfc822", "message/news"))
_PLACING = ("content-type", "content-transfer-encoding")
_PLACING_FIELD = re.compile(rb"^content-(?:type|transfer-encoding)[ \t]*+:", re.I | re.M)
_BLANK_NAME = re.compile(
    rb"^(?:[\x0b\x0c\xa0]++content-(?:type|transfer-encoding)"
    rb"|content-(?:type|transfer-encoding)[ \t]*+[\x0b\x0c\xa0])[ \t\x0b\x0c\xa0]*+:",
    re.I | re.M,
)
_BLANK_LINES = re.compile(rb"(?>[ \t]*+\r?\n)*+")
_FIELD = re.compile(rb"[!-9;-~]++[ \t]*+:")
_PICKS = (
    *((Pick.EXTENDED, manner.EXTENDED), (Pick.TOKEN, manner.TOKEN), (Pick.QUOTED, manner.QUOTED)),
    *((Pick.UNCOMMENTED, manner.UNCOMMENTED), (Pick.BARE, manner.BARE), (Pick.JOINED, manner.JOINED)),
    *((Pick.UNCODED, manner.UNCODED), (Pick.FOUND, manner.FOUND)),
)
_IDENTITY_VALUES = (b"7bit", b"8bit", b"binary")
_HEAD_BYTES = 4096


@frozen(slots=True)
class Doubt:
    """A way of reading that may differ, the rule it is reported under where it does, and why it may.

    Without a rule the reason is reported already.
    """

    manner: Manner
    rule: str
    detail: str


def doubts(part: Part, crlf: bool, bare_return: bool, bare_feed: bool) -> list[Doubt]:
    """The ways of reading a part that are worth a try.

    ``crlf``: lines of the message end so; ``bare_return`` and ``bare_feed``: what stands alone in its header.
    """
    multipart = part.declared_type.startswith("multipart/")
    found = list(_of_header(part, multipart, bare_return, bare_feed or (crlf and _has_bare_delimiter(part))))
    if multipart:
        found += _of_multipart(part)
    elif not is_identity(part.encoding):
        found += _of_encoded(part)
    elif (raw := part.headers.raw(_PLACING[1])) is not None and raw.strip().lower() not in _IDENTITY_VALUES:
        found += _of_named(part)
    return found


def _of_header(part: Part, multipart: bool, bare_return: bool, bare_feed: bool) -> Iterator[Doubt]:
    headers, layout = part.headers, part.layout
    varies = any(name in _PLACING for name in headers.varying)
    if varies or (multipart and _repeats_boundary(part)):
        for last in (manner.LAST, manner.LAST_FIELD, manner.LAST_PARAMETER):
            yield Doubt(last, "", "")
    if bare_return or (layout is not None and layout.returns):
        yield Doubt(manner.CR, "line_ends", "clients that end lines at CR alone see another structure")
    if bare_feed:
        yield Doubt(manner.CRLF, "line_ends", "clients that end lines at CRLF alone see another structure")
    if headers.damage:
        yield from _of_damage(part, multipart)
    if headers.has_line_of_blanks:
        yield Doubt(manner.BLANKS, "line_of_blanks", "a line of blanks in the header: for some clients the body begins")
    if not headers.block and not multipart and _has_late_header(part):
        yield Doubt(manner.LATE, "late_header", "header fields after the blank line that ends an empty header")


def _has_late_header(part: Part) -> bool:
    """Whether blank lines stand before fields that place a body; before those of an attached mail as a whole, any."""
    data, place = part.place.source.data, part.place
    begin = _BLANK_LINES.match(data, place.body, place.body_end)
    if begin is None:
        return False
    start = begin.end()
    if _PLACING_FIELD.match(data, start, place.body_end):
        return True
    above = part.parent
    if above is None or above.division is not None or not _FIELD.match(data, start, place.body_end):
        return False
    blank = manner.LF.blank.search(data, start, min(place.body_end, start + MIB))
    return blank is not None and _PLACING_FIELD.search(data, start, blank.end()) is not None


def _repeats_boundary(part: Part) -> bool:
    return len(part.parameters.items) > 1 and boundary_of(part.parameters, Pick.LAST) != boundary_of(part.parameters)


def _has_bare_delimiter(part: Part) -> bool:
    return part.layout is not None and part.layout.bare


def _of_damage(part: Part, multipart: bool) -> Iterator[Doubt]:
    headers, place = part.headers, part.place
    if "header_line" in headers.damage and not _opens_like_mbox(part):
        yield Doubt(manner.JUNK_ENDS, "header_junk", "a line that is no field: for some clients the header ends there")
    data, stop = place.source.data, place.body
    if "header_end" in headers.damage:
        blank = manner.LF.blank.search(data, place.body, min(place.end, place.body + MIB))
        stop = blank.end() if blank is not None else place.body
        if not is_identity(part.encoding) or _PLACING_FIELD.search(data, place.body, stop):
            yield Doubt(
                manner.JUNK_SKIPPED, "header_junk", "lines that are no fields: some clients look for more fields"
            )
    if _BLANK_NAME.search(data, place.start, stop):
        yield Doubt(manner.TRIMMED, "header_junk", "the name of a field with blanks that some clients take away")


def _opens_like_mbox(part: Part) -> bool:
    """Whether the only line that is no field is the separator of an mbox at the top."""
    block = part.headers.block
    first = block.find(b"\n") + 1
    fields = sum(extent.end - extent.start for extent in part.headers.extents())
    return block.startswith((b"From ", b">From ")) and first + fields == len(block)


def _of_multipart(part: Part) -> Iterator[Doubt]:
    parameters, layout = part.parameters, part.layout
    tried = {boundary_of(parameters), b""}
    for pick, way in () if has_plain_boundary(parameters) else _PICKS:
        boundary = boundary_of(parameters, pick)
        if boundary not in tried:
            tried.add(boundary)
            yield Doubt(way, "boundary_syntax", "the boundary parameter can be read in several ways")
    if len(usual := boundary_of(parameters)) > LONGEST_BOUNDARY and _differs_late(part, usual):
        yield Doubt(manner.CUT, "boundary_tail", "lines begin like a delimiter of a boundary that is too long")
    if not is_identity(part.encoding):
        detail = f"a multipart in {part.encoding[:64]}: clients may decode it first"
        yield Doubt(manner.DECODED, "multipart_encoding", detail)
    if layout is not None and layout.tails:
        yield Doubt(
            manner.LOOSE, "boundary_tail", "lines begin like a delimiter and go on: delimiters for some clients"
        )
    if any(part.place.source.find(b"begin", one.start, one.end) >= 0 for one in outside(part)):
        yield Doubt(manner.OUTSIDE, "outside_parts", "an encoded file before or after the parts of a multipart")
    if part.division is None:
        yield Doubt(manner.GUESSED, "boundary_guessed", "no usable boundary: clients may take one from the body")


def _differs_late(part: Part, boundary: bytes) -> bool:
    """Whether some line is that of a boundary for those alone who compare no more of it than it may be long."""
    source, place, rest = part.place.source, part.place, boundary[LONGEST_BOUNDARY:]
    needle = b"--" + boundary[:LONGEST_BOUNDARY]
    return any(
        (hit == source.start or source.data[hit - 1] == 0x0A)
        and source.copy(hit + len(needle), hit + len(needle) + len(rest)) != rest
        for hit in source.finds(needle, place.body, place.body_end)
    )


def outside(part: Part) -> list[Segment]:
    """The stretches of a multipart that lie before, between and after its parts."""
    segments = part.division.segments if part.division is not None else []
    return [one for one in segments if one.what in (What.PREAMBLE, What.EPILOGUE) and one.start < one.end]


def _of_encoded(part: Part) -> Iterator[Doubt]:
    place = part.place
    if part.declared_type in MESSAGE_TYPES:
        if part.declared_type in _UNENCODED and _FIELD.match(place.source.data, place.body, place.body_end):
            detail = (
                f"a message in {part.encoding[:64]}, which RFC 2046 section 5.2.1 forbids: clients may not decode it"
            )
            yield Doubt(manner.UNDECODED, "message_encoding", detail)
    elif part.encoding == "base64":
        if not looks_like_base64(place.source.copy(place.body, min(place.body_end, place.body + _HEAD_BYTES))):
            yield Doubt(
                manner.UNDECODED, "not_base64", "declared as base64 but not written in it: clients may show it as is"
            )
        if resumes_after(place, padding_end(place)):
            detail = "base64 goes on after its padding: clients may stop there, or take no notice of it"
            yield Doubt(manner.TO_PADDING, "base64_after_padding", detail)
            yield Doubt(manner.UNPADDED, "base64_after_padding", detail)
    yield from _of_named(part)


def _of_named(part: Part) -> Iterator[Doubt]:
    if names_another(part.headers, part.encoding):
        yield Doubt(manner.NAMED, "encoding_syntax", "the transfer encoding can be read in several ways")


def doubts_of_junk(part: Part) -> list[Doubt]:
    """The ways of reading base64 in which decoding met characters that are none."""
    place, found = part.place, list[Doubt]()
    if is_cut_by_junk(place):
        detail = "base64 goes on after characters that are none: clients may stop there"
        found.append(Doubt(manner.TO_JUNK, "base64_after_junk", detail))
    if has_url_digits(place):
        detail = "characters in base64 that are digits in its alphabet for addresses alone (RFC 4648 section 5)"
        found.append(Doubt(manner.URL_ALPHABET, "base64_alphabet", detail))
    return found


def shape(part: Part) -> tuple[object, ...]:
    """What a reading makes of a part; equal where two readings show the same contents."""
    if part.division is not None:
        return tuple((id(part.place.source.data), one.start, one.end, one.what) for one in part.division.segments)
    place, kind = part.place, part.declared_type
    family = "message" if kind in MESSAGE_TYPES else "text" if kind.startswith(("text/", "multipart/")) else ""
    coding = "" if is_identity(part.encoding) else part.encoding
    return family, id(place.source.data), place.body, place.body_end, coding


def explained(part: Part, tails: set[bytes]) -> bool:
    """Whether lines that begin like a delimiter are those of multiparts inside the part.

    Then a client that takes them for its own sees the same contents in another order, unless a part
    stands behind the end of one of them.
    """
    inside, stack = set[bytes](), list(part.children)
    while stack:
        one = stack.pop()
        stack += one.children
        if one.division is not None:
            boundary = boundary_of(one.parameters)
            source = one.place.source
            for segment in outside(one):
                if segment.what is What.EPILOGUE and _PLACING_FIELD.search(source.data, segment.start, segment.end):
                    return False
            inside |= {boundary, boundary + b"--"}
    return tails <= inside
