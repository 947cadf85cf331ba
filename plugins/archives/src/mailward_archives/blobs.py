"""Files in HTML, SVG, XML and scripts: ``data:`` URIs (RFC 2397) and long base64 strings (HTML smuggling).

A page can hand its reader a file that no mail filter saw as an attachment. What such a string holds
is a member, named by the type that its URI or its first bytes show.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import urllib.parse
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data
from mailward_archives.content import Content, limit, unopened
from mailward_archives.escapes import MOST_UNESCAPED_BYTES, is_escaped, unescaped
from mailward_archives.inflate import inflated
from mailward_archives.signatures import extension

# Browsers pass over tabs and line breaks in a URI, and over blanks at the ends of its media type.
_SCHEME = rb"d[\t\r\n]*+a[\t\r\n]*+t[\t\r\n]*+a[\t\r\n]*+:"
_SCHEME_ENDS = (b"a:", b"A:", b"\t:", b"\r:", b"\n:")
_URI = re.compile(
    _SCHEME
    + rb"(?:([\w.+/\t\r\n-]{0,100}+)((?:;[^,;<>]{0,200}+){0,8}),|([^,<>\"'`]{0,200};\s{0,20}+base64\s{0,20}+),)",
    re.I,
)
_URI_END = re.compile(rb"[\"'<>)`\\]|\Z")
_BARE_URI_END = re.compile(rb"[\s\"'<>`]|\Z")
_LITERAL = re.compile(rb"[\"'`]([A-Za-z0-9+/_=\s-]++)(?=[\"'`])")
_BETWEEN_TAGS = re.compile(rb">([A-Za-z0-9+/\s]{512,}+={0,2}+\s{0,80}+)(?=<)")
_ARMORED = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,40}-----\s*+([A-Za-z0-9+/=\s]{512,}+)-----END")
_NUMBER = rb"(?:0x[0-9a-f]{1,2}|\d{1,3})"
_NUMBERS = re.compile(_NUMBER + rb"(?>\s{0,20}+,\s{0,20}+" + _NUMBER + rb"){15,}+", re.I)
_CODES = re.compile(rb"(?>(?:\\x|%|\\u00)[0-9a-f]{2}){16,}+", re.I)
_DIGITS = re.compile(rb"(?:\\x|%|\\u00)([0-9a-f]{2})", re.I)
_HEX = re.compile(rb"[0-9a-f]++", re.I)
_HEAD_DIGITS = 32
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]++")
_SMALLEST_PIECE = 16
_SMALLEST_STRING = 512
_SMALLEST_LIST = 256
_WIDEST_GAP = 120
_MOST_BLOBS = 500
_SMALLEST_URI_BYTES = 16
_HEAD_BYTES = 16
_ACTIVE_MIME = b"ActiveMime"


class Blob(NamedTuple):
    """One string that holds a file: its media type (empty: not said) and its decoded content."""

    media_type: str
    content: bytes


def unpack_blobs(part: Part, data: Data, *, markup: bool, strings: bool) -> Iterator[Member | Finding]:
    """A member for each blob in the content; with ``strings`` also for what no URI announces.

    ``markup``: a page or script, which is read as it stands and with its escapes undone.
    """
    number, seen = 0, set[bytes]()
    for text in _readings(data) if markup else (data,):
        for blob in _found(text, strings):
            digest = hashlib.blake2b(blob.content).digest()
            if digest in seen:
                continue
            seen.add(digest)
            number += 1
            if number > _MOST_BLOBS:
                yield limit(part, "max_blobs", f"more than {_MOST_BLOBS} embedded files")
                return
            name = f"embedded{number}{_extension(blob)}"
            if blob.content.startswith(_ACTIVE_MIME):
                yield from _active_mime(part, blob.content, name)
            else:
                yield Member(name, (blob.content,))
    if markup and len(data) > MOST_UNESCAPED_BYTES and is_escaped(data):
        yield limit(part, "max_page", f"escapes are undone in pages of up to {MOST_UNESCAPED_BYTES} bytes")


def _readings(data: Data) -> Iterator[Data]:
    yield data
    if len(data) <= MOST_UNESCAPED_BYTES and is_escaped(data):
        yield unescaped(data)


def _found(data: Data, strings: bool) -> Iterator[Blob]:
    yield from uris(data)
    if strings:
        yield from literals(data)
        yield from lists(data)


def has_uri(data: Data) -> bool:
    """Whether something like a ``data:`` URI stands in the content."""
    # Folding the case of a text and searching it costs a tenth of a search that ignores case, and looking for
    # what ends the word costs a fifth of that.
    if isinstance(data, bytes):
        if not any(end in data for end in _SCHEME_ENDS):
            return False
        if b"data:" not in data.translate(None, b"\t\r\n").lower():
            return False
    return _URI.search(data) is not None


def uris(data: Data) -> Iterator[Blob]:
    """The ``data:`` URIs that hold more than a few bytes."""
    at = 0
    while (match := _URI.search(data, at)) is not None:
        is_bare = data[max(match.start() - 1, 0) : match.start()] == b"="
        end = (_BARE_URI_END if is_bare else _URI_END).search(data, match.end())
        stop = at = end.start() if end else len(data)
        body = data[match.end() : stop]
        if len(body) < _SMALLEST_URI_BYTES:
            continue
        plain = urllib.parse.unquote_to_bytes(body)
        is_base64 = match[3] is not None or b";base64" in match[2].lower().replace(b" ", b"")
        kind = (match[1] or match[3] or b"").partition(b";")[0].strip()
        yield Blob(kind.decode("ascii", "replace").lower(), decoded(plain) if is_base64 else plain)


def literals(data: Data) -> Iterator[Blob]:
    """Long base64 between quotes, also in pieces that a script puts together in their order; between tags; in armor."""
    for match in _BETWEEN_TAGS.finditer(data):
        yield Blob("", decoded(match[1]))
    for match in _ARMORED.finditer(data):
        # Scripts carry files so, and have them decoded as if they were certificates; most are.
        if extension(decoded(match[1][:_HEAD_DIGITS])):
            yield Blob("", decoded(match[1]))
    pieces, size, end, gap = list[bytes](), 0, 0, b""
    for match in _LITERAL.finditer(data):
        piece = b"".join(match[1].split())
        start = match.start()
        if len(piece) < _SMALLEST_PIECE:
            # The last piece may be short: it is joined as those before it were.
            if len(pieces) > 1 and piece and gap and data[end:start] == gap:
                pieces.append(piece)
                end = match.end()
            continue
        if pieces and start - end > _WIDEST_GAP:
            yield from _joined(pieces, size)
            pieces, size = [], 0
        gap = data[end:start] if pieces else b""
        pieces.append(piece)
        size += len(piece)
        end = match.end()
    yield from _joined(pieces, size)


def _joined(pieces: list[bytes], size: int) -> Iterator[Blob]:
    if size >= _SMALLEST_STRING:
        text = b"".join(pieces)
        yield Blob("", decoded(text))
        for way, other in ((decoded, text[::-1]), (_from_hex, text), (_from_hex, text[::-1])):
            # Only what begins as a file does: any text can be read so.
            if extension(way(other[:_HEAD_DIGITS])):
                yield Blob("", way(other))


def _from_hex(text: bytes) -> bytes:
    """What hexadecimal digits stand for; nothing where there is another character."""
    return bytes.fromhex(text[: len(text) // 2 * 2].decode("ascii")) if _HEX.fullmatch(text) else b""


def lists(data: Data) -> Iterator[Blob]:
    """Long lists of numbers that are bytes, and strings of codes for bytes."""
    if _may_have(data, b","):
        yield from _numbers(data)
    if _may_have(data, b"\\", b"%"):
        yield from _codes(data)


def _may_have(data: Data, *marks: bytes) -> bool:
    """Whether there are as many marks as a list has. Counting them costs a twentieth of the search."""
    return not isinstance(data, bytes) or sum(map(data.count, marks)) >= _SMALLEST_LIST - 1


def _numbers(data: Data) -> Iterator[Blob]:
    for match in _NUMBERS.finditer(data):
        numbers = match[0].split(b",")
        if len(numbers) >= _SMALLEST_LIST:
            values = [int(number, 0 if b"x" in number.lower() else 10) for number in numbers]
            if max(values) <= 0xFF:
                yield Blob("", bytes(values))


def _codes(data: Data) -> Iterator[Blob]:
    for match in _CODES.finditer(data):
        digits = _DIGITS.findall(match[0])
        if len(digits) >= _SMALLEST_LIST:
            yield Blob("", bytes.fromhex(b"".join(digits).decode("ascii")))


def decoded(text: bytes) -> bytes:
    """What base64 stands for; other characters are passed over, a damaged end is cut off."""
    text = _NOT_BASE64.sub(b"", text.replace(b"-", b"+").replace(b"_", b"/"))
    try:
        return base64.b64decode(text[: len(text) // 4 * 4] + _tail(text))
    except binascii.Error:
        return b""


def _tail(text: bytes) -> bytes:
    rest = text[len(text) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def _extension(blob: Blob) -> str:
    if found := extension(blob.content[:_HEAD_BYTES]):
        return found
    if blob.media_type in ("text/html", "application/xhtml+xml"):
        return ".html"
    return {"image/svg+xml": ".svg", "text/javascript": ".js", "application/javascript": ".js"}.get(blob.media_type, "")


def _active_mime(part: Part, data: bytes, name: str) -> Iterator[Member | Finding]:
    """The compound file in an ActiveMime wrapper of Office: a header, then zlib."""
    start = int.from_bytes(data[30:32], "little") + 46
    content = Content(inflated(data[start:]), (zlib.error,))
    yield Member(name, content, raw_bytes=len(data))
    if content.error:
        yield unopened(part, f"activemime: {content.error}", name)
