"""BinHex 4.0 (RFC 1741): Macintosh files as text; data fork and resource fork are a member each.

Six bits a character, between two colons; then 0x90 repeats the byte before it; then a header, the
data fork and the resource fork, each with a CRC, which is not looked at.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from attrs import define, field, frozen

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of
from mailward_archives.content import Content, unopened

MARK = b"(This file must be converted with BinHex"
_START = re.compile(rb"\(This file must be converted with BinHex[^\r\n]{0,80}\r?\n?[\s]{0,200}:")
_ALPHABET = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_BASE64 = bytes.maketrans(_ALPHABET, _BASE64)
_OTHERS = bytes(set(range(256)) - set(_ALPHABET))
_STEP = 64 * 1024
_REPEAT = 0x90
_HEADER_BYTES = 20


class BinhexError(ValueError):
    """The text is no BinHex file, or ends too soon."""


@frozen
class Block:
    """One file in a text: where its characters start and end (the closing colon)."""

    start: int
    end: int


@define
class _Reader:
    """The bytes of a block, read in the order in which they come."""

    chunks: Iterator[bytes]
    rest: bytes = field(default=b"")

    def take(self, size: int) -> Iterator[bytes]:
        while size > 0:
            if not self.rest:
                self.rest = next(self.chunks, b"")
            if not self.rest:
                raise BinhexError(f"{size} bytes are missing at the end")
            piece, self.rest = self.rest[:size], self.rest[size:]
            size -= len(piece)
            yield piece

    def exactly(self, size: int) -> bytes:
        return b"".join(self.take(size))


def blocks(data: Data) -> Iterator[Block]:
    """The BinHex files in a text, in order."""
    at = 0
    while (match := _START.search(data, at)) is not None:
        end = data.find(b":", match.end())
        end = len(data) if end < 0 else end
        yield Block(match.end(), end)
        at = end


def read_binhex(part: Part) -> Iterator[Member | Finding]:
    """The forks of every BinHex file in the content."""
    with data_of(part) as data:
        for block in blocks(data):
            yield from unpack_block(part, data, block)


def unpack_block(part: Part, data: Data, block: Block) -> Iterator[Member | Finding]:
    """The forks of one file; a resource fork is named after its file, as ``name/rsrc``."""
    reader = _Reader(unrepeated(_bytes(data, block)))
    try:
        name = reader.exactly(reader.exactly(1)[0]).decode("mac-roman", "replace")
        header = reader.exactly(_HEADER_BYTES + 1)
    except BinhexError as error:
        yield unopened(part, f"binhex: {error}")
        return
    sizes = int.from_bytes(header[11:15], "big"), int.from_bytes(header[15:19], "big")
    for fork, size in zip((name, f"{name}/rsrc"), sizes, strict=True):
        if not size:
            continue
        content = Content(reader.take(size), (BinhexError,))
        yield Member(fork, content, raw_bytes=block.end - block.start)
        if content.error or not content.whole:
            if content.error:
                yield unopened(part, f"binhex: {content.error}", fork)
            return
        list(reader.take(min(2, len(reader.rest))))


def _bytes(data: Data, block: Block) -> Iterator[bytes]:
    """What the characters stand for; those outside the alphabet are passed over."""
    rest = b""
    for at in range(block.start, block.end, _STEP):
        text = rest + data[at : min(at + _STEP, block.end)].translate(_TO_BASE64, _OTHERS)
        whole = len(text) // 4 * 4
        rest = text[whole:]
        yield binascii.a2b_base64(text[:whole])
    if len(rest) > 1:
        yield binascii.a2b_base64(rest + b"=" * (-len(rest) % 4))


def unrepeated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes with runs written out: 0x90 n is the byte before it n times, 0x90 0 is 0x90 itself."""
    last, waiting = b"", False
    for chunk in chunks:
        out = bytearray()
        for number, piece in enumerate(chunk.split(b"\x90")):
            if number:
                if waiting:
                    # The count of the repetition before is 0x90 itself.
                    out += last * (_REPEAT - 1)
                    waiting = False
                else:
                    waiting = True
            if not piece:
                continue
            if waiting:
                waiting = False
                if piece[0]:
                    out += last * (piece[0] - 1)
                else:
                    out.append(_REPEAT)
                    last = b"\x90"
                piece = piece[1:]
            out += piece
            last = piece[-1:] or last
        yield bytes(out)
