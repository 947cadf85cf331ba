"""The content of a part for readers that jump about in it: bytes when small, a mapped temporary file when large."""

from __future__ import annotations

import codecs
import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from mailward import Part, true_charset

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


_HEAD_BYTES = 512
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def text_of(part: Part) -> Iterator[Data]:
    """The content as `data_of` gives it, and in UTF-8 where it is UTF-16: browsers read both."""
    charset = _wide(part)
    if not charset:
        with data_of(part) as data:
            yield data
        return
    decoder = codecs.getincrementaldecoder(charset)("replace")
    with tempfile.TemporaryFile(prefix="mailward-") as file:
        for piece in part.stream():
            file.write(decoder.decode(piece).encode("utf-8", "replace"))
        file.write(decoder.decode(b"", final=True).encode("utf-8", "replace") or b"\n")
        file.flush()
        if part.is_small:
            file.seek(0)
            yield file.read()
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield mapped


def _wide(part: Part) -> str:
    """The codec of a text of two bytes a character: by its mark, what is declared, or zeros; empty for others."""
    head = part.head(_HEAD_BYTES)
    if part.charset.replace("-", "").startswith("utf16") and not head.startswith(_MARKS):
        return "utf-16-be" if part.charset.endswith("be") else "utf-16-le"
    return true_charset(head, "")


def pieces(data: Data, start: int, end: int, step: int = 256 * 1024) -> Iterator[bytes]:
    """``start:end`` of the content in pieces."""
    end = min(end, len(data))
    for at in range(start, end, step):
        yield data[at : min(at + step, end)]
