"""Parameters of header fields: ``value; name=value; …`` (RFC 2045 section 5.1, RFC 2231)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from attrs import frozen

from mailward.mime.charset import decode_text
from mailward.mime.words import decode_header, unfold

_PARAMETER = re.compile(rb';\s*+([^\s=;"]++)\s*+=\s*+(?:(")((?:[^"\\]++|\\.)*+)"?([^;]*+)|([^;]*+))', re.S)
_ESCAPE = re.compile(rb"\\(.)", re.S)
_SEGMENT = re.compile(r"([^*]+)\*(?:(\d{1,5})(\*)?)?")


@frozen(slots=True)
class Parameter:
    """One parameter as the header has it: name in lower case with its RFC 2231 asterisks, raw value unquoted.

    ``kept``: the value with the backslashes that ``raw`` has lost. ``after``: what stands between the
    closing quote and the next semicolon.
    """

    name: str
    raw: bytes
    quoted: bool = False
    kept: bytes = b""
    after: bytes = b""


@frozen(slots=True)
class Reading:
    """One way to read a parameter: its text and the name it came under (``filename*``, ``name*0``)."""

    text: str
    source: str


@frozen(slots=True)
class Parameters:
    """The parameters of one header field. ``value`` is what stands before the first semicolon."""

    value: bytes = b""
    items: tuple[Parameter, ...] = ()

    def raw(self, name: str) -> bytes:
        """The raw value of the first parameter of exactly this name, empty where there is none."""
        return next((item.raw for item in self.items if item.name == name), b"")

    def get(self, name: str) -> str:
        """The text of a parameter in the reading that RFC 2231 prefers, empty where there is none."""
        return next((reading.text for reading in self.readings(name)), "")

    def readings(self, name: str) -> Iterator[Reading]:
        """Every reading of a parameter: extended, continued, then plain (encoded words decoded), duplicates too."""
        segments = list[tuple[int, bool, Parameter]]()
        for item in self.items:
            match = _SEGMENT.fullmatch(item.name)
            if match is None or match[1] != name:
                continue
            if match[2] is None:
                yield Reading(_extended(item.raw, True), item.name)
            else:
                segments.append((int(match[2]), match[3] is not None, item))
        if segments:
            segments.sort(key=lambda segment: segment[0])
            yield Reading(_joined(segments), f"{name}*{segments[0][0]}")
        for item in self.items:
            if item.name == name:
                yield Reading(decode_header(item.raw), name)


NO_PARAMETERS = Parameters()
"""Those of a field that is not there."""


def parse_parameters(raw: bytes) -> Parameters:
    """Parse a header value. Tolerates unquoted values with blanks, missing quotes, escapes. Linear; never raises."""
    text = unfold(raw)
    semicolon = text.find(b";")
    if semicolon < 0:
        return Parameters(text)
    items = tuple([_parameter(*match) for match in _PARAMETER.findall(text, semicolon)])
    return Parameters(text[:semicolon].rstrip(), items)


def _parameter(name: bytes, quote: bytes, quoted: bytes, after: bytes, plain: bytes) -> Parameter:
    word = name.lower().decode("latin-1")
    if not quote:
        value = plain.rstrip()
        return Parameter(word, value, False, value)
    return Parameter(word, _ESCAPE.sub(rb"\1", quoted) if b"\\" in quoted else quoted, True, quoted, after.strip())


def _split_charset(raw: bytes) -> tuple[str, bytes]:
    """``charset'language'value`` → (charset, value)."""
    charset, quote, rest = raw.partition(b"'")
    if not quote or b"'" not in rest:
        return "", raw
    return charset.decode("ascii", "replace").lower(), rest.partition(b"'")[2]


def _extended(raw: bytes, percent: bool) -> str:
    charset, value = _split_charset(raw)
    return decode_text(unquote_to_bytes(value) if percent else value, charset)


def _joined(segments: list[tuple[int, bool, Parameter]]) -> str:
    charset, pieces, seen = "", list[bytes](), set[int]()
    for number, percent, item in segments:
        if number in seen:
            continue
        seen.add(number)
        value = item.raw
        if percent and not pieces:
            charset, value = _split_charset(value)
        pieces.append(unquote_to_bytes(value) if percent else value)
    return decode_text(b"".join(pieces), charset)
