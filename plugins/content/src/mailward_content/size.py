"""The message size rule (SAV-BLK-01, SMS-CONT-01)."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from mailward import Action, Message, Reject, Reply, Scan, Sender, Template
from mailward_content.rule import Hit

MIB = 1024 * 1024
TOO_LARGE = Reply(552, "5.3.4", "The message is larger than is accepted here")
SIZE_TEXT = "This message was removed by {{ hostname }}: {{ reason }}.\n"


@frozen
class Size:
    """The rule with its settings; ``max_mb`` counts in units of 1,024 times 1,024 bytes."""

    max_mb: int
    action: Action
    text: Template

    @property
    def max_bytes(self) -> int:
        """The size that is still let through."""
        return self.max_mb * MIB

    def refusal(self, size_bytes: int) -> Reply | None:
        """What the client is told while SMTP can still refuse; None where it may go on, or the action is another."""
        over = size_bytes > self.max_bytes
        return self.action.reply if over and isinstance(self.action, Reject) else None

    def announced(self, sender: Sender) -> Reply | None:
        """The same for the size that the client announced with MAIL (RFC 1870)."""
        said = sender.parameter("SIZE") or ""
        return self.refusal(int(said)) if said.isdecimal() else None

    def look(self, message: Message, scan: Scan) -> Iterator[Hit]:
        """One hit where the message is too large."""
        if message.size > self.max_bytes:
            detail = f"the message has {message.size} bytes, more than {self.max_mb} MB"
            yield Hit("size", "", f"{self.max_mb} MB", detail, self.action, self.text)
