"""Files that were compressed one by one: gzip (RFC 1952), bzip2, xz and lzma-alone (.lzma).

Several streams one after the other are one file, as their programs read them. What follows the
last one and is not padding is a member of its own: some clients would skip it, others would not.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from attrs import define, frozen

from mailward import Finding, Member, Part
from mailward_archives.content import CHUNK_BYTES, Content, unopened

_READ_BYTES = 64 * 1024
_ERRORS = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError)
_LZMA_MEMORY_BYTES = 256 * 1024 * 1024
_GZIP_NAME_WITHIN = 4096


class Decoder(Protocol):
    """What `bz2`, `lzma` and our own gzip decoder have in common."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """The next piece, of at most this length."""
        ...

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether nothing comes before more is put in."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What follows the stream."""
        ...


class GzipDecoder:
    """One member of a gzip file; header and checksum are zlib's business."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """The next piece; what did not fit is kept."""
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        """Whether everything that was put in is used up."""
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What follows the member."""
        return self._zlib.unused_data


@frozen
class Coding:
    """One compression: how it is undone, how a further stream starts, what its files are called."""

    name: str
    decoder: Callable[[], Decoder]
    magic: bytes
    suffixes: tuple[str, ...]


GZIP = Coding("gzip", GzipDecoder, b"\x1f\x8b", (".gz", ".gzip", ".z", ".tgz", ".svgz"))
BZIP2 = Coding("bzip2", bz2.BZ2Decompressor, b"BZh", (".bz2", ".bz", ".tbz2", ".tbz"))
XZ = Coding("xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _LZMA_MEMORY_BYTES), b"\xfd7zXZ\x00", (".xz", ".txz"))
LZMA = Coding("lzma", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, _LZMA_MEMORY_BYTES), b"\x5d\0\0", (".lzma",))
_TARS = (".tgz", ".tbz2", ".tbz", ".txz", ".tzst", ".tlz", ".tlz4", ".taz")


@define
class _Unpacking:
    """The decoded streams of one file, and the bytes that follow them."""

    file: BinaryIO
    coding: Coding
    rest: bytes = b""

    def chunks(self) -> Iterator[bytes]:
        data = self.file.read(_READ_BYTES)
        while data.startswith(self.coding.magic):
            decoder = self.coding.decoder()
            while True:
                chunk = decoder.decompress(data, CHUNK_BYTES)
                data = b""
                if chunk:
                    yield chunk
                if decoder.eof:
                    data = decoder.unused_data
                    break
                if decoder.needs_input:
                    data = self.file.read(_READ_BYTES)
                    if not data and not chunk:
                        raise EOFError("the stream ends before its end mark")
            data = self._skip_padding(data)
        self.rest = data

    def _skip_padding(self, data: bytes) -> bytes:
        """What follows zero bytes, which tapes and the xz format put between streams."""
        while True:
            data = data.lstrip(b"\0")
            if len(data) >= len(self.coding.magic):
                return data
            more = self.file.read(_READ_BYTES)
            if not more:
                return data
            data += more

    def following(self) -> Iterator[bytes]:
        yield self.rest
        while data := self.file.read(CHUNK_BYTES):
            yield data


def read_gzip(part: Part) -> Iterator[Member | Finding]:
    """The file in a gzip file; its name is the one inside, else that of the attachment."""
    return read_streams(part, GZIP)


def read_bzip2(part: Part) -> Iterator[Member | Finding]:
    """The file in a bzip2 file."""
    return read_streams(part, BZIP2)


def read_xz(part: Part) -> Iterator[Member | Finding]:
    """The file in an xz file."""
    return read_streams(part, XZ)


def read_lzma(part: Part) -> Iterator[Member | Finding]:
    """The file in a file of the older lzma form, which has no magic number of its own."""
    return read_streams(part, LZMA)


def read_streams(part: Part, coding: Coding, trailing: bool = True) -> Iterator[Member | Finding]:
    """The file in a compressed one and, unless ``trailing`` is False, what follows its last stream."""
    with part.open() as file:
        name = gzip_name(file.read(_GZIP_NAME_WITHIN)) if coding is GZIP else ""
        file.seek(0)
        unpacking = _Unpacking(file, coding)
        content = Content(unpacking.chunks(), _ERRORS)
        yield Member(name or stem(part.filename, coding.suffixes), content, raw_bytes=part.size)
        if content.error:
            yield unopened(part, f"{coding.name}: {content.error}")
        elif trailing and content.whole and unpacking.rest:
            yield Member("trailing", unpacking.following())


def stem(filename: str, suffixes: tuple[str, ...]) -> str:
    """The name of the file inside, by the name of the compressed one."""
    lower = filename.lower()
    for suffix in suffixes:
        if lower.endswith(suffix) and len(lower) > len(suffix):
            return filename[: -len(suffix)] + (".tar" if suffix in _TARS else "")
    return filename or "content"


def gzip_name(head: bytes) -> str:
    """The name in a gzip header (RFC 1952 section 2.3.1), empty where there is none."""
    if len(head) < 10 or not head[3] & 0x08:
        return ""
    start = 10
    if head[3] & 0x04:
        start += 2 + int.from_bytes(head[10:12], "little")
    end = head.find(b"\0", start)
    return head[start:end].decode("latin-1") if end > start else ""
