"""Compressed data read in bounded steps, whatever it unfolds into: stored, deflate, bzip2, LZMA, XZ."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from mailward.mime.errors import MemberError
from mailward.mime.limits import MIB
from mailward.mime.source import Source
from mailward.mime.zip_records import DEFLATED, STORED

STEP_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024
_MOST_DICTIONARY_BYTES = 64 * MIB
_SMALLEST_DICTIONARY_BYTES = 4096
_ERRORS = (zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError, MemoryError)
"""What the decompressors raise on damaged input."""
_NAMES = {
    1: "Shrink",
    2: "Reduce",
    3: "Reduce",
    4: "Reduce",
    5: "Reduce",
    6: "Implode",
    9: "Deflate64",
    10: "PKWARE Implode",
    20: "Zstandard",
    93: "Zstandard",
    94: "MP3",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
}


class _Decoder(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Copy:
    """Stored data."""

    eof, needs_input, unused_data = False, True, b""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return data


class _Inflate:
    """Raw deflate (RFC 1951) with the interface of the other decompressors."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        # A full step may have left output inside, even where all input is taken.
        return not self._full and not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._full = len(piece) == max_length
        return piece


class _Lzma:
    """LZMA as zip has it (APPNOTE.TXT section 5.8): version, size of the properties, properties, raw data."""

    def __init__(self) -> None:
        self._head = b""
        self._decoder: lzma.LZMADecompressor | None = None

    @property
    def eof(self) -> bool:
        return self._decoder is not None and self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return self._decoder is None or self._decoder.needs_input

    @property
    def unused_data(self) -> bytes:
        return b"" if self._decoder is None else self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if self._decoder is None:
            self._head += data
            size = int.from_bytes(self._head[2:4], "little")
            if len(self._head) < 4 + size:
                return b""
            self._decoder = _raw_lzma(self._head[4 : 4 + size])
            data, self._head = self._head[4 + size :], b""
        return self._decoder.decompress(data, max_length)


def _raw_lzma(properties: bytes) -> lzma.LZMADecompressor:
    packed, dictionary = struct.unpack("<BL", properties)
    if dictionary > _MOST_DICTIONARY_BYTES:
        raise ValueError(f"an LZMA dictionary of {dictionary} bytes is larger than is read")
    rest, lc = divmod(packed, 9)
    pb, lp = divmod(rest, 5)
    size = max(dictionary, _SMALLEST_DICTIONARY_BYTES)
    filters = [{"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": size}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


_DECODERS: dict[int, Callable[[], _Decoder]] = {
    STORED: _Copy,
    DEFLATED: _Inflate,
    12: bz2.BZ2Decompressor,
    14: _Lzma,
    95: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2 * _MOST_DICTIONARY_BYTES),
}


class Inflow:
    """The content of compressed data at ``start:end`` of an area; read once.

    ``consumed``: how much of the data was taken; ``size`` and ``crc``: of the content so far;
    ``ended``: everything was read. Stops after ``most`` bytes of content where that is given.
    """

    __slots__ = ("_area", "_end", "_method", "_most", "_start", "consumed", "crc", "ended", "size")

    def __init__(self, area: Source, start: int, end: int, method: int, most: int | None = None) -> None:
        self._area = area
        self._start = start
        self._end = min(end, area.end)
        self._method = method
        self._most = most
        self.consumed = 0
        self.size = 0
        self.crc = 0
        self.ended = False

    def __iter__(self) -> Iterator[bytes]:
        """The content in pieces of at most `STEP_BYTES`; raises MemberError where damaged or of no known method."""
        make = _DECODERS.get(self._method)
        if make is None:
            name = _NAMES.get(self._method, "unknown")
            raise MemberError(f"zip: compression method {self._method} ({name}) is not read")
        try:
            yield from self._pieces(make())
        except _ERRORS as error:
            raise MemberError(f"zip: {type(error).__name__}: {str(error)[:200]}") from error

    def _pieces(self, decoder: _Decoder) -> Iterator[bytes]:
        for chunk in self._area.chunks(self._start, self._end, _READ_BYTES):
            self.consumed += len(chunk)
            data = chunk
            while True:
                piece = decoder.decompress(data, STEP_BYTES)
                if self._most is not None:
                    piece = piece[: self._most - self.size]
                self.size += len(piece)
                self.crc = zlib.crc32(piece, self.crc)
                if piece:
                    yield piece
                if decoder.eof or decoder.needs_input or self.size == self._most:
                    break
                data = b""
            if decoder.eof or self.size == self._most:
                self.consumed -= len(decoder.unused_data)
                self.ended = True
                return
        # Raw LZMA need not mark its end: the last byte of the data is it.
        if self._method not in (STORED, 14):
            raise EOFError("the compressed data ends too early")
        self.ended = True

    def verify(self, stated: Collection[tuple[int, int]]) -> None:
        """Raise MemberError where none of the ``stated`` pairs of size and checksum is that of the content.

        More content than is stated is not an error: what stands in the first bytes may be right.
        """
        if self.ended and stated and (self.size, self.crc) not in stated and self.size <= min(stated)[0]:
            raise MemberError("zip: the content is not what its size and checksum say")
