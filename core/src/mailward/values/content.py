"""The bytes of a message, read in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol


class Content(Protocol):
    """The bytes of a message, CRLF line ends: as it was received, or as it is to be delivered.

    To be delivered is the trace header, then the message with its edits.
    """

    @property
    def size_bytes(self) -> int:
        """How many bytes `chunks` gives in all."""
        ...

    def chunks(self, max_bytes: int = 65536) -> AsyncIterator[bytes]:
        """The content from its beginning, in pieces of at most ``max_bytes``; may be called again."""
        ...
