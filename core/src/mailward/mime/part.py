"""Parts: one node of the tree each, a span of bytes that is decoded when somebody looks."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from mailward.mime.charset import codec, decode_text
from mailward.mime.content import UU_LINES, Place, decoded, decoded_whole, is_identity
from mailward.mime.errors import LimitExceeded
from mailward.mime.headers import NO_HEADERS, Headers
from mailward.mime.kind import PartKind as PartKind
from mailward.mime.ledger import KEPT_PART_BYTES, Ledger
from mailward.mime.limits import MIB
from mailward.mime.magic import HEAD_BYTES, detect
from mailward.mime.names import Name, names_of
from mailward.mime.parameters import Parameters, parse_parameters
from mailward.mime.reach import is_rewritable
from mailward.mime.source import Source, View
from mailward.values.finding import Kind

if TYPE_CHECKING:
    from mailward.mime.layout import Division

Algorithm = Literal["md5", "sha1", "sha256"]
_HASHES = {"md5": hashlib.md5, "sha1": hashlib.sha1, "sha256": hashlib.sha256}


class Part:
    """One node of the tree. Content is decoded on demand and never changed.

    ``path`` is unique in the message, ``depth`` counts levels from 0 at the root (a message and the
    multipart that is its body are one level), ``children`` are in order. ``declared_type`` is what the
    header says (``type/subtype`` in lower case; ``text/plain`` where it says nothing, RFC 2045 section
    5.2; empty for members and uuencode blocks). ``encoding`` is the transfer encoding in lower case.
    ``parameters`` are those of Content-Type. ``opaque`` parts have no content to show, because it is
    encrypted or beyond a limit; a finding tells which.
    """

    __slots__ = (
        "_content",
        "_detected",
        "_digests",
        "_inner",
        "_ledger",
        "_names",
        "_size",
        "_text",
        "children",
        "declared_type",
        "delimiter",
        "depth",
        "division",
        "encoding",
        "headers",
        "kind",
        "opaque",
        "parameters",
        "parent",
        "path",
        "place",
    )

    def __init__(
        self,
        ledger: Ledger,
        place: Place,
        kind: PartKind,
        parent: Part | None,
        depth: int,
        headers: Headers = NO_HEADERS,
    ) -> None:
        self._ledger = ledger
        self.place = place
        self.kind = kind
        self.parent = parent
        self.depth = depth
        self.headers = headers
        self.path = ""
        self.children: list[Part] = []
        self.declared_type = ""
        self.parameters = Parameters()
        self.encoding = UU_LINES if kind is PartKind.ENCODED else "binary"
        self.opaque = False
        self.division: Division | None = None
        self.delimiter: tuple[int, int] | None = None
        self._content: bytes | None = None
        self._size: int | None = None
        self._detected: str | None = None
        self._names: tuple[Name, ...] | None = None
        self._digests: list[tuple[Algorithm, str]] = []
        self._inner: Source | None = None
        self._text: str | None = None

    def __repr__(self) -> str:
        return f"<Part {self.path!r} {self.kind} {self.declared_type or self.detected_type}>"

    @property
    def is_leaf(self) -> bool:
        """Whether the part has content of its own rather than parts: every kind but multipart and message."""
        return self.kind not in (PartKind.MULTIPART, PartKind.MESSAGE)

    @property
    def is_rewritable(self) -> bool:
        """Whether new content can be put in the place of this part's content alone (`ReplaceContent`).

        In an archive or encoded content that takes all that is around to be written again (SAV-AV-06).
        """
        return is_rewritable(self)

    @property
    def is_identity(self) -> bool:
        """Whether content and raw bytes are the same, so that what is inside lies in the raw bytes too."""
        return self.division is not None or is_identity(self.encoding)

    @property
    def span(self) -> tuple[int, int] | None:
        """Header and body as offsets in `Message.raw`; None where the part does not lie there unencoded."""
        place = self.place
        return place.source.public(place.start, place.end) if place.source.outer else None

    @property
    def body_span(self) -> tuple[int, int] | None:
        """The body, transfer encoding and all, as offsets in `Message.raw`; None as for `Part.span`."""
        place = self.place
        return place.source.public(place.body, place.body_end) if place.source.outer else None

    @property
    def names(self) -> tuple[Name, ...]:
        """Every name that some client may show, the one most clients show first."""
        if self._names is None:
            found = list(names_of(self._disposition, self.parameters))
            if self.headers.repeats:
                for raw in self.headers.raws("content-disposition")[1:]:
                    found += names_of(parse_parameters(raw), Parameters())
                for raw in self.headers.raws("content-type")[1:]:
                    found += names_of(Parameters(), parse_parameters(raw))
            self._names = tuple(dict.fromkeys(found))
        return self._names

    @property
    def _disposition(self) -> Parameters:
        raw = self.headers.raw("content-disposition")
        return parse_parameters(raw) if raw else Parameters()

    def name_as(self, names: tuple[Name, ...]) -> None:
        """Set the names of a member or uuencode block, which has no header to say them."""
        self._names = names

    @property
    def filename(self) -> str:
        """The name that most clients show, normalised; empty where there is none."""
        return next((name.text for name in self.names if name.text), "")

    @property
    def disposition(self) -> str:
        """``attachment``, ``inline`` or another word in lower case; empty where the header is missing."""
        return self._disposition.value.decode("ascii", "replace").lower()

    @property
    def charset(self) -> str:
        """The declared charset in lower case, empty where there is none."""
        return self.parameters.get("charset").lower() if self.parameters.items else ""

    @property
    def detected_type(self) -> str:
        """The type that the first bytes show, empty where they show none (plain text among these)."""
        if self._detected is None:
            self._detected = detect(self.head(HEAD_BYTES))
        return self._detected

    def stream(self, max_bytes: int = MIB) -> Iterator[bytes]:
        """The decoded content in pieces of about ``max_bytes``, in memory bounded by that."""
        if self._content is not None:
            for at in range(0, len(self._content), max_bytes):
                yield self._content[at : at + max_bytes]
            return
        size = 0
        for piece in self._decoded(max_bytes):
            if piece:
                size += len(piece)
                yield piece
        self._size = size

    @property
    def is_small(self) -> bool:
        """Whether the content fits into memory whole, as far as the raw bytes tell."""
        return self.place.body_bytes <= min(KEPT_PART_BYTES, self._ledger.limits.max_part_bytes)

    @property
    def _coding(self) -> str:
        # A multipart is read where it stands, whatever encoding it claims (RFC 2045 section 6.4).
        return "binary" if self.division is not None else self.encoding

    def _decoded(self, max_bytes: int) -> Iterator[bytes]:
        return decoded(self.place, self._coding, max_bytes, self._damaged)

    def _damaged(self, rule: str) -> None:
        kind = Kind.AMBIGUOUS if rule == "base64_after_padding" else Kind.MALFORMED
        self._ledger.note(kind, rule, self.path, detail=f"content in {self.encoding} is damaged: {rule}")

    @property
    def content(self) -> bytes:
        """The decoded content in one piece; kept when small.

        Raises LimitExceeded where it is larger than `Limits.max_part_bytes`: use `Part.stream`.
        """
        if self._content is not None:
            return self._content
        most = self._ledger.limits.max_part_bytes
        if self.place.body_bytes > most:
            data = self._bounded(most)
        elif self.place.body_bytes > 2 * KEPT_PART_BYTES and not self.is_identity:
            data = b"".join(self._decoded(MIB))
        else:
            data = decoded_whole(self.place, self._coding, self._damaged)
        self._size = len(data)
        if self._ledger.keep(len(data)):
            self._content = data
        return data

    def _bounded(self, most: int) -> bytes:
        pieces, size = list[bytes](), 0
        for piece in self._decoded(MIB):
            size += len(piece)
            if size > most:
                raise LimitExceeded(f"part {self.path!r} is larger than max_part_bytes = {most}: read it with stream()")
            pieces.append(piece)
        return b"".join(pieces)

    @property
    def size(self) -> int:
        """Decoded size in bytes."""
        if self._size is None:
            if self.is_identity:
                self._size = self.place.body_bytes
            elif self.is_small:
                self._size = len(self.content)
            else:
                self._size = sum(len(piece) for piece in self._decoded(MIB))
        return self._size

    def head(self, n: int) -> bytes:
        """The first ``n`` bytes of the decoded content, or all where there are fewer. Decodes no more than needed."""
        if self._content is not None:
            return self._content[:n]
        place = self.place
        if self.is_identity:
            return place.source.copy(place.body, min(place.body_end, place.body + n))
        if place.body_bytes <= 4 * n and self.is_small:
            return self.content[:n]
        pieces, size = list[bytes](), 0
        for piece in self._decoded(2 * n + 1024):
            pieces.append(piece)
            size += len(piece)
            if size >= n:
                break
        return b"".join(pieces)[:n]

    @property
    def text(self) -> str:
        """The content as text by the declared charset, errors replaced; never raises.

        An unknown charset is taken as UTF-8, else Windows-1252, with a note. Content beyond
        `Limits.max_part_bytes` is cut.
        """
        if self._text is not None:
            return self._text
        charset = self.charset
        if charset and not codec(charset):
            self._ledger.note(
                Kind.NOTE, "charset_unknown", self.path, charset[:64], f"charset {charset[:64]!r} is not known"
            )
        most = self._ledger.limits.max_part_bytes
        data = self.head(most) if self.place.body_bytes > most else self.content
        text = decode_text(data, charset)
        if self._content is not None:
            self._text = text
        return text

    def digest(self, algorithm: Algorithm) -> str:
        """The hash of the decoded content in hex; kept."""
        for name, value in self._digests:
            if name == algorithm:
                return value
        state = _HASHES[algorithm](usedforsecurity=False)
        for piece in (self._content,) if self._content is not None else self.stream():
            state.update(piece)
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
        if self._inner is None:
            if self.is_small:
                self._inner = Source(self.content, 0, len(self.content))
            else:
                with self._ledger.spill(place.body_bytes) as spill:
                    mark = spill.mark()
                    for piece in self._decoded(MIB):
                        spill.write(piece)
                    self._inner = spill.source(mark)
        return self._inner, self._inner.start, self._inner.end
