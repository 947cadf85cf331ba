"""Edits: changes of a message, said by part path; `mailward.mime.edit` turns them into splices."""

from __future__ import annotations

from attrs import frozen


@frozen
class Edit:
    """Base of all edits."""


@frozen
class DeletePart(Edit):
    """Take the part at ``path`` out; where its container cannot be rewritten, the container goes."""

    path: str


@frozen
class ReplacePart(Edit):
    """Put a text/plain part with ``text`` in the place of the part at ``path``."""

    path: str
    text: str
    filename: str = ""


@frozen
class ReplaceContent(Edit):
    """Put ``content`` (decoded bytes) in the place of the content of the part at ``path``: a repair."""

    path: str
    content: bytes


@frozen
class AddHeader(Edit):
    """Add a header field at the top of the message; ``value`` is text, encoded by the core."""

    name: str
    value: str


@frozen
class RemoveHeader(Edit):
    """Remove every header field of this name from the message's own header."""

    name: str


@frozen
class PrefixSubject(Edit):
    """Put ``text`` and a space before the subject, unless it is there already."""

    text: str


@frozen
class Splice:
    """Bytes ``start:end`` of the original message are replaced by ``data`` (start == end: inserted)."""

    start: int
    end: int
    data: bytes
