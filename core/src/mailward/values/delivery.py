"""Next hops, deliveries and their results."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Protocol

from attrs import frozen

from mailward.values.envelope import MessageInfo, Recipient, Sender
from mailward.values.reply import Reply


@frozen
class NextHop:
    """Where a message goes next. ``transport`` names who delivers: ``smtp``, ``maildir``, or one of a plugin's own."""

    transport: str
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{self.transport}:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}" if self.port else f"{self.transport}:{host}"


class Status(StrEnum):
    """What became of one recipient in one delivery attempt."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@frozen
class Result:
    """The outcome for one recipient; where it is `Status.UNREACHABLE` the next hop after this one is tried."""

    recipient: Recipient
    status: Status
    reply: Reply | None = None
    detail: str = ""
    next_hop: str = ""
    elapsed_ms: float = 0.0


class Content(Protocol):
    """The bytes to deliver: trace header, then the message with its edits, CRLF line ends."""

    size_bytes: int

    def chunks(self, max_bytes: int = 65536) -> AsyncIterator[bytes]:
        """The content from its beginning, in pieces of at most ``max_bytes``; may be called again."""
        ...


@frozen
class Delivery:
    """One transaction: this content from this sender to these recipients over this next hop."""

    message: MessageInfo
    sender: Sender
    recipients: tuple[Recipient, ...]
    next_hop: NextHop
    content: Content
