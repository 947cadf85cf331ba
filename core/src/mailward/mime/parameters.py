"""Parameters of header fields: ``value; name=value; …`` (RFC 2045 section 5.1, RFC 2231)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import itemgetter
from urllib.parse import unquote_to_bytes

from attrs import frozen

from mailward.mime.charset import decode_text
from mailward.mime.words import decode_header, unfold

_PARAMETER = re.compile(rb';\s*+([^\s=;"]++)\s*+=\s*+(?:(")((?>[^"\\]++|\\.)*+)"?([^;]*+)|([^;]*+))', re.S)
_OUTSIDE_COMMENTS = re.compile(rb'\(|"(?>[^"\\]++|\\.)*+"?|[^"(]++', re.S)
_IN_COMMENT = re.compile(rb"[()]|\\.|[^()\\]++|\\", re.S)
_ESCAPE = re.compile(rb"\\(.)", re.S)
_COMMENT = re.compile(rb"\([^()]*+\)")
_DEEPEST_COMMENT = 10
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


Segment = tuple[int, bool, Parameter]
"""One segment of a continued parameter: its number, whether it is percent-encoded, the parameter."""


@frozen(slots=True)
class Reading:
    """One way to read a parameter: its text and the name it came under (``filename*``, ``name*0``)."""

    text: str
    source: str


@frozen(slots=True)
class Parameters:
    """The parameters of one header field. ``value`` is what stands before the first semicolon, ``text`` all of it."""

    value: bytes = b""
    items: tuple[Parameter, ...] = ()
    text: bytes = b""

    def raw(self, name: str) -> bytes:
        """The raw value of the first parameter of exactly this name, empty where there is none."""
        return next((item.raw for item in self.items if item.name == name), b"")

    def get(self, name: str) -> str:
        """The text of a parameter in the reading that RFC 2231 prefers, empty where there is none."""
        return next((reading.text for reading in self.readings(name)), "")

    def readings(self, name: str) -> Iterator[Reading]:
        """Every reading of a parameter: extended, continued, then plain, duplicates too; the usual one of each first.

        Further ones are those of clients that stop at a gap between segments, take the last of equal
        segments or take them as they come, look for encoded words in all of these, keep backslashes,
        read past a closing quote, stop at a blank, skip comments or stray quotes, or decode percent signs everywhere.
        """
        segments = list[Segment]()
        for item in self.items:
            match = _SEGMENT.fullmatch(item.name)
            if match is None or match[1] != name:
                continue
            if match[2] is None:
                yield from _texts(item.name, _extended(item.raw, True))
            else:
                segments.append((int(match[2]), match[3] is not None, item))
        if segments:
            yield from _texts(f"{name}*{min(map(itemgetter(0), segments))}", *_joinings(segments))
        for item in self.items:
            if item.name == name:
                yield from _texts(name, *_plain(item))


NO_PARAMETERS = Parameters()
"""Those of a field that is not there."""


def parse_parameters(raw: bytes) -> Parameters:
    """Parse a header value. Tolerates unquoted values with blanks, missing quotes, escapes. Linear; never raises."""
    text = unfold(raw)
    semicolon = text.find(b";")
    if semicolon < 0:
        return Parameters(text, (), text)
    items = tuple([_parameter(*match) for match in _PARAMETER.findall(text, semicolon)])
    return Parameters(text[:semicolon].rstrip(), items, text)


def without_comments(text: bytes) -> bytes:
    """A header value with a blank in the place of each comment (RFC 5322 section 3.2.2), nested ones too. Linear."""
    pieces, depth, at = list[bytes](), 0, 0
    while (match := (_IN_COMMENT if depth else _OUTSIDE_COMMENTS).match(text, at)) is not None:
        at = match.end()
        if match[0] == b"(":
            depth += 1
        elif match[0] == b")" and depth:
            depth -= 1
            pieces.append(b" ")
        elif not depth:
            pieces.append(match[0])
    return b"".join(pieces)


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


def _texts(source: str, *texts: str) -> Iterator[Reading]:
    for text in dict.fromkeys(texts):
        yield Reading(text, source)
        if source != source.rstrip("*0123456789") and "=?" in text:
            yield Reading(decode_header(text.encode("utf-8", "replace")), source)


def _plain(item: Parameter) -> Iterator[str]:
    """The readings of a parameter that is neither extended nor continued."""
    yield decode_header(item.raw)
    if item.kept != item.raw:
        yield decode_header(item.kept)
    if item.after:
        yield decode_header(item.raw + item.after)
    if not item.quoted and (first := item.raw.split(None, 1)[:1]) and first[0] != item.raw:
        yield decode_header(first[0])
    if not item.quoted and b"(" in item.raw:
        yield decode_header(_without_comments(item.raw))
    if not item.quoted and b'"' in item.raw:
        yield decode_header(item.raw.replace(b'"', b""))
    if b"%" in item.raw and (plain := unquote_to_bytes(item.raw)) != item.raw:
        yield decode_text(plain)


def _without_comments(raw: bytes) -> bytes:
    """What is left of an unquoted value where comments are skipped (RFC 5322 section 3.2.2); one may have no end."""
    for _ in range(_DEEPEST_COMMENT):
        raw, comments = _COMMENT.subn(b"", raw)
        if not comments:
            break
    return raw.partition(b"(")[0].strip()


def _joinings(segments: list[Segment]) -> Iterator[str]:
    """The readings of a continued parameter."""
    in_order = sorted(segments, key=itemgetter(0))
    yield _joined(in_order)
    numbers = list(dict.fromkeys(number for number, _, _ in in_order))
    gap = next((at for at, number in enumerate(numbers) if number != at), len(numbers))
    if 0 < gap < len(numbers):
        yield _joined([segment for segment in in_order if segment[0] < gap])
    if len(numbers) != len(segments):
        last_first = segments[::-1]
        last_first.sort(key=itemgetter(0))
        yield _joined(last_first)
    if segments != in_order:
        yield _joined(segments)


def _extended(raw: bytes, percent: bool) -> str:
    charset, value = _split_charset(raw)
    return decode_text(unquote_to_bytes(value) if percent else value, charset)


def _joined(segments: list[Segment]) -> str:
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
