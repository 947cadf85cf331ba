"""Gzip files of one member written again (RFC 1952)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from mailward.mime.archive import Substitute
from mailward.mime.errors import MemberError
from mailward.mime.limits import MIB
from mailward.mime.scratch import pieces
from mailward.mime.source import Source

_MAGIC = b"\x1f\x8b\x08"
_CHECKED, _EXTRA, _NAME, _COMMENT, _RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0
_FIXED_BYTES = 10
_MOST_HEADER_BYTES = 64 * 1024
_STEP_BYTES = 256 * 1024


@frozen(slots=True)
class GzipArchive:
    """A gzip file, which is its own only slot. ``header_end`` is where the compressed data starts."""

    area: Source
    flags: int
    header_end: int
    name: bytes
    is_document: bool = False

    @property
    def slots(self) -> Sequence[GzipArchive]:
        """The one member."""
        return (self,)

    @property
    def names(self) -> Sequence[str]:
        """The name in the header, empty where there is none."""
        return (self.name.decode("latin-1"),)

    def content(self) -> Iterator[bytes]:
        """The content in bounded pieces; raises MemberError where it is damaged or something stands behind it."""
        decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            for chunk in self.area.chunks(self.area.start, self.area.end, MIB):
                data = chunk
                if decoder.eof:
                    raise MemberError("gzip: something stands behind the first member")
                while data and not decoder.eof:
                    yield decoder.decompress(data, _STEP_BYTES)
                    data = decoder.unconsumed_tail
            while not decoder.eof and (piece := decoder.decompress(b"", _STEP_BYTES)):
                yield piece
        except zlib.error as error:
            raise MemberError(f"gzip: {error}") from error
        if not decoder.eof or decoder.unused_data:
            raise MemberError("gzip: the file does not end with its first member")

    def rewritten(self, substitutes: Mapping[int, Substitute]) -> Iterator[bytes]:
        """The file with another content; time and system stay, and the name unless a new one is given."""
        area, substitute = self.area, substitutes[0]
        if substitute.name:
            flags, rest = _NAME, substitute.name.encode("latin-1", "replace") + b"\0"
        else:
            end = self.header_end - (2 if self.flags & _CHECKED else 0)
            flags, rest = self.flags & ~_CHECKED, area.copy(area.start + _FIXED_BYTES, end)
        fixed = area.copy(area.start, area.start + _FIXED_BYTES)
        yield fixed[:3] + bytes((flags,)) + fixed[4:] + rest
        packer, crc, size = zlib.compressobj(wbits=-zlib.MAX_WBITS), 0, 0
        for piece in pieces(substitute.content):
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            yield packer.compress(piece)
        yield packer.flush() + struct.pack("<2L", crc, size & 0xFFFFFFFF)


def open_gzip(area: Source) -> GzipArchive | None:
    """The file, None where its header is not in order."""
    head = area.copy(area.start, min(area.start + _MOST_HEADER_BYTES, area.end))
    if len(head) < _FIXED_BYTES or not head.startswith(_MAGIC) or head[3] & _RESERVED:
        return None
    flags, at, name = head[3], _FIXED_BYTES, b""
    if flags & _EXTRA:
        at += 2 + int.from_bytes(head[at : at + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            end = head.find(b"\0", at)
            if end < 0:
                return None
            if flag == _NAME:
                name = head[at:end]
            at = end + 1
    at += 2 if flags & _CHECKED else 0
    return GzipArchive(area, flags, area.start + at, name) if at < len(head) else None
