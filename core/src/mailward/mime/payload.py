"""The decoded content of one part: decoded once, in memory or in the spill file, and read as often as one likes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO, Literal, cast

from mailward.mime.content import Place, decoded, decoded_whole, is_identity
from mailward.mime.errors import LimitExceeded
from mailward.mime.ledger import KEPT_PART_BYTES, Ledger
from mailward.mime.limits import MIB
from mailward.mime.source import Source, View

Algorithm = Literal["md5", "sha1", "sha256"]
_HASHES = {"md5": hashlib.md5, "sha1": hashlib.sha1, "sha256": hashlib.sha256}
STEP_BYTES = 256 * 1024
_HASHED_BYTES = 4 * MIB
_TIMED_BYTES = 64 * 1024


class Payload:
    """What a part holds: ``place`` says where it stands, ``encoding`` how it is encoded."""

    __slots__ = ("_content", "_digests", "_inner", "_ledger", "_size", "encoding", "path", "place")

    def __init__(self, ledger: Ledger, place: Place, encoding: str) -> None:
        self._ledger = ledger
        self.place = place
        self.encoding = encoding
        self.path = ""
        self._content: bytes | None = None
        self._size: int | None = None
        self._digests: list[tuple[Algorithm, str]] = []
        self._inner: Source | None = None

    @property
    def is_identity(self) -> bool:
        """Whether content and raw bytes are the same, so that what is inside lies in the raw bytes too."""
        return is_identity(self._coding)

    @property
    def _coding(self) -> str:
        return self.encoding

    def _damaged(self, rule: str) -> None:
        """Take note of damage that a decoder met."""

    @property
    def is_small(self) -> bool:
        """Whether the content fits into memory whole, as far as the raw bytes tell."""
        return self.place.body_bytes <= min(KEPT_PART_BYTES, self._ledger.limits.max_part_bytes)

    def _decoded(self, max_bytes: int) -> Iterator[bytes]:
        """The content in pieces, as far as the time for the message goes."""
        ledger = self._ledger
        pieces = decoded(self.place, self._coding, max_bytes, self._damaged)
        while True:
            with ledger.clock():
                if ledger.out_of_time():
                    ledger.limit("max_time_s", self.path)
                    return
                piece = next(pieces, None)
            if piece is None:
                return
            if piece:
                yield piece

    def stream(self, max_bytes: int = MIB) -> Iterator[bytes]:
        """The decoded content in pieces of at most ``max_bytes``, in memory bounded by that."""
        if self._content is None and not self.is_identity:
            source, start, end = self.inner()
            for at in range(start, end, max_bytes):
                stop = min(end, at + max_bytes)
                yield source.copy(at, stop)
                source.forget(at, stop)
            return
        if self._content is not None:
            for at in range(0, len(self._content), max_bytes):
                yield self._content[at : at + max_bytes]
            return
        place = self.place
        yield from place.source.chunks(place.body, place.body_end, max_bytes)

    def _decoded_whole(self) -> bytes:
        place, ledger = self.place, self._ledger
        if self.is_identity or place.body_bytes < _TIMED_BYTES:
            return decoded_whole(place, self._coding, self._damaged)
        if ledger.out_of_time():
            ledger.limit("max_time_s", self.path)
            return b""
        with ledger.clock():
            return decoded_whole(place, self._coding, self._damaged)

    @property
    def content(self) -> bytes:
        """The decoded content in one piece; kept when small.

        Raises LimitExceeded where it is larger than `Limits.max_part_bytes`: use `Part.stream`.
        """
        if self._content is not None:
            return self._content
        if self._inner is None and self.is_small:
            data = self._decoded_whole()
            self._size = len(data)
            if self._ledger.keep(len(data)):
                self._content = data
            elif not self.is_identity:
                self._inner = self._spilled((data,), len(data))
            return data
        most = self._ledger.limits.max_part_bytes
        if self.size > most:
            raise LimitExceeded(f"part {self.path!r} is larger than max_part_bytes = {most}: read it with stream()")
        source, start, end = self.inner()
        return source.copy(start, end)

    @property
    def size(self) -> int:
        """Decoded size in bytes."""
        if self._size is None:
            _, start, end = self.inner()
            self._size = end - start
        return self._size

    def head(self, n: int) -> bytes:
        """The first ``n`` bytes of the decoded content, or all where there are fewer. Decodes no more than needed."""
        if self._content is not None:
            return self._content[:n]
        place = self.place
        if self._inner is not None or self.is_identity or (place.body_bytes <= 4 * n and self.is_small):
            source, start, end = self.inner()
            return source.copy(start, min(end, start + n))
        pieces, size = list[bytes](), 0
        for piece in self._decoded(2 * n + 1024):
            pieces.append(piece)
            size += len(piece)
            if size >= n:
                break
        return b"".join(pieces)[:n]

    def tail(self, n: int) -> bytes:
        """The last ``n`` bytes of the decoded content, or all where there are fewer. Decodes all of it."""
        if self._content is not None:
            return self._content[-n:]
        source, start, end = self.inner()
        return source.copy(max(start, end - n), end)

    def digest(self, algorithm: Algorithm) -> str:
        """The hash of the decoded content in hex; kept."""
        for name, value in self._digests:
            if name == algorithm:
                return value
        if self._content is not None:
            value = _HASHES[algorithm](self._content, usedforsecurity=False).hexdigest()
        else:
            source, start, end = self.inner()
            state = _HASHES[algorithm](usedforsecurity=False)
            with memoryview(source.data) as whole:
                for at in range(start, end, _HASHED_BYTES):
                    state.update(whole[at : min(end, at + _HASHED_BYTES)])
                    source.forget(at, min(end, at + _HASHED_BYTES))
            value = state.hexdigest()
        self._digests.append((algorithm, value))
        return value

    def open(self) -> BinaryIO:
        """The decoded content as a seekable binary file. Large encoded content goes to a temporary file first."""
        if self._content is not None:
            return io.BytesIO(self._content)
        source, start, end = self.inner()
        return cast(BinaryIO, io.BufferedReader(View(source.data, start, end)))

    def inner(self) -> tuple[Source, int, int]:
        """The decoded content as a source with its start and end: for what is parsed inside this part."""
        place = self.place
        if self.is_identity:
            return place.source, place.body, place.body_end
        if self._inner is None and self.is_small:
            data = self.content
            if self._inner is None:
                self._inner = Source(data, 0, len(data))
        if self._inner is None:
            self._inner = self._spilled(self._decoded(STEP_BYTES), place.body_bytes)
        return self._inner, self._inner.start, self._inner.end

    def _spilled(self, pieces: Iterator[bytes] | tuple[bytes, ...], most_bytes: int) -> Source:
        with self._ledger.spill(most_bytes) as spill:
            mark = spill.mark()
            for piece in pieces:
                spill.write(piece)
            return spill.source(mark)
