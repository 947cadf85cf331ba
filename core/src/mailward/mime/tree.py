"""The tree of parts: built over the raw bytes with a stack, never by recursion (RFC 2045, RFC 2046)."""

from __future__ import annotations

import difflib
import re

from mailward.mime.checks import boundary_of, check_boundary, check_bytes, check_header
from mailward.mime.content import Place
from mailward.mime.headers import read_headers
from mailward.mime.layout import Division, What, divide
from mailward.mime.ledger import Ledger
from mailward.mime.names import member_name, visible
from mailward.mime.parameters import parse_parameters
from mailward.mime.part import Part, PartKind
from mailward.mime.source import Source
from mailward.mime.uuencode import Block, blocks
from mailward.mime.words import decode_header
from mailward.values.finding import Kind

_TYPE = re.compile(rb"\s*+([^\s;/()<>@,:\"\[\]?=]++/[^\s;/()<>@,:\"\[\]?=]++)")
_ENCODING = re.compile(rb"\s*+([^\s;(]*+)")
_MESSAGE_TYPES = frozenset(("message/rfc822", "message/global", "message/news"))
_NEAR_PATHS = 500
_BEGIN = b"begin"


class Tree:
    """Builds the parts of one message and knows every one by its path."""

    __slots__ = ("_ledger", "_paths", "_repeats", "crlf")

    def __init__(self, ledger: Ledger, crlf: bool) -> None:
        self._ledger = ledger
        self._paths: dict[str, Part] = {}
        self._repeats: dict[str, int] = {}
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
            root = self._mail(source, source.start, source.end, None)
            self._open_all(root)
        return root

    def grow(self, source: Source, start: int, end: int, parent: Part) -> None:
        """Build the tree of the mail at ``start:end`` under ``parent``, as far as the limits allow."""
        with self._ledger.clock():
            if self._admit(parent):
                self._open_all(self._mail(source, start, end, parent))

    def _open_all(self, root: Part) -> None:
        stack = [root]
        while stack:
            stack.extend(reversed(self._open(stack.pop())))

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
        if ledger.parts >= ledger.limits.max_parts:
            return "max_parts"
        return "max_time_s" if ledger.out_of_time() else ""

    def _admit(self, parent: Part) -> bool:
        """Count one more part under ``parent``, unless a limit forbids it; that is noted."""
        reached = self.forbidden(parent)
        if reached:
            self._ledger.limit(reached, parent.path)
            return False
        self._ledger.parts += 1
        return True

    def _mail(self, source: Source, start: int, end: int, parent: Part | None) -> Part:
        """The root part of a mail, registered under the rule for roots."""
        if parent is None:
            self._ledger.parts += 1
        # A multipart and the message it is the body of are one level: a forwarded mail costs one.
        part = self._read(source, start, end, parent, "text/plain", 0 if parent is None else parent.depth)
        if parent is not None and part.division is None:
            part.depth += 1
        prefix = "" if parent is None else f"{parent.path}/"
        self.register(part, prefix if part.division is not None else f"{prefix}1")
        if parent is not None:
            parent.children.append(part)
        check_header(self._ledger, part)
        return part

    def _read(self, source: Source, start: int, end: int, parent: Part | None, default_type: str, depth: int) -> Part:
        """A part with its header read and, if it is a multipart, its body divided."""
        ledger, limits = self._ledger, self._ledger.limits
        headers, body = read_headers(source, start, end, limits.max_header_bytes, limits.max_headers - ledger.headers)
        ledger.headers += len(headers)
        part = Part(ledger, Place(source, start, body, end, end), PartKind.LEAF, parent, depth, headers)
        part.declared_type = default_type
        raw = headers.raw("content-type")
        if raw is not None:
            part.parameters = parse_parameters(raw)
            match = _TYPE.match(part.parameters.value)
            part.declared_type = match[1].lower().decode("ascii", "replace") if match else "text/plain"
        raw = headers.raw("content-transfer-encoding")
        match = _ENCODING.match(raw) if raw is not None else None
        part.encoding = match[1].lower().decode("ascii", "replace") if match and match[1] else "7bit"
        if part.declared_type.startswith("multipart/"):
            part.division = self._divide(part)
        return part

    def _divide(self, part: Part) -> Division | None:
        boundary = boundary_of(part.parameters)
        if not boundary or part.depth >= self._ledger.limits.max_depth:
            return None
        room = self._ledger.limits.max_parts - self._ledger.parts
        division = divide(part.place.source, part.place.body, part.place.end, boundary, room)
        return division if division.parts or division.full else None

    def _open(self, part: Part) -> list[Part]:
        """Open one part by what it is; returns its MIME children, which are to be opened next."""
        ledger = self._ledger
        if part.declared_type.startswith("multipart/"):
            if part.depth >= ledger.limits.max_depth:
                ledger.limit("max_depth", part.path)
            else:
                check_boundary(ledger, part)
        found = list[Part]()
        if part.division is not None:
            part.kind = PartKind.MULTIPART
            found = self._children(part, part.division)
        elif part.declared_type in _MESSAGE_TYPES or _looks_like_mail(part):
            inner = self._inner_mail(part)
            part.kind = PartKind.MESSAGE if inner else PartKind.LEAF
            found = [inner] if inner else []
        else:
            if part.declared_type == "message/partial":
                detail = "a fragment of a message, which only the recipient can put together (RFC 2046 section 5.2.2)"
                ledger.note(Kind.UNCHECKED, "partial", part.path, detail=detail)
            self._measure(part)
            if part.declared_type.startswith("text/") or part.declared_type.startswith("multipart/"):
                self.find_blocks(part)
        check_bytes(ledger, part, self.crlf)
        return found

    def _children(self, part: Part, division: Division) -> list[Part]:
        default = "message/rfc822" if part.declared_type == "multipart/digest" else "text/plain"
        prefix = part.path if not part.path or part.path.endswith("/") else f"{part.path}."
        delimiter = (0, 0)
        for segment in division.segments:
            if segment.what is What.DELIMITER:
                delimiter = (segment.start, segment.end)
            elif segment.what is What.PART:
                if not self._admit(part):
                    break
                child = self._read(part.place.source, segment.start, segment.end, part, default, part.depth + 1)
                child.delimiter = delimiter
                part.children.append(child)
                self.register(child, f"{prefix}{len(part.children)}")
                check_header(self._ledger, child)
        return list(part.children)

    def _inner_mail(self, part: Part) -> Part | None:
        if not self._admit(part):
            return None
        source, start, end = part.inner()
        return self._mail(source, start, end, part)

    def _measure(self, part: Part) -> None:
        """Count the decoded size of a leaf, as far as the raw bytes tell it, against the limits."""
        ledger = self._ledger
        size = part.place.body_bytes
        size = size if part.is_identity else size * 3 // 4
        if size > ledger.limits.max_part_bytes:
            ledger.limit("max_part_bytes", part.path)
        ledger.decoded_bytes += size
        if ledger.decoded_bytes > ledger.limits.max_total_bytes:
            ledger.limit("max_total_bytes", part.path)

    def find_blocks(self, part: Part) -> None:
        """Make a child of every uuencode block in the content of a text."""
        if not part.is_identity and not _contains(part, _BEGIN):
            return
        source, start, end = part.inner()
        for block in blocks(source, start, end):
            if not self._admit(part):
                return
            self._add_block(part, source, block)

    def _add_block(self, part: Part, source: Source, block: Block) -> None:
        place = Place(source, block.start, block.data_start, block.data_end, block.end)
        child = Part(self._ledger, place, PartKind.ENCODED, part, part.depth + 1)
        raw = decode_header(block.name)
        child.name_as(member_name(raw, "begin line"))
        part.children.append(child)
        self.register(child, f"{part.path}/{visible(raw) or 'unnamed'}")
        if not block.closed:
            self._ledger.note(Kind.MALFORMED, "uu_unclosed", child.path, detail="the end line of the block is missing")


def _looks_like_mail(part: Part) -> bool:
    """Whether an attachment of a general type is a mail by its name: clients open it as one."""
    if not part.declared_type.startswith("application/"):
        return False
    return part.filename.lower().endswith(".eml")


def _contains(part: Part, word: bytes) -> bool:
    if part.is_small:
        return word in part.content
    tail = b""
    for piece in part.stream():
        if word in tail + piece[: len(word)] or word in piece:
            return True
        tail = piece[-len(word) :]
    return False
