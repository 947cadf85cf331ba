"""uuencode blocks (POSIX uuencode): where they lie in a text, and their content."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from attrs import frozen

from mailward.mime.source import Data, Source

_BEGIN = re.compile(rb"begin(-base64)?[ \t]++[0-7]{3,6}[ \t]++([^\r\n]*+)(?:\r?\n|\Z)")
_END_BASE64 = re.compile(rb"\n====[ \t]*+(?:\r?\n|\r?\Z)")
_FIRST_BASE64 = re.compile(rb"[A-Za-z0-9+/]{2,}+={0,2}[ \t]*+(?:\r?\n|\r?\Z)|====")
_END = re.compile(rb"\nend[ \t]*+(?:\r?\n|\r?\Z)")
_FIRST_LINE = re.compile(rb"([!-`])([ -`]*)(?:\r?\n|\r?\Z)|end")
_FULL_LINES = re.compile(rb"(?>M[ -`]{60}\r?\n)*+")
_LINE = re.compile(rb"([^\r\n]*)(?:\r?\n|\r|\Z)")
_TO_BASE64 = bytes.maketrans(bytes(range(32, 97)), b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/A")
_FULL_PAYLOAD = re.compile(rb"M([ -`]{60})\r?\n")
_LONGEST_NAME = 1024
UU_LINES = "uu-lines"
"""The encoding of a uuencode block found in a text: the place is its data lines."""
_BATCH_BYTES = 16 * 1024


@frozen(slots=True)
class Block:
    """One block: ``start:end`` from its begin line through its end line, the data lines between, its name."""

    start: int
    end: int
    data_start: int
    data_end: int
    name: bytes
    closed: bool
    encoding: str = UU_LINES


def _plausible(data: Data, position: int, end: int) -> bool:
    """Whether a line of uuencoded data, or the end, stands at ``position``."""
    match = _FIRST_LINE.match(data, position, end)
    if match is None:
        return False
    if match[1] is None:
        return True
    # Blanks at the end of a line get lost on the way, and a check character may follow.
    return len(match[2]) <= ((match[1][0] - 32 & 63) + 2) // 3 * 4 + 2


def blocks(source: Source, start: int, end: int) -> Iterator[Block]:
    """All uuencode blocks in ``start:end``, in order, those of ``uuencode -m`` (begin-base64) among them.

    Linear: where no end line follows, none is looked for again.
    """
    data, position, missing = source.data, start, set[re.Pattern[bytes]]()
    for begin in source.finds(b"begin", start, end):
        if begin < position or (begin > start and data[begin - 1] != 0x0A):
            continue
        match = _BEGIN.match(data, begin, end)
        if match is None:
            continue
        ending, encoding = (_END_BASE64, "base64") if match[1] else (_END, UU_LINES)
        if not (_FIRST_BASE64.match(data, match.end(), end) if match[1] else _plausible(data, match.end(), end)):
            continue
        closing = None if ending in missing else ending.search(data, match.end() - 1, end)
        if closing is None:
            missing.add(ending)
        data_end = max(closing.start() + 1 if closing else end, match.end())
        position = closing.end() if closing else end
        yield Block(begin, position, match.end(), data_end, match[2][:_LONGEST_NAME], closing is not None, encoding)


def first_block(source: Source, start: int, end: int) -> Block | None:
    """The first block, None where there is none."""
    return next(blocks(source, start, end), None)


def uudecode(data: bytes) -> tuple[bytes, bool]:
    """Content of data lines, and whether every line was in order.

    Runs of full lines, which is nearly everything, are decoded in bulk; other lines some hundred at
    a time, and only where one of these is not in order line by line.
    """
    pieces, clean, position = list[bytes](), True, 0
    while position < len(data):
        run = _FULL_LINES.match(data, position)
        if run is not None and run.end() > position:
            payload = b"".join(_FULL_PAYLOAD.findall(run[0]))
            pieces.append(binascii.a2b_base64(payload.translate(_TO_BASE64)))
            position = run.end()
            continue
        line = _LINE.match(data, position)
        if line is None or line.end() == position:
            break
        if line[1][:1] != b"M":
            # Short lines: up to the next full one, for which the faster way is worth it again.
            full = data.find(b"\nM", position, position + _BATCH_BYTES) + 1
            stop = full or data.rfind(b"\n", line.end() - 1, position + _BATCH_BYTES) + 1
            line_end = max(stop, line.end())
        else:
            line_end = line.end()
        decoded, in_order = _lines(data[position:line_end])
        clean = clean and in_order
        pieces.append(decoded)
        position = line_end
    return b"".join(pieces), clean


def _lines(data: bytes) -> tuple[bytes, bool]:
    lines = [line for line in data.splitlines() if line]
    try:
        return b"".join(map(binascii.a2b_uu, lines)), True
    except binascii.Error:
        decoded = [_line(line) for line in lines]
        return b"".join([piece for piece in decoded if piece]), None not in decoded


def _line(line: bytes) -> bytes | None:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        # Encoders that add a check character, or a wrong length: what the length byte promises.
        wanted = ((line[0] - 32 & 63) * 4 + 5) // 3
        try:
            return binascii.a2b_uu(line[:wanted])
        except binascii.Error:
            return None


def uuencode(content: bytes, line_end: bytes) -> bytes:
    """Data lines for ``content``, without begin and end lines."""
    lines = [binascii.b2a_uu(content[at : at + 45], backtick=True)[:-1] for at in range(0, len(content), 45)]
    return b"".join(line + line_end for line in (*lines, b"`"))
