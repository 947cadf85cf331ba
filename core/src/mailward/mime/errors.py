"""Exceptions of the mime package.

MimeError
├── LimitExceeded   content was asked for beyond the limits
├── MemberError     a container reader could not go on
└── EditError       an edit cannot be carried out on this message
"""

from __future__ import annotations


class MimeError(Exception):
    """Base of every exception that this package raises on its own account."""


class LimitExceeded(MimeError):
    """Content was asked for in one piece although it is larger than `Limits.max_part_bytes`."""


class MemberError(MimeError):
    """What the chunks of a `Member`, or the reader itself, raise when the container cannot be read on."""


class EditError(MimeError):
    """An edit cannot be carried out; the message names the edit and says why."""
