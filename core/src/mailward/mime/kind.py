"""What kinds of parts there are."""

from __future__ import annotations

from enum import StrEnum


class PartKind(StrEnum):
    """What a part is: by MIME (`MULTIPART`, `MESSAGE`, `LEAF`), a container's member, or a uuencode block in a text."""

    MULTIPART = "multipart"
    MESSAGE = "message"
    LEAF = "leaf"
    MEMBER = "member"
    ENCODED = "encoded"
