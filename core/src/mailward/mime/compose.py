"""Bytes that edits put into messages: header fields, text parts, encoded content."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from urllib.parse import quote

from attrs import frozen

from mailward.mime.names import normalise
from mailward.mime.words import encode_words, needs_encoding

_BREAKS = re.compile("\r\n|[\r\n\0]")
_LINE_BREAKS = re.compile(b"\r\n|\r|\n")
_BLANKS = re.compile(r"[ \t]+")
_NOT_PLAIN = re.compile(rb"[^\t\n\x20-\x7e]|[^\n]{77}|\n--|\A--|[ \t]\n|[ \t]\Z|^From ", re.M)
_DANGEROUS = re.compile(rb"^(--|begin\b|end\b)", re.M)
BLOCK_START = re.compile(rb"^(?=begin[ \t])", re.M)
"""The beginning of a line that may open a uuencode block."""
_FOLD_AT = 78
_LONGEST_LINE = 998
_LONGEST_NAME = 200
EMPTY_TYPE = b"Content-Type: text/plain; charset=us-ascii"
"""Content-Type of the part that stands in for what was deleted."""


@frozen(slots=True)
class Body:
    """An encoded body and the header fields (without line ends) that describe it."""

    fields: tuple[bytes, ...]
    data: bytes


def one_line(text: str) -> str:
    """``text`` with every CR, LF and NUL made a space, so that it cannot leave its header field."""
    return _BREAKS.sub(" ", text)


def header_field(name: str, value: str, line_end: bytes) -> bytes:
    """A header field with its line end: RFC 2047 encoded where needed, folded to 78 columns where possible."""
    text = one_line(value).strip()
    head = name.encode("ascii") + b":"
    words = _words(text)
    lines, line = list[bytes](), head
    for blank, word in words:
        if len(line) + len(blank) + len(word) > _FOLD_AT and line.strip() and line != head:
            lines.append(line)
            line = b""
        line += blank + word
    return line_end.join((*lines, line)) + line_end


def _words(text: str) -> Iterator[tuple[bytes, bytes]]:
    """(white space before, word) of a header value; every word is short enough for a line."""
    at, blank = 0, " "
    if not needs_encoding(text.replace("\t", " ")):
        words = list[tuple[bytes, bytes]]()
        for match in (*_BLANKS.finditer(text), None):
            end = match.start() if match else len(text)
            words.append((blank.encode(), text[at:end].encode()))
            blank, at = (match[0], match.end()) if match else ("", end)
        if all(len(before) + len(word) < _LONGEST_LINE for before, word in words):
            yield from words
            return
    for encoded in encode_words(text):
        yield b" ", encoded


def subject_prefix(text: str, original: bytes) -> bytes:
    """What goes before the ``original`` subject bytes so that a reader sees ``text``, a space, the subject."""
    text = one_line(text).strip()
    if not needs_encoding(text):
        return text.encode() + b" "
    # White space between two encoded words is not shown: the space goes into the word then.
    shown = text + " " if original.startswith(b"=?") else text
    return b" ".join(encode_words(shown)) + b" "


def text_body(text: str, line_end: bytes) -> Body:
    """``text`` as a text/plain body in UTF-8: as it is when plain, else quoted-printable or base64.

    Lines of the body never look like the delimiter of a multipart; a blank goes before one that may open
    a uuencode block.
    """
    data = BLOCK_START.sub(b" ", _LINE_BREAKS.sub(b"\n", text.encode("utf-8", "replace")))
    kind = b"Content-Type: text/plain; charset=utf-8"
    if not _NOT_PLAIN.search(data):
        return Body((kind, b"Content-Transfer-Encoding: 7bit"), data.replace(b"\n", line_end))
    quoted = binascii.b2a_qp(data, istext=True)
    if b"\0" not in data and len(quoted) < len(data) * 4 // 3 and b"\n--" not in b"\n" + quoted:
        return Body((kind, b"Content-Transfer-Encoding: quoted-printable"), quoted.replace(b"\n", line_end))
    return Body((kind, b"Content-Transfer-Encoding: base64"), base64_lines(data.replace(b"\n", b"\r\n"), line_end))


def inserted_text(text: str, charset: str, line_end: bytes) -> bytes:
    """``text`` as lines inside another text, none of which can open a uuencode block or look like a delimiter."""
    data = _LINE_BREAKS.sub(b"\n", text.replace("\0", " ").encode(charset, "replace"))
    data = _DANGEROUS.sub(rb" \1", data)
    return (data if data.endswith(b"\n") else data + b"\n").replace(b"\n", line_end)


def base64_lines(data: bytes, line_end: bytes) -> bytes:
    """``data`` in base64, lines of 76 columns, no line end after the last."""
    encoded = binascii.b2a_base64(data, newline=False)
    return line_end.join(encoded[at : at + 76] for at in range(0, len(encoded), 76))


def disposition(filename: str) -> bytes:
    """The Content-Disposition field (without line end) of an attachment; inline where ``filename`` is empty."""
    name = normalise(filename)[:_LONGEST_NAME]
    if not name:
        return b"Content-Disposition: inline"
    plain = re.sub(r'[^\x20-\x7e]|["\\]', "_", name).encode()
    field = b'Content-Disposition: attachment; filename="%s"' % plain
    if name.isascii():
        return field
    # RFC 2231; the plain name stays for clients that do not know it (RFC 6266 appendix D).
    return field + b"; filename*=utf-8''" + quote(name, safe="", errors="replace").encode()


def part_bytes(body: Body, line_end: bytes, *more: bytes) -> bytes:
    """A whole part: the fields of the body, more fields, the blank line, the data."""
    return b"".join(field + line_end for field in (*body.fields, *more)) + line_end + body.data
