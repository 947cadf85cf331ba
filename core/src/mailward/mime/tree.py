"""The tree of parts: built over the raw bytes with a stack, never by recursion (RFC 2045, RFC 2046)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from mailward.mime.attached import contains, looks_like_mail, may_hold_blocks
from mailward.mime.checks import check_boundary, check_bytes, check_header
from mailward.mime.content import Place
from mailward.mime.headers import NO_HEADERS
from mailward.mime.kind import PartKind
from mailward.mime.layout import Division, What
from mailward.mime.ledger import Ledger
from mailward.mime.manner import LOOSE, MAIN, OUTSIDE, Manner
from mailward.mime.names import member_name, visible
from mailward.mime.part import Part
from mailward.mime.reader import Reader
from mailward.mime.readings import (
    MESSAGE_TYPES,
    MOST_READINGS,
    Doubt,
    doubts,
    doubts_of_junk,
    explained,
    outside,
    shape,
)
from mailward.mime.sealed import sealed
from mailward.mime.source import Source
from mailward.mime.uuencode import Block, blocks, first_block
from mailward.mime.words import decode_header
from mailward.values.finding import Kind

_NEAR_PATHS = 500
_BEGIN = b"begin"


class Tree:
    """Builds the parts of one message and knows every one by its path."""

    __slots__ = ("_doubtful", "_ledger", "_paths", "_reader", "_repeats", "crlf")

    def __init__(self, ledger: Ledger, crlf: bool) -> None:
        self._ledger = ledger
        self._reader = Reader(ledger)
        self._paths: dict[str, Part] = {}
        self._repeats: dict[str, int] = {}
        self._doubtful: list[tuple[Part, list[Doubt]]] = []
        self.crlf = crlf

    def part(self, path: str) -> Part:
        """The part of this path; raises KeyError that names the nearest ones."""
        found = self._paths.get(path)
        if found is None:
            known = [one for one in self._paths if len(one) <= 160][:_NEAR_PATHS]
            near = difflib.get_close_matches(path[:160], known, 3, 0.3) or known[:3]
            raise KeyError(f"no part {path[:160]!r}: the nearest are {', '.join(map(repr, near))}")
        return found

    def plant(self, source: Source) -> Part:
        """Build the tree of the message itself; its root is made whatever the limits are."""
        with self._ledger.clock():
            root = self._mail(source, source.start, source.end, None, MAIN)
            self._open_all(root)
        return root

    def grow(self, source: Source, start: int, end: int, parent: Part) -> None:
        """Build the tree of the mail at ``start:end`` under ``parent``, as far as the limits allow."""
        with self._ledger.clock():
            if self._admit(parent):
                self._open_all(self._mail(source, start, end, parent, parent.manner))

    def _open_all(self, root: Part) -> None:
        stack = [root]
        while stack:
            stack.extend(reversed(self._open(stack.pop())))
        # Second readings come last: where the limits are reached, it is they that are left out.
        self._open_readings()

    def _open_readings(self) -> None:
        while self._doubtful:
            part, found = self._doubtful.pop()
            stack = list(self._read_again(part, found))
            while stack:
                stack.extend(reversed(self._open(stack.pop())))

    def read_junk(self, part: Part) -> None:
        """Add the second readings of base64 in which decoding met junk.

        Only decoding shows it, so that sound base64 costs nothing.
        """
        if part.path in self._ledger.junk:
            self._ledger.junk.discard(part.path)
            with self._ledger.clock():
                self._doubtful.append((part, doubts_of_junk(part)))
                self._open_readings()

    def register(self, part: Part, path: str) -> None:
        """Give a part its path; where that is taken, "#2" and so on is added."""
        if path in self._paths:
            number = self._repeats.get(path, 1) + 1
            while f"{path}#{number}" in self._paths:
                number += 1
            self._repeats[path] = number
            path = f"{path}#{number}"
        part.path = path
        self._paths[path] = part

    def forbidden(self, parent: Part) -> str:
        """The name of the limit that forbids one more part under ``parent``, empty where none does."""
        ledger = self._ledger
        if parent.depth >= ledger.limits.max_depth:
            return "max_depth"
        return self._spent()

    def _spent(self) -> str:
        ledger = self._ledger
        if ledger.parts >= ledger.limits.max_parts:
            return "max_parts"
        return "max_time_s" if ledger.out_of_time() else ""

    def _admit(self, parent: Part) -> bool:
        """Count one more part under ``parent``, unless a limit forbids it; that is noted."""
        return self._counted(self.forbidden(parent), parent)

    def _counted(self, reached: str, part: Part) -> bool:
        if reached:
            self._ledger.limit(reached, part.path)
            return False
        self._ledger.parts += 1
        return True

    def _mail(self, source: Source, start: int, end: int, parent: Part | None, manner: Manner) -> Part:
        """The root part of a mail, registered under the rule for roots."""
        if parent is None:
            self._ledger.parts += 1
        # A multipart and the message it is the body of are one level: a forwarded mail costs one.
        depth = 0 if parent is None else parent.depth
        part = self._reader.read(source, start, end, parent, "text/plain", depth, manner)
        if parent is not None and part.division is None:
            part.depth += 1
        prefix = "" if parent is None else f"{parent.path}/"
        self.register(part, prefix if part.division is not None else f"{prefix}1")
        if parent is not None:
            parent.children.append(part)
        check_header(self._ledger, part)
        return part

    def _open(self, part: Part) -> list[Part]:
        """Open one part by what it is; returns its MIME children, which are to be opened next."""
        ledger, kind = self._ledger, part.declared_type
        if kind.startswith("multipart/"):
            if part.depth >= ledger.limits.max_depth:
                ledger.limit("max_depth", part.path)
            else:
                check_boundary(ledger, part)
        found = list[Part]()
        if part.division is not None:
            part.kind = PartKind.MULTIPART
            found = self._children(part, part.division)
        elif kind in MESSAGE_TYPES or looks_like_mail(part):
            inner = self._inner_mail(part)
            part.kind = PartKind.MESSAGE if inner else PartKind.LEAF
            found = [inner] if inner else []
        else:
            self._measure(part)
            if may_hold_blocks(part):
                self.find_blocks(part)
        if how := sealed(part):
            ledger.note(Kind.ENCRYPTED, "encrypted", part.path, detail=f"encrypted: {how}")
        # A mail inside encoded content may have line ends of its own.
        crlf = self.crlf if part.place.source.outer else b"\r\n" in part.headers.block
        bare = check_bytes(ledger, part, crlf)
        if part.manner is MAIN and (doubtful := doubts(part, crlf, *bare)):
            self._doubtful.append((part, doubtful))
        return found

    def _children(self, part: Part, division: Division) -> list[Part]:
        default = _default_type(part)
        prefix = part.path if not part.path or part.path.endswith("/") else f"{part.path}."
        delimiter = (0, 0)
        for segment in division.segments:
            if segment.what is What.DELIMITER:
                delimiter = (segment.start, segment.end)
            elif segment.what is What.PART:
                if not self._admit(part):
                    break
                child = self._reader.read(
                    part.place.source, segment.start, segment.end, part, default, part.depth + 1, part.manner
                )
                child.delimiter = delimiter
                part.children.append(child)
                self.register(child, f"{prefix}{len(part.children)}")
                check_header(self._ledger, child)
        return list(part.children)

    def _inner_mail(self, part: Part) -> Part | None:
        if not self._admit(part):
            return None
        source, start, end = part.inner()
        return self._mail(source, start, end, part, part.manner)

    def _measure(self, part: Part) -> None:
        """Count the decoded size of a leaf, as far as the raw bytes tell it, against the limits."""
        ledger = self._ledger
        size = part.place.body_bytes
        size = size if part.is_identity else size * 3 // 4
        if size > ledger.limits.max_part_bytes:
            ledger.limit("max_part_bytes", part.path)
        if part.manner is not MAIN:
            return
        ledger.decoded_bytes += size
        if ledger.decoded_bytes > ledger.limits.max_total_bytes:
            ledger.limit("max_total_bytes", part.path)

    def find_blocks(self, part: Part) -> None:
        """Make a child of every uuencode block in the content of a text."""
        if not part.is_identity and not contains(part, _BEGIN):
            return
        source, start, end = part.inner()
        for block in blocks(source, start, end):
            if not self._admit(part):
                return
            self._add_block(part, source, block)

    def _add_block(self, part: Part, source: Source, block: Block) -> None:
        place = Place(source, block.start, block.data_start, block.data_end, block.end)
        child = Part(self._ledger, place, PartKind.ENCODED, part, part.depth + 1, manner=part.manner)
        child.encoding = block.encoding
        raw = decode_header(block.name)
        child.name_as(member_name(raw, "begin line"))
        part.children.append(child)
        self.register(child, f"{part.path}/{visible(raw) or 'unnamed'}")
        if not block.closed:
            self._ledger.note(Kind.MALFORMED, "uu_unclosed", child.path, detail="the end line of the block is missing")

    def _read_again(self, part: Part, found: list[Doubt]) -> Sequence[Part]:
        """The other readings of a part, those left out that show the same contents."""
        kept = list(part.readings)
        before, seen = len(kept), {shape(one) for one in (part, *kept)}
        for doubt in found:
            if doubt.manner is OUTSIDE:
                kept += self._outside(part, doubt)
                continue
            if doubt.manner is LOOSE and part.layout is not None and explained(part, part.layout.tails):
                continue
            reading = self._reading(part, doubt.manner)
            if reading is None or (look := shape(reading)) in seen:
                continue
            seen.add(look)
            if len(kept) == MOST_READINGS:
                detail = "clients may read the part in more ways than were looked at"
                self._ledger.note(Kind.UNCHECKED, "readings", part.path, detail=detail)
                break
            if not self._keep(part, reading, doubt.rule, doubt.detail):
                break
            kept.append(reading)
        part.readings = kept
        return kept[before:]

    def _reading(self, part: Part, manner: Manner) -> Part | None:
        """A part read again; None where that makes one text of a multipart."""
        place = part.place
        if self._ledger.out_of_time():
            self._ledger.limit("max_time_s", part.path)
            return None
        default = "text/plain" if part.parent is None else _default_type(part.parent)
        reading = self._reader.read(_aside(place.source), place.start, place.end, part, default, part.depth, manner)
        without_parts = reading.declared_type.startswith("multipart/") and reading.division is None
        return None if without_parts and part.declared_type.startswith("multipart/") else reading

    def _keep(self, part: Part, reading: Part, rule: str, detail: str) -> bool:
        """Take a reading in: it counts as a part."""
        if not self._counted(self._spent(), part):
            return False
        self.register(reading, f"{part.path}~{reading.reading}")
        if rule:
            self._ledger.note(Kind.AMBIGUOUS, rule, part.path, detail=detail)
        return True

    def _outside(self, part: Part, doubt: Doubt) -> list[Part]:
        """The text before and after the parts of a multipart, where a uuencode block stands in it."""
        found = list[Part]()
        for segment in outside(part):
            source = _aside(part.place.source)
            if first_block(source, segment.start, segment.end) is None:
                continue
            place = Place(source, segment.start, segment.start, segment.end, segment.end)
            reading = Part(self._ledger, place, PartKind.LEAF, part, part.depth, NO_HEADERS, OUTSIDE)
            reading.declared_type, reading.encoding = "text/plain", "8bit"
            if self._keep(part, reading, doubt.rule, doubt.detail):
                found.append(reading)
        return found


def _aside(source: Source) -> Source:
    """The same bytes for a second reading, which has no place of its own in the message."""
    return Source(source.data, source.start, source.end)


def _default_type(parent: Part) -> str:
    """What a part without Content-Type is (RFC 2046 section 5.1.5)."""
    digest = parent.division is not None and parent.declared_type == "multipart/digest"
    return "message/rfc822" if digest else "text/plain"
