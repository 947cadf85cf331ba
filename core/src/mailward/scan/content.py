"""The body of a message on its way into a scan: in memory, or at the beginning of a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen

from mailward.scan.codes import FILE
from mailward.values.errors import ScanError

_PIECE_BYTES = 256 * 1024


@frozen
class Content:
    """``size_bytes`` bytes, either ``data`` or what the file at ``path`` begins with."""

    size_bytes: int
    data: bytes | None = field(repr=False)
    path: Path | None = None

    def open(self) -> int:
        """A descriptor of the file, for reading. Raises ScanError."""
        assert self.path is not None, "there is no file"
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ScanError(FILE, f"{self.path.name}: {error.strerror}") from error

    def pieces(self) -> Iterator[bytes]:
        """The bytes from first to last, in pieces. Raises ScanError where there are fewer than there should be."""
        if self.data is not None:
            yield self.data
            return
        fd = self.open()
        try:
            left = self.size_bytes
            while left:
                piece = os.read(fd, min(left, _PIECE_BYTES))
                if not piece:
                    raise ScanError(FILE, "the file is shorter than the message")
                left -= len(piece)
                yield piece
        except OSError as error:
            raise ScanError(FILE, f"cannot be read: {error.strerror}") from error
        finally:
            os.close(fd)

    def digest(self) -> bytes:
        """A fingerprint by which the same bytes are known again. Raises ScanError."""
        sum_ = hashlib.blake2b(digest_size=16)
        for piece in self.pieces():
            sum_.update(piece)
        return sum_.digest()
