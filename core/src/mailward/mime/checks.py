"""Checks: what is malformed or ambiguous about a part as it stands, told as findings.

Of a second reading only what could not be looked at is told: that it is there is a finding already.
"""

from __future__ import annotations

from mailward.mime.content import ENCODINGS, IDENTITY
from mailward.mime.declared import boundary_of as boundary_of
from mailward.mime.declared import is_sound_type
from mailward.mime.kind import PartKind
from mailward.mime.ledger import Ledger
from mailward.mime.limits import MIB
from mailward.mime.manner import MAIN, Pick
from mailward.mime.parameters import Parameters
from mailward.mime.part import Part
from mailward.mime.source import Source
from mailward.values.finding import Kind

_DAMAGE = {
    "header_line": "a line of the header is no header field",
    "header_end": "the header ends without a blank line",
}
_ELSEWHERE = {
    "message/partial": "a fragment, which only the recipient can put together (RFC 2046 section 5.2.2)",
    "message/external-body": "the content lies elsewhere (RFC 2046 section 5.2.3)",
}


def check_header(ledger: Ledger, part: Part) -> None:
    """Record what is wrong with the header of a part: damage, duplicates, 8-bit bytes, unknown encodings."""
    headers, kind = part.headers, part.declared_type
    for rule in headers.damage:
        if rule not in _DAMAGE:
            ledger.limit(rule, part.path)
        elif part.manner is MAIN:
            ledger.note(Kind.MALFORMED, rule, part.path, detail=_DAMAGE[rule])
    if part.encoding not in ENCODINGS:
        detail = f"transfer encoding {part.encoding[:64]!r} is not known: content taken as it stands"
        ledger.note(Kind.UNCHECKED, "encoding_unknown", part.path, part.encoding[:64], detail)
    if kind == "message/partial":
        ledger.note(Kind.UNCHECKED, "partial", part.path, detail=_ELSEWHERE[kind])
    elif kind == "message/external-body":
        ledger.note(Kind.UNCHECKED, "external_body", part.path, detail=_ELSEWHERE[kind])
    if part.manner is not MAIN:
        return
    if not headers.block.isascii():
        ledger.note(Kind.NOTE, "header_8bit", part.path, detail="the header contains 8-bit bytes")
    for name in headers.varying:
        detail = f"several {name} fields with different values: clients choose differently"
        ledger.note(Kind.AMBIGUOUS, "duplicate_header", part.path, name, detail)
    if part.parameters.value:
        _check_type(ledger, part)


def _check_type(ledger: Ledger, part: Part) -> None:
    """Record what is wrong with the Content-Type of a part."""
    value = part.parameters.value
    if value != part.declared_type.encode("ascii", "replace") and not is_sound_type(part.parameters):
        detail = f"Content-Type {value[:64].decode('ascii', 'replace')!r} is no media type"
        ledger.note(Kind.MALFORMED, "content_type", part.path, detail=detail)
    charsets = _values(part.parameters, "charset")
    if len({charset.lower() for charset in charsets}) > 1:
        named = ", ".join(sorted(charset.decode("ascii", "replace")[:40] for charset in charsets)[:4])
        detail = f"several charset parameters: {named}"
        ledger.note(Kind.AMBIGUOUS, "charset_repeated", part.path, detail=detail)


def _values(parameters: Parameters, name: str) -> set[bytes]:
    """Every value of a parameter, under its plain and its RFC 2231 names."""
    return {item.raw for item in parameters.items if item.name.partition("*")[0] == name}


def check_boundary(ledger: Ledger, part: Part) -> None:
    """Record what is wrong with the structure of a part declared as multipart."""
    path, division = part.path, part.division
    if division is not None and division.full:
        ledger.limit(division.full, path)
    if part.manner is not MAIN:
        return
    if len(_values(part.parameters, "boundary")) > 1:
        ledger.note(Kind.AMBIGUOUS, "boundary_repeated", path, detail="several boundary parameters: the first is used")
    if not boundary_of(part.parameters, Pick.FIRST):
        detail = "a multipart without boundary: its body is one part"
        ledger.note(Kind.MALFORMED, "boundary_missing", path, detail=detail)
        return
    if division is None:
        detail = "no delimiter line in a multipart: its body is one part"
        ledger.note(Kind.MALFORMED, "boundary_unused", path, detail=detail)
        return
    if part.encoding not in IDENTITY:
        detail = f"a multipart in {part.encoding[:64]}: clients may decode it first"
        ledger.note(Kind.AMBIGUOUS, "multipart_encoding", path, detail=detail)
    if division.resumed:
        ledger.note(Kind.AMBIGUOUS, "parts_after_end", path, detail="parts follow the end delimiter")
    if not division.closed and not division.full:
        ledger.note(Kind.MALFORMED, "unclosed", path, detail="the end delimiter of the multipart is missing")


def check_bytes(ledger: Ledger, part: Part, crlf: bool) -> tuple[bool, bool]:
    """Record NUL and line ends that are not those of the message (SAV-BLK-07).

    The body of a leaf in base64 is left out: there they are white space. Returns whether a CR, and
    in a CRLF message whether an LF, stands alone in the header.
    """
    if part.manner is not MAIN:
        return False, False
    place, block = part.place, part.headers.block
    rest = _without_pairs(block)
    bare_return = b"\r" in rest
    bare_feed = b"\n" in rest and (crlf or len(rest) != len(block))
    if bare_return or bare_feed or (crlf and part.division is not None and part.division.bare):
        ledger.note(Kind.MALFORMED, "bare_line_end", part.path, detail="CR or LF alone in the header or at a delimiter")
    if b"\0" in block:
        ledger.note(Kind.MALFORMED, "nul", part.path, detail="NUL in the header")
    if part.kind is not PartKind.LEAF or part.encoding == "binary":
        return bare_return, bare_feed
    if place.source.find(b"\0", place.body, place.body_end) >= 0:
        ledger.note(Kind.MALFORMED, "nul", part.path, detail="NUL in the body")
    if part.encoding != "base64" and _has_bare(place.source, place.body, place.body_end, crlf):
        ledger.note(Kind.MALFORMED, "bare_line_end", part.path, detail="CR or LF alone in the body")
    return bare_return, bare_feed


def _without_pairs(data: bytes) -> bytes:
    """The bytes without every CRLF: a CR or LF that is left stands alone. Faster than counting them."""
    return b"".join(data.split(b"\r\n"))


def _bare(data: bytes, crlf: bool) -> bool:
    """Whether a CR, or in a CRLF message an LF, stands alone."""
    if b"\r" not in data:
        return crlf and b"\n" in data
    rest = _without_pairs(data)
    return b"\r" in rest or (crlf and b"\n" in rest)


def _has_bare(source: Source, start: int, end: int, crlf: bool) -> bool:
    carry = b""
    for chunk in source.chunks(start, end, MIB):
        data = carry + chunk
        # A pair cut in two by the chunk is looked at with the next one.
        carry = b"\r" if data.endswith(b"\r") else b""
        if _bare(data[: len(data) - len(carry)], crlf):
            return True
    return bool(carry)
