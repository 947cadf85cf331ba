"""Edits: changes of a message, said by part path; `mailward.mime.edit` turns them into splices."""

from __future__ import annotations

from attrs import frozen

from mailward.values.action import Action, Delete, Placeholder, Repair, Tag


@frozen
class Edit:
    """Base of all edits."""


@frozen
class DeletePart(Edit):
    """Take the part at ``path`` out (SAV-AV-06).

    A member of a container gives way to a text file ``DELETEDn.TXT``, n counting those of the container;
    where the container cannot be written again, the container goes.
    """

    path: str


@frozen
class ReplacePart(Edit):
    """Put a text/plain part, or in a container a file, with ``text`` in the place of the part at ``path``."""

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
class ChangeHeader(Edit):
    """Give the first header field of this name another value and remove the others; added where there is none."""

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
class AppendText(Edit):
    """Put ``text`` at the end of what the message shows, in every form it is shown in: a disclaimer.

    ``html`` is for HTML bodies; where it is empty they get ``text``. Signed, encrypted and attached parts
    stay as they are; where nothing can take the text, it becomes a part of its own.
    """

    text: str
    html: str = ""


EDITS: tuple[type[Edit], ...] = (
    DeletePart,
    ReplacePart,
    ReplaceContent,
    AddHeader,
    ChangeHeader,
    RemoveHeader,
    PrefixSubject,
    AppendText,
)
"""All kinds of edits."""


@frozen
class Splice:
    """Bytes ``start:end`` of the original message are replaced by ``data`` (start == end: inserted)."""

    start: int
    end: int
    data: bytes


def edits_of(action: Action, part: str) -> tuple[Edit, ...]:
    """The edits that carry out ``action`` on the part of this path (empty: the whole message).

    Repairs need new content (`ReplaceContent`); without it the part goes. Actions on the message, and
    taking out a whole one, are no edits.
    """
    match action:
        case Delete() | Repair() if part:
            return (DeletePart(part),)
        case Placeholder(text=text) if part or text:
            return (ReplacePart(part, text),)
        case Tag(subject=subject, headers=headers):
            prefix: tuple[Edit, ...] = (PrefixSubject(subject),) if subject else ()
            return prefix + tuple(AddHeader(name, value) for name, value in headers)
        case _:
            return ()
