"""What a verdict means: the reply, what is stored, and whose copies come back. Arithmetic only."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from mailward.engine.gateway_settings import RefusedCopies
from mailward.gateway.receive import NO_SPACE
from mailward.spool.entry import Entry, Queue
from mailward.values.action import Bounce, Defer, Deliver, Forward, Hold, MessageAction, Quarantine, Reject
from mailward.values.decision import Copy, Verdict
from mailward.values.envelope import Envelope, Recipient
from mailward.values.reply import Reply

_QUEUES: dict[type[MessageAction], Queue] = {
    Deliver: Queue.FAST,
    Forward: Queue.FAST,
    Hold: Queue.HOLD,
    Quarantine: Queue.QUARANTINE,
}


@frozen
class Plan:
    """What a verdict means: the reply, what is stored, and whose copies come back.

    ``each`` are the replies by recipient, where the protocol has one for each (LMTP); a recipient that
    is not in it fares as ``reply`` says.
    """

    reply: Reply
    entries: tuple[Entry, ...] = ()
    bounced: tuple[Copy, ...] = ()
    each: tuple[tuple[Recipient, Reply], ...] = ()

    def not_stored(self) -> Plan:
        """The plan as it turns out where nothing can be stored: what was to be accepted is refused for now."""
        each = tuple((recipient, reply if reply.refuses else NO_SPACE) for recipient, reply in self.each)
        return Plan(NO_SPACE, each=each)


def plan(
    envelope: Envelope, verdict: Verdict, prefix: bytes, refused_copies: RefusedCopies, *, lmtp: bool = False
) -> Plan:
    """The plan for a verdict.

    SMTP has one reply for all recipients: 4xx where any copy is deferred (nothing is stored, the
    client keeps everything), 5xx where every copy is rejected, else 250; then copies that were
    rejected come back as a notification or are dropped, as configured. LMTP has a reply for each
    recipient (RFC 2033 section 4.2): each copy then fares by itself.
    """
    if lmtp:
        return _plan_each(envelope, verdict, prefix)
    actions = [copy.action for copy in verdict.copies]
    for action in actions:
        if isinstance(action, Defer):
            return Plan(Reply(451, "4.7.1", action.text))
    if actions and all(isinstance(action, Reject) for action in actions):
        first = actions[0]
        assert isinstance(first, Reject)
        return Plan(first.reply)
    return _plan_all(envelope, verdict, prefix, refused_copies)


def late_plan(envelope: Envelope, verdict: Verdict, prefix: bytes, refused_copies: RefusedCopies) -> Plan | None:
    """The plan for a verdict that comes after the 250; None where a copy is deferred: judge again later.

    Nobody can be refused any more: copies that are rejected come back or are dropped, as configured.
    """
    if any(isinstance(copy.action, Defer) for copy in verdict.copies):
        return None
    return _plan_all(envelope, verdict, prefix, refused_copies)


def _plan_all(envelope: Envelope, verdict: Verdict, prefix: bytes, refused_copies: RefusedCopies) -> Plan:
    entries = [_entry(envelope, copy, prefix) for copy in verdict.copies if type(copy.action) in _QUEUES]
    comes_back = (Bounce, Reject) if refused_copies is RefusedCopies.BOUNCE else (Bounce,)
    bounced = tuple(copy for copy in verdict.copies if isinstance(copy.action, comes_back))
    return Plan(accepted(envelope), tuple(_joined(entries)), bounced)


def _plan_each(envelope: Envelope, verdict: Verdict, prefix: bytes) -> Plan:
    welcome = accepted(envelope)
    each: list[tuple[Recipient, Reply]] = []
    for copy in verdict.copies:
        match copy.action:
            case Defer(text=text):
                reply = Reply(451, "4.7.1", text)
            case Reject(reply=reply):
                pass
            case _:
                reply = welcome
        each += [(recipient, reply) for recipient in copy.recipients]
    taken = [copy for copy in verdict.copies if not isinstance(copy.action, (Defer, Reject))]
    entries = [_entry(envelope, copy, prefix) for copy in taken if type(copy.action) in _QUEUES]
    bounced = tuple(copy for copy in taken if isinstance(copy.action, Bounce))
    reply = welcome if taken else next((reply for _, reply in each), welcome)
    return Plan(reply, tuple(_joined(entries)), bounced, tuple(each))


def accepted(envelope: Envelope) -> Reply:
    """The reply to a message that is accepted."""
    return Reply(250, "2.0.0", f"OK: accepted as {envelope.id}")


def _entry(envelope: Envelope, copy: Copy, prefix: bytes) -> Entry:
    recipients = copy.recipients
    if isinstance(copy.action, Forward):
        recipients = (Recipient(copy.action.to),)
    decided = copy.decided_by
    queue = _QUEUES[type(copy.action)]
    reason = f"{decided.plugin} {decided.reason}" if decided and queue is not Queue.FAST else ""
    return Entry(
        id=envelope.id,
        origin=envelope.id,
        envelope=evolve(envelope, recipients=recipients, findings=()),
        queue=queue,
        policy=copy.policy,
        prefix=prefix,
        splices=copy.splices,
        reason=reason,
        created_at=envelope.received_at,
    )


def _joined(entries: Sequence[Entry]) -> list[Entry]:
    """Copies that came out alike travel as one."""
    if len(entries) == 1:
        return list(entries)
    joined: list[Entry] = []
    for entry in entries:
        for place, other in enumerate(joined):
            if (other.queue, other.splices) == (entry.queue, entry.splices):
                recipients = tuple(dict.fromkeys(other.envelope.recipients + entry.envelope.recipients))
                joined[place] = other.left_for(recipients)
                break
        else:
            joined.append(entry)
    return joined
