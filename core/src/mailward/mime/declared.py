"""What the header of a part declares about its body, as a client of a given manner reads it."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from mailward.mime.content import ENCODINGS
from mailward.mime.headers import Headers
from mailward.mime.manner import MAIN, Manner, Pick, Transfer
from mailward.mime.parameters import NO_PARAMETERS, Parameters, parse_parameters, without_comments
from mailward.mime.words import decode_header

_TYPE = re.compile(rb"\s*+([^\s;/()<>@,:\"\[\]?=]++/[^\s;/()<>@,:\"\[\]?=]++)")
_ENCODING = re.compile(rb"\s*+([^\s;(]*+)")
_COMMENT = re.compile(r"\([^()]*\)")
_LENIENT_TYPE = re.compile(r"[\s;\"'<]*(\w[^\s;/\"'<>,]*)\s*(?:/\s*([^\s;/\"'<>,]+))?")
_TOKEN = re.compile(rb"[^\s()<>@,;\"\[\]\0]*")
_FOUND = re.compile(rb"boundary\s*+=\s*+\"?([^\";\s]++)", re.I)
_AROUND = b" \t'<>"
LONGEST_BOUNDARY = 70
"""How long a boundary may be (RFC 2046 section 5.1.1): some clients compare no more of it."""
_NAMED = ("base64", "quoted-printable", "uue")
_GUESSED_WITHIN = 64 * 1024
_GUESS = re.compile(rb"(?:\A|\n)--(-*+[^\s-][^\r\n]{0,198})\r?\n")
_DEFAULT = "text/plain"


def field_of(headers: Headers, name: str, manner: Manner) -> bytes | None:
    """The value of the field that counts, None where there is none."""
    if manner.last_field:
        return next(iter(reversed(headers.raws(name))), None)
    return headers.raw(name)


def type_of(headers: Headers, default: str, manner: Manner = MAIN) -> tuple[str, Parameters]:
    """(media type in lower case, its parameters); without a field ``default``.

    A value that is no type means text/plain (RFC 2045 section 5.2), unless what is left without
    quotes, comments, blanks and encoded words is one.
    """
    raw = field_of(headers, "content-type", manner)
    if raw is None:
        return default, NO_PARAMETERS
    parameters = parse_parameters(raw)
    match = _TYPE.match(parameters.value)
    if match is not None:
        return match[1].lower().decode("ascii", "replace"), parameters
    return _lenient(raw), parameters


def is_sound_type(parameters: Parameters) -> bool:
    """Whether the value of a Content-Type field is a media type."""
    return _TYPE.match(parameters.value) is not None


def _lenient(raw: bytes) -> str:
    text = _COMMENT.sub(" ", decode_header(raw[:1000])).lower()
    match = _LENIENT_TYPE.match(text)
    if match is None or not match[1].isascii():
        return _DEFAULT
    if match[2] is None:
        return "multipart/mixed" if match[1] == "multipart" else _DEFAULT
    return f"{match[1]}/{match[2]}" if match[2].isascii() else _DEFAULT


def encoding_of(headers: Headers, manner: Manner = MAIN) -> str:
    """The transfer encoding in lower case, ``7bit`` where none is declared."""
    raw = field_of(headers, "content-transfer-encoding", manner)
    if raw is None:
        return "7bit"
    match = _ENCODING.match(raw)
    found = match[1].lower().decode("ascii", "replace") if match and match[1] else "7bit"
    return named_in(raw) or found if manner.transfer is Transfer.NAMED else found


def named_in(raw: bytes) -> str:
    """A transfer encoding whose name occurs somewhere in the value, for clients that look no closer."""
    text = raw.lower()
    return next((name for name in _NAMED if name.encode() in text), "")


def names_another(headers: Headers, encoding: str) -> bool:
    """Whether the field names an encoding that is not the one it declares."""
    raw = headers.raw("content-transfer-encoding")
    named = named_in(raw) if raw is not None else ""
    return bool(named) and (named not in encoding or encoding not in ENCODINGS)


def boundary_of(parameters: Parameters, pick: Pick = Pick.FIRST) -> bytes:
    """The boundary of a multipart: the first plain parameter, else the RFC 2231 reading; empty where there is none.

    Other picks: the last plain one; the RFC 2231 reading before plain ones; the value up to the
    first character that no token may have; the value with its backslashes; and those of `_otherwise`.
    """
    if pick in _OTHERWISE:
        return _otherwise(parameters, pick)
    plain = [item for item in parameters.items if item.name == "boundary"]
    if pick is Pick.FIRST and plain and (usual := plain[0].raw.rstrip()):
        return usual
    if pick is Pick.EXTENDED or not any(item.raw.rstrip() for item in plain):
        extended = next((one.text for one in parameters.readings("boundary") if one.source != "boundary"), "")
        if extended:
            return extended.encode("latin-1", "replace").rstrip()
    if not plain:
        return b""
    chosen = plain[-1 if pick is Pick.LAST else 0]
    if pick is Pick.TOKEN:
        match = _TOKEN.match(chosen.raw)
        # A quoted value is cut at NUL alone, where C ends a string.
        return chosen.raw.partition(b"\0")[0] if chosen.quoted else match[0] if match else b""
    return (chosen.kept if pick is Pick.QUOTED else chosen.raw).rstrip()


_OTHERWISE = frozenset((Pick.UNCOMMENTED, Pick.BARE, Pick.JOINED, Pick.UNCODED, Pick.FOUND, Pick.CUT))


def _otherwise(parameters: Parameters, pick: Pick) -> bytes:
    """The boundary for clients that know comments; that take away blanks, apostrophes and angle brackets around it;
    that go on behind a closing quote; that decode encoded words and percent signs; that look for the first place
    where the word stands; that compare no more than 70 characters. Empty where there is none.
    """
    if pick is Pick.UNCOMMENTED:
        return b"".join(boundary_of(parse_parameters(without_comments(parameters.text))).split(None, 1)[:1])
    if pick is Pick.FOUND:
        match = _FOUND.search(parameters.text)
        return match[1] if match is not None else b""
    usual = boundary_of(parameters)
    if pick is Pick.CUT:
        return usual[:LONGEST_BOUNDARY]
    if pick is Pick.JOINED:
        after = next((item.after for item in parameters.items if item.name == "boundary"), b"")
        return usual + after if after else b""
    if pick is Pick.UNCODED:
        return unquote_to_bytes(decode_header(usual).encode("utf-8", "replace")).strip()
    return usual.strip(_AROUND)


def has_plain_boundary(parameters: Parameters) -> bool:
    """Whether there is one boundary, and one way to read it."""
    found = [item for item in parameters.items if item.name.startswith("boundary")]
    if len(found) != 1 or found[0].name != "boundary":
        return False
    text, value = parameters.text, found[0].raw
    if b"(" in text or found[0].after or text.lower().count(b"boundary") > 1:
        return False
    if b"%" in value or b"=?" in value or value.strip(_AROUND) != value:
        return False
    if found[0].quoted:
        return value == found[0].kept and b"\0" not in value
    return _TOKEN.fullmatch(value) is not None


def guessed_boundary(body: bytes) -> bytes:
    """The first line of a body that looks like a delimiter, without its dashes; empty where there is none."""
    match = _GUESS.search(body[:_GUESSED_WITHIN])
    return match[1].rstrip() if match is not None else b""
