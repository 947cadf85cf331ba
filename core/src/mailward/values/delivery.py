"""Next hops, deliveries and their results."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from mailward.values.content import Content
from mailward.values.envelope import MessageInfo, Recipient, Sender
from mailward.values.reply import Reply


@frozen
class NextHop:
    """Where a message goes next. ``transport`` names who delivers: ``smtp``, ``maildir``, or one of a plugin's own.

    ``route`` tells next hops apart that are reached in different ways (by which credentials, with which
    protection); what it says is between the plugin that routes and the one that delivers.
    """

    transport: str
    host: str = ""
    port: int = 0
    path: str = ""
    route: str = ""

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
    """The outcome for one recipient; where it is `Status.UNREACHABLE` the next hop after this one is tried.

    Of a delivered one, ``relayed`` says that the next hop took the message and knows nothing of delivery
    status notifications, ``final`` that it lies in its mailbox: in both cases a sender who asked to be
    told of success is told by us (RFC 3461 section 5.2.7). Neither: the next hop will tell. ``untried``: no
    connection was made, because the next hop could not be reached a moment ago (KAV-QUE-02).
    """

    recipient: Recipient
    status: Status
    reply: Reply | None = None
    detail: str = ""
    next_hop: str = ""
    elapsed_ms: float = 0.0
    relayed: bool = False
    final: bool = False
    untried: bool = False


@frozen
class Delivery:
    """One transaction: this content from this sender to these recipients over this next hop."""

    message: MessageInfo
    sender: Sender
    recipients: tuple[Recipient, ...]
    next_hop: NextHop
    content: Content
