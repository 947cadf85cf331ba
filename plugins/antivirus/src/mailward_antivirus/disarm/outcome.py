"""What came of disarming."""

from __future__ import annotations

from attrs import frozen


@frozen
class Disarmed:
    """Content without what was active in it; ``removed`` says what that was, for people."""

    content: bytes
    removed: tuple[str, ...]


class CannotDisarm(Exception):
    """The content cannot be disarmed, with the reason: damaged, encrypted, or of a form that is not understood."""
