"""The file type rule: what a part is, by its header and by its first bytes, whatever it is called."""

from __future__ import annotations

from mailward import Part, PartKind

DEFAULT_TYPES = (
    "application/x-dosexec",
    "application/x-elf",
    "application/x-mach-binary",
    "application/x-ms-shortcut",
    "application/vnd.ms-htmlhelp",
)
"""Programs and shortcuts, as their first bytes show them."""

TYPE_TEXT = (
    "{{ filename or 'An attachment' }} was removed by {{ hostname }}: files of the type {{ mask }} are not allowed.\n"
)

UNKNOWN = "application/octet-stream"
_SNIFFED_BYTES = 1024


def types_of(part: Part) -> list[str]:
    """The types of a part: the declared one and the detected one, without repetitions.

    A declaration that says nothing (application/octet-stream) does not count beside a detected type. What has
    neither is text/plain where its first bytes hold no NUL, else application/octet-stream.
    """
    declared, detected = part.declared_type, part.detected_type
    if detected:
        return [detected] if declared in ("", UNKNOWN, detected) else [declared, detected]
    return [declared or (UNKNOWN if b"\0" in part.head(_SNIFFED_BYTES) else "text/plain")]


def is_object(part: Part) -> bool:
    """Whether a part is looked at by itself: bodies, attachments, members; not what only holds other parts."""
    return part.kind not in (PartKind.MULTIPART, PartKind.MESSAGE)


def object_types(part: Part) -> list[str]:
    """`types_of` a part that is looked at by itself; none of others."""
    return types_of(part) if is_object(part) else []
