"""Deflated data, unpacked in pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from mailward_archives.content import CHUNK_BYTES


def inflated(data: bytes) -> Iterator[bytes]:
    """The content of a zlib stream (RFC 1950); zlib.error where it is damaged."""
    return inflated_from(iter((data,)), zlib.MAX_WBITS)


def inflated_from(chunks: Iterator[bytes], window_bits: int) -> Iterator[bytes]:
    """The content of a stream that comes in pieces; ``window_bits`` as zlib has it, negative without a header."""
    unpacker = zlib.decompressobj(window_bits)
    for chunk in chunks:
        while chunk and not unpacker.eof:
            yield unpacker.decompress(chunk, CHUNK_BYTES)
            chunk = unpacker.unconsumed_tail
        if unpacker.eof:
            return
