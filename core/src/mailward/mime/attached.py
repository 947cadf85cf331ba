"""Attachments that are mails or encoded files by their name: clients and other programs open them as such."""

from __future__ import annotations

import re

from mailward.mime.magic import HEAD_BYTES, detect
from mailward.mime.part import Part

_MAIL = ".eml"
_WEB_ARCHIVES = (".mht", ".mhtml", ".nws", ".mim", ".mime")
_ENCODED_NAMES = (".uu", ".uue")
_ENCODED_TYPES = frozenset(("application/x-uuencode", "application/x-uue", "application/uuencode", "application/uue"))
_FIRST_FIELD = re.compile(rb"(?:\xef\xbb\xbf)?\s*+[!-9;-~]++[ \t]*+:")


def looks_like_mail(part: Part) -> bool:
    """Whether an attachment of another type is a mail or a web archive by its name, and by how it begins."""
    if not _may_be_named(part):
        return False
    if part.declared_type.startswith("application/") and part.is_named(_MAIL):
        return True
    if not part.is_named((_MAIL, *_WEB_ARCHIVES)):
        return False
    head = part.head(HEAD_BYTES)
    return _FIRST_FIELD.match(head) is not None or detect(head) == "message/rfc822"


def member_is_mail(member: Part) -> bool:
    """Whether a member of a container is a mail or a web archive, by its content, or by its name and how it begins."""
    if member.is_named(_MAIL) or member.detected_type == "message/rfc822":
        return True
    return member.is_named(_WEB_ARCHIVES) and _FIRST_FIELD.match(member.head(HEAD_BYTES)) is not None


def may_hold_blocks(part: Part) -> bool:
    """Whether uuencode blocks are looked for: in texts, in what holds no parts after all, in files named so."""
    kind = part.declared_type
    if kind.startswith(("text/", "multipart/")) or kind in _ENCODED_TYPES:
        return True
    return _may_be_named(part) and part.is_named(_ENCODED_NAMES)


def _may_be_named(part: Part) -> bool:
    """A quick look: names are read of attachments only, not of every text."""
    if part.declared_type.startswith("application/") or "content-disposition" in part.headers:
        return True
    return any("name" in item.name for item in part.parameters.items)


def contains(part: Part, word: bytes) -> bool:
    """Whether the decoded content of a part holds a word."""
    if part.is_small:
        return word in part.content
    tail = b""
    for piece in part.stream():
        if word in tail + piece[: len(word)] or word in piece:
            return True
        tail = piece[-len(word) :]
    return False
