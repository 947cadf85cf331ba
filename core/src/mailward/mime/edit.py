"""Edits turned into splices: which bytes of the raw message change, and into what.

An edit names a part. Where that part lies inside an archive or encoded content, what is around it is
written again; where that cannot be, the edit climbs to the nearest part for which it can.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailward.mime.carrier import carried
from mailward.mime.change import Change
from mailward.mime.compose import header_field, one_line
from mailward.mime.disclaimer import append_text, joined
from mailward.mime.errors import EditError
from mailward.mime.layer import Layer
from mailward.mime.message import Message
from mailward.mime.part import Part, PartKind
from mailward.mime.rewrite import leading
from mailward.mime.source import Source
from mailward.values.edit import (
    AddHeader,
    AppendText,
    ChangeHeader,
    DeletePart,
    Edit,
    PrefixSubject,
    RemoveHeader,
    ReplaceContent,
    ReplacePart,
    Splice,
)

_FIELD_NAME = re.compile(r"[!-9;-~]{1,200}")


def resolve(message: Message, edits: Sequence[Edit]) -> tuple[Splice, ...]:
    """The splices that carry out ``edits``, sorted by start and not overlapping.

    Edits of one part collapse: replacing wins over deleting, deleting over new content; the texts of
    several replacements are joined. Edits inside a part that is deleted or replaced have nothing
    left to do. Raises EditError naming the edit that cannot be carried out, and why.
    """
    plan = _Plan(message)
    for edit in edits:
        plan.add(edit)
    return tuple(plan.splices())


class _Plan:
    """All edits of one message, collapsed part by part."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._line_end = message.line_end
        self._changes: dict[Part, Change] = {}
        self._added: list[bytes] = []
        self._appended: list[AppendText] = []
        self._removed: list[str] = []
        self._changed: dict[str, tuple[str, str]] = {}
        self._prefixes: list[str] = []

    def add(self, edit: Edit) -> None:
        """Take one edit in; raises EditError."""
        match edit:
            case DeletePart(path):
                self._change(edit, self._editable(edit, path), Change(delete=True))
            case ReplacePart(path, text, filename):
                self._change(edit, self._editable(edit, path), Change((text,), filename))
            case ReplaceContent(content=content):
                self._new_content(edit, content)
            case AddHeader(name, value):
                self._added.append(header_field(self._checked(edit, name), value, self._line_end))
            case ChangeHeader(name, value):
                self._changed[self._checked(edit, name).lower()] = name, value
            case RemoveHeader(name):
                self._removed.append(name)
            case AppendText(text):
                if text.strip():
                    self._appended.append(edit)
            case PrefixSubject(text):
                clean = one_line(text).strip()
                if clean and clean not in self._prefixes:
                    self._prefixes.append(clean)
            case _:
                raise EditError(f"{edit!r} is not an edit that can be carried out")

    def splices(self) -> list[Splice]:
        """The splices of everything taken in, sorted."""
        try:
            changes = carried(self._changes)
        except EditError as error:
            raise EditError(f"ReplaceContent: {error}") from error
        layer = Layer(self._line_end, changes)
        if self._appended:
            append_text(layer, changes, self._message.root, joined(self._appended), self._line_end)
        self._header(layer)
        return layer.splices()

    def _header(self, layer: Layer) -> None:
        """Changes of the message's own header: fields removed, changed, added, then the subject prefixed."""
        if not (self._removed or self._changed or self._added or self._prefixes):
            return
        root = layer.rewrite(self._message.root)
        root.remove(*self._removed)
        if "subject" in self._changed:
            name, value = self._changed["subject"]
            missing = [text for text in self._prefixes if text not in leading(value, self._prefixes)]
            self._changed["subject"] = name, " ".join((*reversed(missing), value))
        for name, value in self._changed.values():
            root.change(name, header_field(name, value, self._line_end))
        for field in self._added:
            root.add_on_top(field)
        if self._prefixes and "subject" not in self._changed:
            if root.has("subject"):
                layer.more += root.prefix("subject", self._prefixes)
            else:
                root.add_on_top(header_field("Subject", " ".join(reversed(self._prefixes)), self._line_end))

    def _part(self, edit: Edit, path: str) -> Part:
        if not path:
            return self._message.root
        try:
            return self._message.part(path)
        except KeyError as error:
            raise EditError(f"{type(edit).__name__}: {error.args[0]}") from error

    def _editable(self, edit: Edit, path: str) -> Part:
        """The part itself, or around a mail without a byte the part that it lies in."""
        part = self._part(edit, path)
        while part.parent is not None and _is_empty_mail(part):
            part = part.parent
        return part

    @staticmethod
    def _checked(edit: Edit, name: str) -> str:
        if not _FIELD_NAME.fullmatch(name):
            raise EditError(
                f"{type(edit).__name__}: {name[:80]!r} is not the name of a header field (RFC 5322 section 2.2)"
            )
        return name

    def _change(self, edit: Edit, part: Part, change: Change) -> None:
        try:
            self._changes[part] = self._changes[part].joined(change) if part in self._changes else change
        except EditError as error:
            raise EditError(f"{type(edit).__name__}: part {part.path!r} is given {error}") from error

    def _new_content(self, edit: ReplaceContent, content: bytes) -> None:
        part = self._part(edit, edit.path)
        if part.kind in (PartKind.MULTIPART, PartKind.MESSAGE):
            raise EditError(
                f"ReplaceContent: part {edit.path!r} cannot be rewritten: it is no leaf; delete or replace it"
            )
        self._change(edit, part, Change(content=Source(content, 0, len(content))))


def _is_empty_mail(part: Part) -> bool:
    above = part.parent
    return (
        above is not None
        and above.division is None
        and part.kind is not PartKind.MEMBER
        and part.place.start == part.place.end
    )
