"""What scan hooks are given beside the part or message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailward.hooks.log import get_logger
from mailward.mime import Message
from mailward.values.envelope import Envelope
from mailward.values.finding import Finding, Kind


class Scan:
    """The surroundings of one hook call in a scan.

    ``message`` is the tree, ``findings`` what is known so far (connection, envelope, structure, and
    in ``disposition`` everything). ``envelope`` is that of the copy being judged: reading it makes
    this call's result that copy's own, so results are shared between policies only where the
    recipients did not matter. Reading ``findings`` shares it only with copies of which as much is known,
    reading ``filtered`` with those that have the same parts filtered.
    """

    __slots__ = ("_envelope", "_found", "envelope_read", "filtered_read", "findings_read", "log", "message")

    def __init__(
        self, envelope: Envelope, message: Message, found: list[Finding] | None = None, log: Any = None
    ) -> None:
        self._envelope = envelope
        self._found = list(envelope.findings) if found is None else found
        self.envelope_read = False
        self.findings_read = False
        self.filtered_read = False
        self.message = message
        self.log = log or get_logger()

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

    @property
    def filtered(self) -> frozenset[str]:
        """Paths of the parts that a filter of the administrator took out of what is scanned (KAV-SCN-06)."""
        self.filtered_read = True
        return filtered_paths(self._found)


def filtered_paths(findings: Iterable[Finding]) -> frozenset[str]:
    """The paths that findings of a filter name; those of a plugin in shadow mode do not count."""
    return frozenset(one.part for one in findings if one.kind is Kind.FILTERED and not one.shadow)
