"""Down-conversion: 8-bit content made 7-bit where a next hop offers no 8BITMIME (RFC 6152 section 3).

A pure function over the tree of a message. What is 7-bit already stays byte for byte as it came, and
header fields other than Content-Transfer-Encoding do in any case. A message that was not MIME becomes it: an
encoding counts only where MIME-Version stands (RFC 2045 section 4).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from attrs import frozen

from mailward import Message, Part, PartKind

_FIELD = "Content-Transfer-Encoding"
_VERSION = "MIME-Version"
_HEADER = "header"


class Unconvertible(ValueError):
    """The content cannot be made 7-bit without a loss; the text is for the operator."""


@frozen
class Change:
    """Bytes ``start:end`` of the message are replaced by ``data``."""

    start: int
    end: int
    data: bytes


@frozen
class Downgraded:
    """A message made 7-bit: its changes in order, and the kinds of signature that they break."""

    changes: tuple[Change, ...]
    breaks: tuple[str, ...]

    def apply(self, raw: bytes) -> bytes:
        """The message with its changes."""
        pieces: list[bytes] = []
        at = 0
        for change in self.changes:
            pieces += (raw[at : change.start], change.data)
            at = change.end
        return b"".join((*pieces, raw[at:]))


def downgrade(message: Message) -> Downgraded:
    """The changes that make every body of a message 7-bit. Raises Unconvertible.

    Text becomes quoted-printable, everything else base64; multiparts and messages around it are
    labelled 7bit. What is decoded afterwards is compared with what was decoded before.
    """
    converter = _Converter(message)
    converter.visit(message.root, inside_signed=False)
    changes = tuple(sorted(converter.changes, key=lambda change: change.start))
    breaks = sorted(converter.breaks)
    if changes and "dkim-signature" in message.headers:
        breaks.append("DKIM")
    made = Downgraded(changes, tuple(breaks))
    _check(message, made)
    return made


class _Converter:
    """Walks the main reading of a message and notes what has to change."""

    def __init__(self, message: Message) -> None:
        self._raw = message.raw
        self._line_end = message.line_end
        self._versioned: set[str] = set()
        self.changes: list[Change] = []
        self.breaks: set[str] = set()

    def visit(self, part: Part, *, inside_signed: bool) -> bool:
        """Convert what is below and in a part; whether anything was."""
        signed = part.declared_type == "multipart/signed"
        inside = inside_signed or signed
        below = [self.visit(child, inside_signed=inside) for child in _divided(part)]
        if below:
            if any(below) and part.encoding in ("8bit", "binary"):
                self._label(part, "7bit")
            if any(below) and inside:
                self.breaks.add("multipart/signed")
            return any(below)
        span = part.body_span
        if span is None or bytes(self._raw[slice(*span)]).isascii():
            return False
        text = part.declared_type.startswith("text/")
        data = _quoted_printable(part.content) if text else _base64(part.content, self._line_end)
        self.changes.append(Change(*span, data))
        self._label(part, "quoted-printable" if text else "base64")
        if inside_signed:
            self.breaks.add("multipart/signed")
        return True

    def _label(self, part: Part, encoding: str) -> None:
        field = f"{_FIELD}: {encoding}".encode() + self._line_end
        places = [header.span for header in part.headers if header.name.lower() == _FIELD.lower()]
        if part.span is None or None in places:
            raise Unconvertible(f"part {part.path or 'root'!r} does not lie open in the message")
        self._version(part)
        if not places:
            self._add(part, field)
        for number, place in enumerate(places):
            assert place is not None
            self.changes.append(Change(*place, b"" if number else field))

    def _version(self, part: Part) -> None:
        """See that the message that ``part`` is of says that it is MIME."""
        while part.parent is not None and part.parent.kind is not PartKind.MESSAGE:
            part = part.parent
        if part.path not in self._versioned and _VERSION not in part.headers:
            self._add(part, f"{_VERSION}: 1.0".encode() + self._line_end)
        self._versioned.add(part.path)

    def _add(self, part: Part, field: bytes) -> None:
        """Add a field behind those that there are: trace fields stay on top (RFC 5321 section 4.4)."""
        ends = [header.span[1] for header in part.headers if header.span is not None]
        if part.span is None:
            raise Unconvertible(f"part {part.path or 'root'!r} does not lie open in the message")
        at = max(ends, default=part.span[0])
        self.changes.append(Change(at, at, field))


def _divided(part: Part) -> list[Part]:
    """The parts that a multipart or a nested message consists of, where these lie open in the raw message."""
    if part.kind not in (PartKind.MULTIPART, PartKind.MESSAGE):
        return []
    return [child for child in part.children if child.span is not None and child.kind is not PartKind.ENCODED]


def _quoted_printable(content: bytes) -> bytes:
    return binascii.b2a_qp(content, istext=True)


def _base64(content: bytes, line_end: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", line_end)


def _check(before: Message, made: Downgraded) -> None:
    """Raise Unconvertible unless everything below the headers is 7-bit now and says what it said before."""
    with Message.from_bytes(made.apply(bytes(before.raw)), before.limits) as after:
        for start, end, what in after.spans():
            if what != _HEADER and not bytes(after.raw[start:end]).isascii():
                raise Unconvertible("there are 8-bit characters outside the parts of the message")
        olds, news = list(_leaves(before.root)), list(_leaves(after.root))
        if len(olds) != len(news) or any(_content(x) != _content(y) for x, y in zip(olds, news, strict=True)):
            raise Unconvertible("the structure of the message is damaged")


def _leaves(part: Part) -> Iterator[Part]:
    divided = _divided(part)
    if not divided:
        yield part
    for child in divided:
        yield from _leaves(child)


def _content(part: Part) -> tuple[str, bytes]:
    return part.declared_type, part.content
