"""Checks: what is malformed or ambiguous about a part as it stands, told as findings."""

from __future__ import annotations

from mailward.mime.content import ENCODINGS, IDENTITY
from mailward.mime.ledger import Ledger
from mailward.mime.limits import MIB
from mailward.mime.parameters import Parameters
from mailward.mime.part import Part, PartKind
from mailward.mime.source import Source
from mailward.mime.words import unfold
from mailward.values.finding import Kind

_SINGLE = ("content-type", "content-transfer-encoding", "content-disposition")
_DAMAGE = {
    "header_line": "a line of the header is no header field",
    "header_end": "the header ends without a blank line",
}


def check_header(ledger: Ledger, part: Part) -> None:
    """Record what is wrong with the header of a part: damage, duplicates, 8-bit bytes, unknown encodings."""
    headers = part.headers
    for rule in headers.damage:
        if rule in _DAMAGE:
            ledger.note(Kind.MALFORMED, rule, part.path, detail=_DAMAGE[rule])
        else:
            ledger.limit(rule, part.path)
    if not headers.block.isascii():
        ledger.note(Kind.NOTE, "header_8bit", part.path, detail="the header contains 8-bit bytes")
    for name in _SINGLE if headers.repeats else ():
        if len({unfold(raw).lower() for raw in headers.raws(name)}) > 1:
            detail = f"several {name} fields with different values: clients choose differently"
            ledger.note(Kind.AMBIGUOUS, "duplicate_header", part.path, name, detail)
    if part.encoding not in ENCODINGS:
        detail = f"transfer encoding {part.encoding[:64]!r} is not known: content taken as it stands"
        ledger.note(Kind.UNCHECKED, "encoding_unknown", part.path, part.encoding[:64], detail)


def check_boundary(ledger: Ledger, part: Part) -> None:
    """Record what is wrong with the structure of a part declared as multipart."""
    path, division = part.path, part.division
    given = {item.raw for item in part.parameters.items if item.name.partition("*")[0] == "boundary"}
    if len(given) > 1:
        ledger.note(Kind.AMBIGUOUS, "boundary_repeated", path, detail="several boundary parameters: the first is used")
    if not boundary_of(part.parameters):
        ledger.note(
            Kind.MALFORMED, "boundary_missing", path, detail="a multipart without boundary: its body is one part"
        )
        return
    if division is None:
        ledger.note(
            Kind.MALFORMED, "boundary_unused", path, detail="no delimiter line in a multipart: its body is one part"
        )
        return
    if part.encoding not in IDENTITY:
        detail = f"a multipart in {part.encoding[:64]}: clients may decode it first"
        ledger.note(Kind.AMBIGUOUS, "multipart_encoding", path, part.encoding[:64], detail)
    if division.resumed:
        ledger.note(Kind.AMBIGUOUS, "parts_after_end", path, detail="parts follow the end delimiter")
    if not division.closed and not division.full:
        ledger.note(Kind.MALFORMED, "unclosed", path, detail="the end delimiter of the multipart is missing")
    if division.full:
        ledger.limit("max_parts", path)


def check_bytes(ledger: Ledger, part: Part, crlf: bool) -> None:
    """Record NUL and line ends that are not those of the message (SAV-BLK-07).

    The body of a leaf in base64 is left out: there they are white space.
    """
    place, block = part.place, part.headers.block
    mixed = crlf or b"\r\n" in block
    if _bare(block, 0, len(block), mixed) or (crlf and part.division is not None and part.division.bare):
        ledger.note(Kind.MALFORMED, "bare_line_end", part.path, detail="CR or LF alone in the header or at a delimiter")
    if b"\0" in block:
        ledger.note(Kind.MALFORMED, "nul", part.path, detail="NUL in the header")
    if part.kind is not PartKind.LEAF or part.encoding == "binary":
        return
    if place.source.find(b"\0", place.body, place.body_end) >= 0:
        ledger.note(Kind.MALFORMED, "nul", part.path, detail="NUL in the body")
    if part.encoding != "base64" and _has_bare(place.source, place.body, place.body_end, crlf):
        ledger.note(Kind.MALFORMED, "bare_line_end", part.path, detail="CR or LF alone in the body")


def _bare(data: bytes, start: int, end: int, crlf: bool) -> bool:
    """Whether a CR, or in a CRLF message an LF, stands alone in ``start:end``."""
    returns = data.count(b"\r", start, end)
    if not returns:
        return crlf and data.find(b"\n", start, end) >= 0
    pairs = data.count(b"\r\n", start, end)
    return returns != pairs or (crlf and data.count(b"\n", start, end) != pairs)


def _has_bare(source: Source, start: int, end: int, crlf: bool) -> bool:
    if isinstance(source.data, bytes):
        return _bare(source.data, start, end, crlf)
    carry = b""
    for chunk in source.chunks(start, end, MIB):
        data = carry + chunk
        # A pair cut in two by the chunk is looked at with the next one.
        carry = b"\r" if data.endswith(b"\r") else b""
        if _bare(data, 0, len(data) - len(carry), crlf):
            return True
    return bool(carry)


def boundary_of(parameters: Parameters) -> bytes:
    """The boundary of a multipart: the first plain parameter, else the RFC 2231 reading; empty where there is none."""
    if not parameters.items:
        return b""
    plain = parameters.raw("boundary").rstrip()
    return plain or parameters.get("boundary").encode("latin-1", "replace").rstrip()
