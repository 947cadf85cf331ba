"""Actions: the one vocabulary of what can be done with a part or a message.

Part actions (`Delete`, `Placeholder`, `Repair`) and `Tag` become edits; message actions have a
rank (`RANK`), and the highest rank that any finding or decision asks for decides the message
(specification README, decision 2; design section 4).
"""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from mailward.values.address import Address
from mailward.values.reply import REFUSED, Reply


@frozen
class Action:
    """Base of all actions. ``name`` is the word in configuration, log and documentation."""

    name: ClassVar[str] = ""

    def __str__(self) -> str:
        return self.name


@frozen
class PartAction(Action):
    """An action on the part that a finding names; the message itself is delivered."""


@frozen
class MessageAction(Action):
    """An action on the whole message (this copy of it)."""


@frozen
class Delete(PartAction):
    """Take the part out of the message."""

    name: ClassVar[str] = "delete"


@frozen
class Placeholder(PartAction):
    """Put a text part in the place of the part. ``text`` is a sandboxed template."""

    name: ClassVar[str] = "placeholder"
    text: str = ""


@frozen
class Repair(PartAction):
    """Put repaired content in the place of the part; what cannot be repaired goes to the next action."""

    name: ClassVar[str] = "repair"


@frozen
class Tag(Action):
    """Mark the message: prefix the subject, add header fields. It is delivered."""

    name: ClassVar[str] = "tag"
    subject: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@frozen
class Deliver(MessageAction):
    """Deliver unchanged; the finding is recorded (log only)."""

    name: ClassVar[str] = "deliver"


@frozen
class Forward(MessageAction):
    """Send to one other address instead of to the recipients."""

    name: ClassVar[str] = "forward"
    to: Address = field(kw_only=True)
    subject: str = ""


@frozen
class Quarantine(MessageAction):
    """Accept and keep in the quarantine; it is delivered only on release."""

    name: ClassVar[str] = "quarantine"


@frozen
class Hold(MessageAction):
    """Accept and keep in the hold queue until an operator decides."""

    name: ClassVar[str] = "hold"


@frozen
class Bounce(MessageAction):
    """Accept, then return a delivery status notification to the sender (never to a null sender)."""

    name: ClassVar[str] = "bounce"
    text: str = "Message refused by policy"


@frozen
class Drop(MessageAction):
    """Accept, then delete."""

    name: ClassVar[str] = "drop"


@frozen
class Defer(MessageAction):
    """Answer 4xx: the sender keeps the message and tries again."""

    name: ClassVar[str] = "defer"
    text: str = "Temporary local problem, try again later"


@frozen
class Reject(MessageAction):
    """Answer 5xx: the sender keeps the message and tells its author."""

    name: ClassVar[str] = "reject"
    reply: Reply = REFUSED


MESSAGE_ACTIONS: tuple[type[MessageAction], ...] = (Reject, Defer, Drop, Bounce, Hold, Quarantine, Forward, Deliver)
"""Highest rank first: of all actions asked for, the first in this table is carried out."""

PART_ACTIONS: tuple[type[Action], ...] = (Repair, Delete, Placeholder, Tag)

ACTIONS: dict[str, type[Action]] = {kind.name: kind for kind in (*MESSAGE_ACTIONS, *PART_ACTIONS)}

RANK: dict[str, int] = {kind.name: place for place, kind in enumerate(MESSAGE_ACTIONS)}
"""Name of a message action → its rank, 0 the highest."""
