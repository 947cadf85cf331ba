"""Delivery as a proxy: the next hop's answer is ours, and nothing is spooled past it.

A 250 is given only when every recipient's copy was taken by its next hop (or was put in hold or
quarantine, which are ours). Where any recipient could not be served now the answer is 4xx: the client
keeps the message and sends it again, and who was served already gets it twice, which SMTP allows; to
say 250 would need a queue. Where some were served and others refused for good it is 250, and the
refused ones come back as a notification; where all were refused the client hears it. LMTP has a
reply for each recipient, so there nobody is served twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailward.delivery.attempt import Attempt
from mailward.delivery.runner import Runner
from mailward.engine.board import Board
from mailward.engine.engine import Engine
from mailward.gateway.refusal import bounce_refused
from mailward.gateway.verdict_plan import Plan, accepted
from mailward.spool.committer import Committer
from mailward.spool.content import QueueContent
from mailward.spool.entry import Entry, Queue
from mailward.spool.incoming import Incoming
from mailward.values.delivery import Result, Status
from mailward.values.envelope import Envelope, MessageInfo, Recipient
from mailward.values.event import Delivered
from mailward.values.reply import Reply

NOT_NOW = Reply(451, "4.3.2", "Mail is not taken at the moment, try again later")
UNREACHABLE = Reply(451, "4.4.1", "The next mail server cannot be reached, try again later")
REFUSED = Reply(550, "5.0.0", "The next mail server refuses the message")
_TEMPORARY = (Status.DEFERRED, Status.UNREACHABLE)


async def _nobody(results: tuple[Result, ...]) -> None:
    return None


class Proxy:
    """Carries out plans by delivering at once."""

    def __init__(self, engine: Engine, committer: Committer, runner: Runner, board: Board) -> None:
        self._engine = engine
        self._committer = committer
        self._runner = runner
        self._board = board
        self._limit = asyncio.Semaphore(engine.config.core.delivery.concurrency)

    async def carry_out(self, envelope: Envelope, incoming: Incoming, planned: Plan, lmtp: bool) -> Plan:
        """The plan as it turned out. Raises SpoolError where something of ours cannot be stored."""
        delivered = [entry for entry in planned.entries if entry.queue is Queue.FAST]
        kept = tuple(entry for entry in planned.entries if entry.queue is not Queue.FAST)
        if not self._board.now.delivers:
            return Plan(NOT_NOW)
        whole = incoming.whole
        path = incoming.flush()
        results: list[Result] = []
        for entry in delivered:
            content = QueueContent(path, entry.prefix, entry.splices, incoming.size, whole)
            results += await self._deliver(entry, content, incoming.head)
        if lmtp:
            outcome = _each(planned, envelope, delivered, results)
        else:
            outcome = _one(envelope, results, others=bool(kept or planned.bounced))
        failed = [result for result in results if result.status is Status.FAILED]
        if outcome.reply.refuses:
            return outcome
        if failed and not lmtp:
            await self._runner.bounce(envelope, failed, incoming.head, reason=str(failed[0].reply or ""))
        if planned.bounced:
            await bounce_refused(self._runner, envelope, planned, incoming.head)
        if kept:
            self._runner.submit(await self._committer.commit(incoming, kept))
        return outcome

    async def _deliver(self, entry: Entry, content: QueueContent, head: bytes) -> tuple[Result, ...]:
        message = MessageInfo(entry.id, entry.envelope, content.size_bytes, head, content=content)
        results = await Attempt(self._engine.gate, message, content, self._limit, _nobody).run()
        self._engine.emit(Delivered(message_id=entry.id, results=results, queue="proxy"))
        return results


def _answer(result: Result, envelope: Envelope) -> Reply:
    """The reply that a result means."""
    reply = result.reply
    if result.status is Status.DELIVERED:
        return reply if reply is not None and not reply.refuses else accepted(envelope)
    if result.status is Status.FAILED:
        return reply if reply is not None and reply.refuses and not reply.temporary else REFUSED
    return reply if reply is not None and reply.temporary else UNREACHABLE


def _one(envelope: Envelope, results: Sequence[Result], others: bool) -> Plan:
    """One reply for all; ``others`` says whether somebody is served without a next hop."""
    for result in results:
        if result.status in _TEMPORARY:
            return Plan(_answer(result, envelope))
    answers = {_answer(result, envelope) for result in results}
    if results and not others and all(result.status is Status.FAILED for result in results):
        return Plan(_answer(results[0], envelope))
    taken = len(answers) == 1 and not others
    return Plan(answers.pop() if taken else accepted(envelope))


def _each(planned: Plan, envelope: Envelope, delivered: Sequence[Entry], results: Sequence[Result]) -> Plan:
    """A reply for each recipient; those of a forwarded copy hear what became of the forward."""
    answers = {result.recipient: _answer(result, envelope) for result in results}
    replies: dict[Recipient, Reply] = dict(planned.each)
    for entry in delivered:
        first = answers[entry.envelope.recipients[0]]
        for recipient in entry.envelope.recipients if entry.envelope.recipients[0] in replies else replies:
            if not replies[recipient].refuses:
                replies[recipient] = answers.get(recipient, first)
    each = tuple(replies.items())
    good = next((reply for _, reply in each if not reply.refuses), None)
    return Plan(good or next((reply for _, reply in each), accepted(envelope)), each=each)
