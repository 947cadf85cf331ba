"""Messages: the raw bytes and the tree of parts over them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from mailward.mime.headers import Headers
from mailward.mime.layout import What
from mailward.mime.ledger import Ledger
from mailward.mime.limits import MIB, Limits
from mailward.mime.member import Intake, Member
from mailward.mime.part import Part, PartKind
from mailward.mime.source import Source, close_map
from mailward.mime.tree import Tree
from mailward.values.finding import Finding

MAPPED_FROM_BYTES = 4 * MIB
"""Files of this size and above are mapped rather than read: every search in a mapped file copies it first."""

_LOOKED_AT_BYTES = 4096

Span = tuple[int, int, What]
"""``start:end`` of `Message.raw` and what stands there."""


class Message:
    """A message: raw bytes, never changed, and the tree of its parts. A context manager.

    ``defects`` are the core's findings about its structure. What only decoding shows (damaged
    base64, an unknown charset) is added when a part's content is read, so look at the list last.
    """

    __slots__ = ("_ledger", "_source", "_tree", "_view", "root")

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._view: memoryview | None = None
        self._ledger = Ledger(limits)
        self._tree = Tree(self._ledger, _ends_in_crlf(source))
        self.root: Part = self._tree.plant(source)

    @classmethod
    def from_bytes(cls, raw: bytes, limits: Limits = Limits()) -> Message:  # noqa: B008 frozen
        """A message held in memory. Raises nothing, whatever the bytes are."""
        return cls(Source(bytes(raw), 0, len(raw), outer=True), limits)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str] | int,
        limits: Limits = Limits(),  # noqa: B008 frozen
        start: int = 0,
        end: int | None = None,
    ) -> Message:
        """The message in a file, or in its bytes ``start:end``; mapped from `MAPPED_FROM_BYTES` on.

        ``path`` may be an open descriptor; it is closed, whatever happens. The file must not be cut
        short while the message is open. Raises OSError, and ValueError for a slice outside the file.
        """
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            stop = size if end is None else end
            if not 0 <= start <= stop <= size:
                raise ValueError(f"slice {start}:{stop} lies outside the file of {size} bytes")
            if stop - start < MAPPED_FROM_BYTES:
                file.seek(start)
                return cls.from_bytes(file.read(stop - start), limits)
            skipped = start % mmap.ALLOCATIONGRANULARITY
            mapped = mmap.mmap(file.fileno(), stop - start + skipped, access=mmap.ACCESS_READ, offset=start - skipped)
        return cls(Source(mapped, skipped, skipped + stop - start, outer=True), limits)

    @property
    def raw(self) -> bytes | memoryview:
        """The message as it came: bytes, or a view of the mapped file."""
        source = self._source
        if isinstance(source.data, bytes):
            return source.data
        if self._view is None:
            self._view = memoryview(source.data)[source.start : source.end]
        return self._view

    @property
    def size(self) -> int:
        """Size of the raw message in bytes."""
        return self._source.end - self._source.start

    @property
    def headers(self) -> Headers:
        """The message's own header fields."""
        return self.root.headers

    @property
    def subject(self) -> str:
        """The subject, decoded and unfolded; empty where there is none."""
        return self.root.headers.get("subject") or ""

    @property
    def line_end(self) -> bytes:
        """CRLF or LF: what ends the first line, or most of the lines that follow."""
        return b"\r\n" if self._tree.crlf else b"\n"

    @property
    def defects(self) -> list[Finding]:
        """Findings of the core about the structure: malformed, ambiguous, limit, unchecked, note."""
        return self._ledger.findings

    @property
    def limits(self) -> Limits:
        """The limits that this message is held to."""
        return self._ledger.limits

    def part(self, path: str) -> Part:
        """The part of this path; raises KeyError that names the nearest ones."""
        return self._tree.part(path)

    def walk(self) -> Iterator[Part]:
        """Every part, depth first; children that are added while walking are walked too.

        After the children of a part come its second readings (`Part.readings`) with all that is in them;
        those that only decoding shows, of damaged base64, when its content has been read by then.
        """
        yield self.root
        stack = [(self.root, 0, 0)]
        while stack:
            part, child, reading = stack.pop()
            if child < len(part.children):
                below = part.children[child]
                stack.append((part, child + 1, reading))
            else:
                if self._ledger.junk:  # decoding has shown that a part may be read otherwise
                    self._tree.read_junk(part)
                if reading == len(part.readings):
                    continue
                below = part.readings[reading]
                stack.append((part, child, reading + 1))
            yield below
            stack.append((below, 0, 0))

    def add_members(self, part: Part, members: Iterable[Member | Finding]) -> list[Finding]:
        """Add the members of a container as children of ``part``, reading them under the limits.

        Returns the findings: those that ``members`` yields, limits reached, encrypted members, errors
        of the reader (MemberError). They are not repeated in ``defects``; what is found about the
        structure of a mail among the members goes there. A member beyond a limit or encrypted is an
        opaque part. Raises OSError when there is no room for temporary files.
        """
        found = Intake(self._ledger, self._tree, part).take(members)
        for finding in found:
            self._ledger.tell(finding)
        return found

    def spans(self) -> Iterator[Span]:
        """The raw message as contiguous stretches, in order, that cover it exactly. Empty ones are left out."""
        for start, end, what in self._stretches():
            if end > start:
                yield (*self._source.public(start, end), what)

    def _stretches(self) -> Iterator[Span]:
        stack: list[Part | Span] = [self.root]
        while stack:
            item = stack.pop()
            if isinstance(item, Part):
                stack.extend(reversed(_pieces(item)))
            else:
                yield item

    def close(self) -> None:
        """Give mapping and temporary files back. Parts that were not read cannot be read any more."""
        self._view = None
        self._ledger.close()
        close_map(self._source.data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _ends_in_crlf(source: Source) -> bool:
    """Whether lines are to end in CRLF; a first line that ends otherwise does not hide that the others do."""
    first = source.find(b"\n", source.start, source.end)
    if first < 0 or (first > source.start and source.data[first - 1] == 0x0D):
        return True
    more = source.copy(first, min(source.end, first + _LOOKED_AT_BYTES))
    return b"\r" in more and 2 * more.count(b"\r\n") > more.count(b"\n")


def _pieces(part: Part) -> list[Part | Span]:
    """The header of a part and what follows it, as far as these lie in the raw message."""
    place = part.place
    pieces: list[Part | Span] = [(place.start, place.body, What.HEADER)]
    if part.division is None:
        if part.kind is PartKind.MESSAGE and part.is_identity:
            return [*pieces, part.children[0]]
        return [*pieces, (place.body, place.end, What.BODY)]
    children = iter(part.children)
    for segment in part.division.segments:
        child = next(children, None) if segment.what is What.PART else None
        what = What.UNREAD if segment.what is What.PART else segment.what
        pieces.append(child if child is not None else (segment.start, segment.end, what))
    return pieces
