"""What the queue knows of one message."""

from __future__ import annotations

from enum import StrEnum

from attrs import evolve, field, frozen

from mailward.values.edit import Splice
from mailward.values.envelope import Envelope, Recipient
from mailward.values.reply import Reply


class Queue(StrEnum):
    """The folders a message can be in; the folder, not the record, says where it is.

    ``incoming`` was accepted and is not yet scanned.
    """

    INCOMING = "incoming"
    FAST = "fast"
    SLOW = "slow"
    HOLD = "hold"
    QUARANTINE = "quarantine"


@frozen
class Failure:
    """Why the last attempt did not deliver to one recipient.

    ``recipient`` is the address as text; ``detail`` is for the operator, never for the sender;
    ``at`` is Unix seconds.
    """

    recipient: str
    reply: Reply | None = None
    detail: str = ""
    next_hop: str = ""
    at: float = 0.0


@frozen
class Entry:
    """One queued copy of a message. Times are Unix seconds.

    Fixed once committed: ``id``, ``origin`` (id of the message this is a copy of), ``policy``,
    ``size_bytes`` (the body as received), ``prefix`` (put in front: trace header), ``splices``, and
    the envelope but for its recipients.

    State: the envelope's recipients (those still to be delivered), ``reason`` (why held or slow),
    ``created_at`` (start of its life in the queue; a release starts it anew), ``attempts``,
    ``retry_at``, ``started`` (raised before risky work, cleared after: the count of crashes),
    ``results`` (the last failure of each recipient left), ``warned`` (the sender knows of the delay),
    ``amended`` (the verdict came after the body was stored: states carry ``origin``, ``policy``, ``prefix``
    and ``splices`` too).
    """

    id: str
    envelope: Envelope = field(factory=Envelope)
    origin: str = ""
    queue: Queue = Queue.FAST
    policy: str = ""
    size_bytes: int = 0
    prefix: bytes = b""
    splices: tuple[Splice, ...] = ()
    reason: str = ""
    created_at: float = 0.0
    attempts: int = 0
    retry_at: float = 0.0
    started: int = 0
    results: tuple[Failure, ...] = ()
    warned: bool = False
    amended: bool = False

    @property
    def came_as(self) -> str:
        """The id of the message that this is a copy of, or a notification about; empty where it is that message."""
        return self.origin if self.origin != self.id else ""

    def left_for(self, recipients: tuple[Recipient, ...]) -> Entry:
        """The same entry with only these recipients still to be delivered."""
        return evolve(self, envelope=self.envelope.only(recipients))

    def with_started(self, started: int) -> Entry:
        """The same entry with another count of work that was started and not ended."""
        return evolve(self, started=started)
