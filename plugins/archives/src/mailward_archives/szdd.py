"""SZDD: what COMPRESS.EXE of MS-DOS and Windows 3 made ("clam.ex_").

Fourteen bytes of header (magic, mode "A", the last letter of the name, size), then LZSS with a
window of 4,096 bytes that starts as blanks at position 4,080: a flag byte, least bit first, says of
each of the next eight items whether it is a literal (1) or a reference of two bytes (0): twelve bits
of position, four of length less 3.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of
from mailward_archives.content import CHUNK_BYTES, Content, unopened
from mailward_archives.window import WINDOW_BYTES, repeated

_HEADER_BYTES = 14
_START = WINDOW_BYTES - 16
_SHORTEST = 3


class DamagedError(ValueError):
    """Packed content that cannot be what it claims to be."""


def read_szdd(part: Part) -> Iterator[Member | Finding]:
    """The one file, its name completed by the letter that the header keeps."""
    with data_of(part) as data:
        if len(data) < _HEADER_BYTES or data[8:9] != b"A":
            yield unopened(part, "szdd: an unknown mode")
            return
        content = Content(_cut(unpack_szdd(data), int.from_bytes(data[10:14], "little")), (DamagedError,))
        yield Member(_name(part.filename, data[9]), content, raw_bytes=len(data))
        if content.error:
            yield unopened(part, f"szdd: {content.error}")


def _name(filename: str, letter: int) -> str:
    if filename.endswith("_") and 0x20 < letter < 0x7F:
        return filename[:-1] + chr(letter)
    lower = filename.lower()
    return filename[:-5] if lower.endswith(".szdd") and len(lower) > 5 else filename or "content"


def _cut(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """As many bytes as the header says; DamagedError where there are fewer."""
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            return
    if size > 0:
        raise DamagedError(f"{size} bytes are missing at the end")


def unpack_szdd(data: Data) -> Iterator[bytes]:
    """The content, to the end of the packed data, whatever size the header says."""
    window = bytearray(b" " * WINDOW_BYTES)
    at, position, end = _START, _HEADER_BYTES, len(data)
    out = bytearray()
    while position < end:
        flags = data[position]
        position += 1
        for bit in range(8):
            if flags >> bit & 1:
                if position >= end:
                    break
                items = data[position : position + 1]
                position += 1
                out += items
                window[at] = items[0]
                at = (at + 1) % WINDOW_BYTES
                continue
            if position + 1 >= end:
                position = end
                break
            first, second = data[position], data[position + 1]
            position += 2
            source = first | (second & 0xF0) << 4
            at = repeated(window, at, source, (second & 0x0F) + _SHORTEST, out)
        if len(out) >= CHUNK_BYTES:
            yield bytes(out)
            out.clear()
    yield bytes(out)
