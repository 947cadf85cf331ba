"""The content of a part for readers that jump about in it: bytes when small, a mapped temporary file when large."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from mailward import Part

SMALL_BYTES = 4 * 1024 * 1024
"""Content up to this size is held in memory."""

Data = bytes | mmap.mmap
"""Content that can be searched, sliced and matched."""


@contextmanager
def data_of(part: Part) -> Iterator[Data]:
    """The decoded content, whole; a large one lies in an unlinked temporary file while the block lasts."""
    if part.is_small:
        yield part.content
        return
    with file_of(part) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield mapped


@contextmanager
def file_of(part: Part) -> Iterator[BinaryIO]:
    """The decoded content as a real file with a descriptor, unlinked, at its start."""
    with tempfile.TemporaryFile(prefix="mailward-") as file:
        for piece in part.stream():
            file.write(piece)
        file.flush()
        file.seek(0)
        yield file


def pieces(data: Data, start: int, end: int, step: int = 256 * 1024) -> Iterator[bytes]:
    """``start:end`` of the content in pieces."""
    end = min(end, len(data))
    for at in range(start, end, step):
        yield data[at : min(at + step, end)]
