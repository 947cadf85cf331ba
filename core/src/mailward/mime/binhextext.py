"""BinHex 4.0 (RFC 1741): Macintosh files as text: where they lie, what they hold, and how they are written.

Six bits a character, between two colons; in that 0x90 repeats the byte before it; then a header, the
data fork and the resource fork, each with a CRC.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterable, Iterator

from attrs import define, field, frozen

from mailward.mime.errors import MemberError
from mailward.mime.source import Source

MARK = b"(This file must be converted with BinHex"
_START = re.compile(rb"\(This file must be converted with BinHex[^\r\n]{0,80}+\r?\n?\s{0,200}+:")
_ALPHABET = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_BASE64 = bytes.maketrans(_ALPHABET, _BASE64)
_FROM_BASE64 = bytes.maketrans(_BASE64, _ALPHABET)
_OTHERS = bytes(set(range(256)) - set(_ALPHABET))
_WHITE = b" \t\r\n"
_STEP_BYTES = 64 * 1024
_REPEAT = 0x90
_COLUMNS = 64
_LONGEST_NAME = 63
_TAIL = struct.Struct(">x4s4sH2LH")
"""The header behind the name: version, type, creator, flags, sizes of the forks, CRC."""


@frozen(slots=True)
class Block:
    """One file in a text: ``start:end`` from its first line through the closing colon, its characters between."""

    start: int
    data_start: int
    data_end: int
    end: int

    @property
    def is_closed(self) -> bool:
        """Whether the closing colon is there."""
        return self.end > self.data_end


@frozen(slots=True)
class Head:
    """The header of a file: its name, type, creator and flags of the Finder, sizes of the two forks."""

    name: bytes
    kind: bytes = b"TEXT"
    creator: bytes = b"ttxt"
    flags: int = 0
    data_bytes: int = 0
    resource_bytes: int = 0

    @property
    def text(self) -> str:
        """The name as text."""
        return self.name.decode("mac-roman")

    def packed(self) -> bytes:
        """The header with its CRC."""
        raw = bytes((len(self.name),)) + self.name
        raw += _TAIL.pack(self.kind, self.creator, self.flags, self.data_bytes, self.resource_bytes, 0)[:-2]
        return raw + _crc(binascii.crc_hqx(raw, 0))


def _crc(value: int) -> bytes:
    return value.to_bytes(2, "big")


def binhex_blocks(source: Source, start: int, end: int) -> Iterator[Block]:
    """The BinHex files in ``start:end``, in order."""
    at = start
    for hit in source.finds(MARK, start, end):
        if hit < at:
            continue
        match = _START.match(source.data, hit, end)
        if match is None:
            continue
        stop = source.find(b":", match.end(), end)
        data_end, at = (end, end) if stop < 0 else (stop, stop + 1)
        yield Block(hit, match.end(), data_end, at)


def is_sound(source: Source, block: Block) -> bool:
    """Whether a block has its end and nothing but characters of the alphabet and white space."""
    chunks = source.chunks(block.data_start, block.data_end, _STEP_BYTES)
    return block.is_closed and not any(chunk.translate(None, _ALPHABET + _WHITE) for chunk in chunks)


@define
class Forks:
    """The content of a block, read from its beginning to its end: the header, then the forks one after the other."""

    _chunks: Iterator[bytes]
    _rest: bytes = field(default=b"", init=False)

    @classmethod
    def of(cls, source: Source, block: Block) -> Forks:
        """Those of a block in a text."""
        return cls(unrepeated(_bytes(source, block)))

    def head(self) -> Head:
        """The header; raises MemberError where it is not all there."""
        name = self._exactly(self._exactly(1)[0])
        kind, creator, flags, data_bytes, resource_bytes, _ = _TAIL.unpack(self._exactly(_TAIL.size))
        return Head(name, kind, creator, flags, data_bytes, resource_bytes)

    def fork(self, size: int) -> Iterator[bytes]:
        """The fork that comes next; raises MemberError where the file ends before it."""
        while size > 0:
            if not self._rest:
                self._rest = next(self._chunks, b"")
            if not self._rest:
                raise MemberError(f"binhex: {size} bytes are missing at the end")
            piece, self._rest = self._rest[:size], self._rest[size:]
            size -= len(piece)
            yield piece

    def skip_crc(self) -> None:
        """Pass over the CRC behind a fork, as far as it is there."""
        for _ in range(2):
            if not self._rest:
                self._rest = next(self._chunks, b"")
            self._rest = self._rest[1:]

    def _exactly(self, size: int) -> bytes:
        return b"".join(self.fork(size))


def _bytes(source: Source, block: Block) -> Iterator[bytes]:
    """What the characters stand for; those outside the alphabet are passed over."""
    rest = b""
    for chunk in source.chunks(block.data_start, block.data_end, _STEP_BYTES):
        text = rest + chunk.translate(_TO_BASE64, _OTHERS)
        whole = len(text) // 4 * 4
        rest = text[whole:]
        if whole:
            yield binascii.a2b_base64(text[:whole])
    if len(rest) > 1:
        yield binascii.a2b_base64(rest + b"=" * (-len(rest) % 4))


def unrepeated(chunks: Iterable[bytes]) -> Iterator[bytes]:
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
        if out:
            yield bytes(out)


def binhex(head: Head, data: Iterable[bytes], resource: Iterable[bytes], line_end: bytes) -> Iterator[bytes]:
    """A file as text, from its first line through the closing colon; the sizes are those in ``head``."""
    yield MARK + b" 4.0)" + line_end + line_end
    line, rest = b":", b""
    for piece in _whole_file(head, data, resource):
        raw = rest + piece.replace(b"\x90", b"\x90\0")
        whole = len(raw) // 3 * 3
        rest = raw[whole:]
        line += binascii.b2a_base64(raw[:whole], newline=False).translate(_FROM_BASE64)
        full = (len(line) - 1) // _COLUMNS * _COLUMNS
        yield b"".join(line[at : at + _COLUMNS] + line_end for at in range(0, full, _COLUMNS))
        line = line[full:]
    line += binascii.b2a_base64(rest, newline=False).rstrip(b"=").translate(_FROM_BASE64)
    yield line + (line_end if len(line) == _COLUMNS else b"") + b":"


def _whole_file(head: Head, data: Iterable[bytes], resource: Iterable[bytes]) -> Iterator[bytes]:
    yield head.packed()
    for chunks in (data, resource):
        crc = 0
        for chunk in chunks:
            crc = binascii.crc_hqx(chunk, crc)
            yield chunk
        yield _crc(crc)


def file_name(name: str) -> bytes:
    """A name as the header holds it."""
    return name.encode("mac-roman", "replace")[:_LONGEST_NAME]
