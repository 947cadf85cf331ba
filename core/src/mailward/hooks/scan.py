"""What scan hooks are given beside the part or message."""

from __future__ import annotations

from typing import Any

import structlog

from mailward.mime import Message
from mailward.values.envelope import Envelope
from mailward.values.finding import Finding


class Scan:
    """The surroundings of one hook call in a scan.

    ``message`` is the tree, ``findings`` what is known so far (connection, envelope, structure, and
    in ``disposition`` everything). ``envelope`` is that of the copy being judged: reading it makes
    this call's result that copy's own, so results are shared between policies only where the
    recipients did not matter. Reading ``findings`` shares it only with copies of which as much is known.
    """

    __slots__ = ("_envelope", "_found", "envelope_read", "findings_read", "log", "message")

    def __init__(
        self, envelope: Envelope, message: Message, found: list[Finding] | None = None, log: Any = None
    ) -> None:
        self._envelope = envelope
        self._found = list(envelope.findings) if found is None else found
        self.envelope_read = False
        self.findings_read = False
        self.message = message
        self.log = log or structlog.get_logger()

    @property
    def envelope(self) -> Envelope:
        """Session, sender and the recipients of this copy."""
        self.envelope_read = True
        return self._envelope

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is known so far, in order of discovery."""
        self.findings_read = True
        return tuple(self._found)
