"""Bytes in the making: gathered in memory while they are few, else in an unlinked temporary file."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable

from mailward.mime.limits import MIB
from mailward.mime.source import Source

_IN_MEMORY_BYTES = MIB


def gathered(chunks: Iterable[bytes | memoryview]) -> Source:
    """All chunks in one piece. Raises OSError where there is no room for a temporary file."""
    held, size = list[bytes | memoryview](), 0
    waiting = iter(chunks)
    for chunk in waiting:
        held.append(chunk)
        size += len(chunk)
        if size > _IN_MEMORY_BYTES:
            break
    else:
        return Source(b"".join(held), 0, size)
    with tempfile.TemporaryFile() as file:
        file.writelines(held)
        held.clear()
        for chunk in waiting:
            file.write(chunk)
        file.flush()
        size = file.tell()
        return Source(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ), 0, size)


def pieces(source: Source) -> Iterable[bytes]:
    """A source in pieces of a bounded size."""
    return source.chunks(source.start, source.end, MIB)


def same(one: Source, other: Source) -> bool:
    """Whether two sources hold the same bytes."""
    if one.end - one.start != other.end - other.start:
        return False
    return all(a == b for a, b in zip(pieces(one), pieces(other), strict=True))
