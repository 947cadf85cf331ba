"""From content received to the reply: data hook, scan, commit. Nothing here speaks SMTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from time import monotonic

from attrs import evolve, frozen

from mailward.delivery.runner import Runner
from mailward.engine.engine import Engine
from mailward.engine.gate import Ruling
from mailward.engine.gateway_settings import RefusedCopies
from mailward.gateway.receive import NO_SPACE
from mailward.gateway.trace import received
from mailward.scan import codes
from mailward.scan.pool import Pool
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.incoming import Incoming
from mailward.values.action import Bounce, Defer, Deliver, Forward, Hold, MessageAction, Quarantine, Reject
from mailward.values.decision import Copy, Verdict
from mailward.values.delivery import Result, Status
from mailward.values.envelope import Envelope, MessageInfo, Recipient
from mailward.values.errors import ScanError, SpoolError
from mailward.values.event import Judged, Refused
from mailward.values.reply import BUSY, LOCAL_ERROR, TIMED_OUT, Reply

_RECEIVED = re.compile(rb"^received:", re.IGNORECASE | re.MULTILINE)
TOO_MANY_HOPS = Reply(554, "5.4.6", "Too many hops; this message is in a loop")

_WITHOUT_VERDICT = {codes.DEADLINE: TIMED_OUT, codes.BUSY: BUSY, codes.CONNECT: BUSY}
"""Replies where the scan gave no verdict, by reason; all others are `LOCAL_ERROR`."""

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
    entries = [_entry(envelope, copy, prefix) for copy in verdict.copies if type(copy.action) in _QUEUES]
    comes_back = (Bounce, Reject) if refused_copies is RefusedCopies.BOUNCE else (Bounce,)
    bounced = tuple(copy for copy in verdict.copies if isinstance(copy.action, comes_back))
    return Plan(_accepted(envelope), tuple(_joined(entries)), bounced)


def _plan_each(envelope: Envelope, verdict: Verdict, prefix: bytes) -> Plan:
    accepted = _accepted(envelope)
    each: list[tuple[Recipient, Reply]] = []
    for copy in verdict.copies:
        match copy.action:
            case Defer(text=text):
                reply = Reply(451, "4.7.1", text)
            case Reject(reply=reply):
                pass
            case _:
                reply = accepted
        each += [(recipient, reply) for recipient in copy.recipients]
    taken = [copy for copy in verdict.copies if not isinstance(copy.action, (Defer, Reject))]
    entries = [_entry(envelope, copy, prefix) for copy in taken if type(copy.action) in _QUEUES]
    bounced = tuple(copy for copy in taken if isinstance(copy.action, Bounce))
    reply = accepted if taken else next((reply for _, reply in each), accepted)
    return Plan(reply, tuple(_joined(entries)), bounced, tuple(each))


def _accepted(envelope: Envelope) -> Reply:
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


class Acceptance:
    """Takes messages that have arrived whole to their reply."""

    def __init__(self, engine: Engine, pool: Pool, committer: Committer, runner: Runner) -> None:
        self._engine = engine
        self._pool = pool
        self._committer = committer
        self._runner = runner
        self._settings = engine.config.core.gateway

    async def accept(self, envelope: Envelope, incoming: Incoming, receive_ms: float, *, lmtp: bool = False) -> Plan:
        """The plan that was carried out: its replies are those to end of data. A 2xx means that everything
        accepted is on disk.

        ``incoming`` is used up. Where the caller is cancelled (the client left) before the commit
        began, nothing is kept; a commit that has begun is finished and delivered.
        """
        try:
            ruling = await self._before_scan(envelope, incoming)
            if ruling.reply is not None:
                self._refused(envelope, ruling.reply, ruling.plugin, ruling.rule)
                return Plan(ruling.reply)
            if ruling.findings:
                envelope = evolve(envelope, findings=envelope.findings + ruling.findings)
            return await self._judge(envelope, incoming, receive_ms, lmtp)
        finally:
            incoming.discard()

    async def _before_scan(self, envelope: Envelope, incoming: Incoming) -> Ruling:
        head = incoming.head
        if len(_RECEIVED.findall(head)) > self._settings.max_hops:
            return Ruling(TOO_MANY_HOPS, "core", "max_hops")
        message = MessageInfo(envelope.id, envelope, incoming.size, head, content=incoming.content())
        return await self._engine.gate.data(envelope.session, message)

    async def _judge(self, envelope: Envelope, incoming: Incoming, receive_ms: float, lmtp: bool) -> Plan:
        started = monotonic()
        whole = incoming.whole
        try:
            path = None if whole is not None else incoming.flush()
            verdict = await self._pool.judge(envelope, incoming.size, whole, path)
        except ScanError as error:
            reply = _WITHOUT_VERDICT.get(error.reason, LOCAL_ERROR)
            self._refused(envelope, reply, "core", f"scan {error.reason}, code {codes.code(error.reason)}")
            return Plan(reply)
        except SpoolError:
            self._refused(envelope, NO_SPACE, "core", "spool")
            return Plan(NO_SPACE)
        self._engine.report(verdict)
        scanned = monotonic()
        prefix = received(envelope, self._engine.hostname) if self._settings.trace else b""
        planned = plan(envelope, verdict, prefix, self._settings.refused_copies, lmtp=lmtp)
        planned = await asyncio.shield(self._carry_out(envelope, incoming, planned))
        self._engine.emit(
            Judged(
                envelope=envelope,
                verdict=verdict,
                reply=planned.reply,
                size_bytes=incoming.size,
                receive_ms=round(receive_ms, 3),
                scan_ms=round((scanned - started) * 1000, 3),
                commit_ms=round((monotonic() - scanned) * 1000, 3),
            )
        )
        return planned

    async def _carry_out(self, envelope: Envelope, incoming: Incoming, planned: Plan) -> Plan:
        if planned.reply.refuses:
            return planned
        try:
            for copy in planned.bounced:
                await self._bounce(envelope, incoming, copy)
            if planned.entries:
                self._runner.submit(await self._committer.commit(incoming, planned.entries))
        except SpoolError:
            return planned.not_stored()
        return planned

    async def _bounce(self, envelope: Envelope, incoming: Incoming, copy: Copy) -> None:
        action = copy.action
        reply = action.reply if isinstance(action, Reject) else Reply(550, "5.7.1", getattr(action, "text", ""))
        failures = [Result(recipient, Status.FAILED, reply, next_hop="") for recipient in copy.recipients]
        await self._runner.bounce(envelope, failures, incoming.head, reason=reply.text)

    def _refused(self, envelope: Envelope, reply: Reply, plugin: str, rule: str) -> None:
        self._engine.emit(
            Refused(
                session=envelope.session,
                stage="data",
                reply=reply,
                plugin=plugin,
                rule=rule,
                sender=str(envelope.sender.address),
                recipient=", ".join(str(r.address) for r in envelope.recipients[:3]),
            )
        )
