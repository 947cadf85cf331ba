"""Where our tree and that of the standard library's ``email`` (compat32) differ, and which class of difference it is.

By hand: python tests/corpus/disagreement.py FILE...
Says [class, path of the part, detail] for each; the class is empty where none fits.
"""

from __future__ import annotations

import email
import email.message
import re
from collections.abc import Iterator
from typing import Any

from attrs import frozen
from work import Mail, serve

from mailward.mime import Message, Part, PartKind, decode_header

MIME_KINDS = (PartKind.MULTIPART, PartKind.MESSAGE, PartKind.LEAF)
BARE_CR = re.compile(rb"\r(?!\n)")
Theirs = email.message.Message


@frozen
class Difference:
    """One difference at one part; ``name`` is the section of docs/disagreements.md that explains it."""

    name: str
    path: str
    detail: str


def differences(raw: bytes) -> Iterator[Difference]:
    """Every difference between the two readings of a message, the first in each branch of the tree."""
    theirs = email.message_from_bytes(raw)
    with Message.from_bytes(raw) as message:
        for part in message.walk():
            if part.is_leaf:
                _ = part.content
        yield from _Comparison(message).parts(message.root, theirs)


def said(mail: Mail) -> Iterator[Any]:
    """The differences of one mail, for `serve`."""
    for one in differences(mail.raw):
        yield [one.name, one.path, one.detail]


class _Comparison:
    """Both readings side by side."""

    def __init__(self, message: Message) -> None:
        self._defects = {(finding.rule, finding.part) for finding in message.defects}
        self._open_end = any(rule in ("unclosed", "boundary_unused") for rule, _ in self._defects)
        self._bare_cr = BARE_CR.search(message.raw) is not None

    def parts(self, ours: Part, theirs: Theirs) -> Iterator[Difference]:
        """Compare one part with its counterpart, and what is in it."""
        if len(ours.headers) != len(theirs):
            name = "bare_cr" if self._bare_cr else "header_goes_on" if len(ours.headers) > len(theirs) else ""
            yield Difference(name, ours.path, f"{len(ours.headers)} header fields, {len(theirs)}")
            return
        yield from self._type(ours, theirs)
        yield from self._name(ours, theirs)
        children = [child for child in ours.children if child.kind in MIME_KINDS]
        others = theirs.get_payload() if theirs.is_multipart() else []
        if not children and not others:
            yield from self._content(ours, theirs)
        elif not children or not others:
            detail = f"{len(children)} parts, {len(others)} parts"
            yield Difference(self._one_sided(ours, bool(children)), ours.path, detail)
        elif ours.kind is PartKind.MESSAGE and not ours.is_identity:
            if [*self.parts(children[0], others[0])]:
                yield Difference("encoded_message", ours.path, f"a message in {ours.encoding}")
        else:
            yield from self._children(ours, children, others)

    def _type(self, ours: Part, theirs: Theirs) -> Iterator[Difference]:
        kind = theirs.get_content_type()
        if ours.declared_type != kind:
            named = str(theirs["content-type"]).strip().lower().startswith(ours.declared_type)
            yield Difference("type_then_junk" if named else "", ours.path, f"type {ours.declared_type!r}, {kind!r}")

    def _name(self, ours: Part, theirs: Theirs) -> Iterator[Difference]:
        found = theirs.get_filename("")
        if ours.filename != found:
            yield Difference(_name_class(ours, found), ours.path, f"name {ours.filename!r}, {found!r}")

    def _content(self, ours: Part, theirs: Theirs) -> Iterator[Difference]:
        found = theirs.get_payload(decode=True)
        if ours.content != found:
            detail = f"content of {len(ours.content)} bytes, {len(found)} bytes"
            yield Difference(self._content_class(ours, theirs, found), ours.path, detail)

    def _content_class(self, ours: Part, theirs: Theirs, found: bytes) -> str:
        content = ours.content
        raw = ours.place.source.copy(ours.place.body, ours.place.body_end)
        if ours.encoding != "7bit" and str(theirs["content-transfer-encoding"]).lower() != ours.encoding:
            return "encoding_then_junk"
        if ours.encoding == "base64":
            if b"".join(found.split()) == b"".join(raw.split()):
                return "base64_damaged"
            after = content.startswith(found) and self._has("base64_after_padding", ours)
            return "base64_after_padding" if after else ""
        if ours.encoding == "quoted-printable":
            same = _plain_ends(content) == _plain_ends(found)
            return "quoted_equals_at_line_end" if same else "soft_break" if re.search(rb"=[ \t\r]", raw) else ""
        if ours.declared_type.startswith("multipart/") and self._has("boundary_unused", ours) and not found.strip():
            return "only_an_end_delimiter"
        return "last_line_end" if self._open_end and content in (found + b"\n", found + b"\r\n") else ""

    def _one_sided(self, ours: Part, here: bool) -> str:
        """The class where only one of both has parts inside."""
        if here:
            if ours.kind is PartKind.MESSAGE and ours.filename.lower().endswith(".eml"):
                return "attached_eml"
            return "boundary_in_brackets" if ours.parameters.raw("boundary").startswith(b"<") else ""
        if ours.declared_type == "message/delivery-status":
            return "delivery_status_blocks"
        if ours.declared_type.startswith("message/"):
            return "other_message_types"
        if self._has("boundary_missing", ours):
            return "empty_boundary"
        return "boundary_in_brackets" if ours.parameters.raw("boundary").startswith(b"<") else ""

    def _children(self, ours: Part, children: list[Part], theirs: list[Theirs]) -> Iterator[Difference]:
        if len(children) != len(theirs):
            full = [child for child in children if child.place.end > child.place.start]
            detail = f"{len(children)} parts, {len(theirs)} parts"
            if len(full) == len(theirs):
                yield Difference("empty_parts", ours.path, detail)
                children = full
            elif self._has("parts_after_end", ours) and len(theirs) < len(children):
                yield Difference("parts_after_end", ours.path, detail)
            else:
                yield Difference("bare_cr" if self._bare_cr else "", ours.path, detail)
                return
        for one, other in zip(children, theirs, strict=False):
            yield from self.parts(one, other)

    def _has(self, rule: str, part: Part) -> bool:
        return (rule, part.path) in self._defects


def _name_class(ours: Part, found: str) -> str:
    if not found and not ours.names[0].source.startswith(("content-disposition ", "content-type ")):
        return "stand_in_name"
    if "=?" in found and ours.filename == decode_header(found.encode()):
        return "encoded_name"
    if "\ufffd" in found and not ours.filename.isascii():
        return "name_8bit"
    if found.startswith('"') and ours.filename == found.strip('"'):
        return "unclosed_quote"
    if found in [name.text for name in ours.names]:
        return "several_names"
    return "cleaned_name" if ours.filename in found.replace("\\", "/").split("/")[-1] else ""


def _plain_ends(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


if __name__ == "__main__":
    serve(said)
