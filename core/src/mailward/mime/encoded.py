"""New bodies in the transfer encoding that a part has already (RFC 2045 section 6)."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator

from mailward.mime.checks import boundary_of
from mailward.mime.decode import quoted_whole
from mailward.mime.part import Part
from mailward.mime.source import Source

_LONGEST_LINE, _SHORTEST_LINE = 76, 40
_LINES_A_STEP = 4096
_COMPARED_BYTES = 64 * 1024
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LONG_LINE = re.compile(rb"[^\n]{999}")
_QUOTED = re.compile(rb"=[0-9A-Fa-f]{2}|.", re.S)


def base64_body(content: Source, line_end: bytes, columns: int = _LONGEST_LINE) -> bytes:
    """A content in base64, no line end after the last line."""
    return line_end.join(_base64_lines(content, line_end, columns))


def _base64_lines(content: Source, line_end: bytes, columns: int) -> Iterator[bytes]:
    for chunk in content.chunks(content.start, content.end, columns // 4 * 3 * _LINES_A_STEP):
        encoded = binascii.b2a_base64(chunk, newline=False)
        yield line_end.join(encoded[at : at + columns] for at in range(0, len(encoded), columns))


def base64_again(old: memoryview, content: Source, line_end: bytes) -> bytes:
    """A content in base64 laid out as the body before: lines of that length, and its end of the last line."""
    first = bytes(old[: _LONGEST_LINE + 1]).split(b"\n", 1)[0].rstrip(b"\r")
    fits = _SHORTEST_LINE <= len(first) <= _LONGEST_LINE and len(first) % 4 == 0
    tail = bytes(old[-64:])
    breaks = tail[len(tail.rstrip(b"\r\n")) :]
    return base64_body(content, line_end, len(first) if fits else _LONGEST_LINE) + breaks


def quoted_again(part: Part, content: bytes, line_end: bytes) -> bytes | None:
    """A text in quoted-printable; None where it is not read back, or a line looks like the delimiter of a multipart."""
    encoded = binascii.b2a_qp(content, istext=True)
    if line_end == b"\r\n":
        encoded = _BARE_LF.sub(line_end, encoded)
    if quoted_whole(encoded) != content or opens_delimiter(part, encoded):
        return None
    return encoded


def unencoded(part: Part, content: bytes) -> bytes | None:
    """A content as it stands; None where the encoding of ``part`` does not carry it, or the message around it."""
    carried = part.encoding == "binary" or (
        b"\0" not in content and (part.encoding == "8bit" or content.isascii()) and _LONG_LINE.search(content) is None
    )
    return content if carried and not opens_delimiter(part, content) else None


def opens_delimiter(part: Part, text: bytes) -> bool:
    """Whether a line of ``text`` looks like a delimiter of a multipart around ``part``."""
    lines = b"\n" + text
    return any(b"\n--" + boundary in lines for boundary in boundaries_around(part))


def boundaries_around(part: Part) -> Iterator[bytes]:
    """The boundaries of the multiparts that a part lies in, the nearest first."""
    above = part.parent
    while above is not None:
        if above.division is not None:
            yield boundary_of(above.parameters)
        above = above.parent


def trimmed(start: int, old: memoryview, new: bytes) -> tuple[int, int, bytes]:
    """(start, end, data) of what differs when ``old``, which begins at ``start``, becomes ``new``."""
    most = min(len(old), len(new))
    head = _common(most, lambda at, size: old[at : at + size] == new[at : at + size])
    last, ahead = len(old), len(new) - len(old)
    tail = _common(
        most - head,
        lambda at, size: old[last - at - size : last - at] == new[last + ahead - at - size : last + ahead - at],
    )
    return start + head, start + len(old) - tail, new[head : len(new) - tail]


def _common(most: int, equal: Callable[[int, int], bool]) -> int:
    """How many bytes are the same from one end on; ``equal`` compares a number of bytes at a distance from it."""
    at, size = 0, _COMPARED_BYTES
    while size:
        while at + size <= most and equal(at, size):
            at += size
        size //= 2
    return at


def quoted_offset(raw: bytes, at: int) -> int | None:
    """Where in a quoted-printable body the byte ``at`` of its content stands; None where that is in a damaged line."""
    position, done = 0, 0
    for line in raw.splitlines(keepends=True):
        size = len(quoted_whole(line))
        if at < done + size:
            tokens = _QUOTED.finditer(line)
            start = next((match.start() for number, match in enumerate(tokens) if number == at - done), None)
            return None if start is None else position + start
        position, done = position + len(line), done + size
    return len(raw) if at == done else None
