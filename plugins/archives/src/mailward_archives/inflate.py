"""zlib streams, unpacked in pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from mailward_archives.content import CHUNK_BYTES


def inflated(data: bytes) -> Iterator[bytes]:
    """The content of a zlib stream (RFC 1950); zlib.error where it is damaged."""
    unpacker = zlib.decompressobj()
    chunk = unpacker.decompress(data, CHUNK_BYTES)
    while chunk:
        yield chunk
        chunk = unpacker.decompress(unpacker.unconsumed_tail, CHUNK_BYTES)
