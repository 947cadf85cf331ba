"""One message, one attempt, and what it means on disk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from attrs import define, evolve, field, frozen

from mailward.delivery.ages import Ages
from mailward.delivery.attempt import Attempt, Router
from mailward.delivery.bounce import Bouncer
from mailward.delivery.fields import Action, Fate
from mailward.delivery.outcome import Settled, put_off, queued, settle, without_delivered
from mailward.delivery.retry import Retry
from mailward.delivery.wishes import Notice
from mailward.engine.delivery_settings import DeliverySettings
from mailward.hooks.clock import Clock
from mailward.hooks.log import get_logger
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry
from mailward.spool.folders import Vanished
from mailward.spool.spool import Spool
from mailward.values.content import Content
from mailward.values.delivery import Result, Status
from mailward.values.envelope import MessageInfo
from mailward.values.errors import SpoolError
from mailward.values.event import Delivered, Event

_log = get_logger("mailward.delivery")
_DISK_FIRST_S = 0.5
_DISK_MAX_S = 30.0


@frozen
class Carried:
    """What came of an attempt: ``waiting`` is the entry in the slow queue, ``notices`` notifications to deliver.

    ``results`` are those of all recipients; ``reached`` and ``unreachable`` name next hops.
    """

    results: tuple[Result, ...]
    waiting: Entry | None
    notices: tuple[Entry, ...]
    reached: frozenset[str]
    unreachable: frozenset[str]


def _hops(results: tuple[Result, ...], status: Status) -> frozenset[str]:
    return frozenset([result.next_hop for result in results if result.status is status and result.next_hop])


@define(eq=False)
class _Progress:
    """Writes down what is delivered while other recipients of the message are still under way."""

    entry: Entry
    update: Callable[[Entry], Awaitable[None]]
    lock: asyncio.Lock = field(factory=asyncio.Lock)

    async def note(self, results: tuple[Result, ...]) -> None:
        async with self.lock:
            left = without_delivered(self.entry, results)
            if left is not self.entry and left.envelope.recipients:
                self.entry = left
                await self.update(left)


@frozen(eq=False)
class Carrier:
    """Carries messages to their next hops, one attempt at a time, and writes down what happened."""

    spool: Spool
    committer: Committer
    router: Router
    settings: DeliverySettings
    bouncer: Bouncer
    clock: Clock
    ages: Ages
    emit: Callable[[Event], None]
    limit: asyncio.Semaphore

    async def carry(self, entry: Entry) -> Carried:
        """Attempt a message once. Raises Vanished where its file is gone, SpoolError where it cannot be read."""
        content = self.spool.content(entry)
        message = MessageInfo(entry.id, entry.envelope, content.size_bytes, content.head(), entry.attempts, content)
        progress = _Progress(entry, self._update)
        results = await Attempt(self.router, message, content, self.limit, progress.note).run()
        retry, now, jitter = Retry.of(self.settings), self.clock.time(), random.uniform(-1.0, 1.0)
        entry = self.ages.in_time(entry)
        settled = settle(entry, results, retry, now, jitter)
        notices: list[Entry | None] = []
        if settled.failed:
            try:
                notices.append(await self._bounce(entry, content, settled.failed))
            except SpoolError as error:
                # Their sender has not been told: they stay in the queue until that can be done.
                _log.error("notification not written", id=entry.id, problem=str(error))
                left = tuple(result for result in results if result.status is not Status.DELIVERED)
                settled = Settled(put_off(entry, left, retry, now, jitter), ())
        if not entry.envelope.sender.address.is_null:
            notices.append(await self._tell_success(entry, content, results))
            delay = await self._tell_delay(entry, content, settled, results)
            if delay is not None and settled.entry is not None:
                notices.append(delay)
                settled = Settled(evolve(settled.entry, warned=True), settled.failed)
        await self._write_down(entry, settled, results)
        attempts = entry.attempts + 1
        told = Delivered(
            message_id=entry.id, results=results, queue=entry.queue, attempts=attempts, origin=entry.came_as
        )
        self.emit(told)
        if settled.entry is not None:
            self.emit(queued(settled.entry))
        reached, unreachable = _hops(results, Status.DELIVERED), _hops(results, Status.UNREACHABLE)
        made = tuple(notice for notice in notices if notice is not None)
        return Carried(results, settled.entry, made, reached, unreachable)

    async def _bounce(self, entry: Entry, content: Content, failed: tuple[Result, ...]) -> Entry | None:
        reason = next((str(one.reply) for one in failed if one.reply is not None), "not delivered in time")
        return await self.bouncer.bounce(entry.envelope, failed, content, message_id=entry.id, reason=reason)

    async def _tell_success(self, entry: Entry, content: Content, results: tuple[Result, ...]) -> Entry | None:
        """Tell of deliveries that nobody after us will report (RFC 3461 section 5.2.7)."""
        now = self.clock.time()
        fates = [
            Fate(Action.DELIVERED if one.final else Action.RELAYED, one, now)
            for one in results
            if one.status is Status.DELIVERED and (one.final or (one.relayed and self.settings.dsn_on_relaying))
        ]
        return await self._tell(Notice.SUCCESS, entry, content, fates) if fates else None

    async def _tell_delay(
        self, entry: Entry, content: Content, settled: Settled, results: tuple[Result, ...]
    ) -> Entry | None:
        """Tell once that attempts go on (SMS-FLOW-03)."""
        now = self.clock.time()
        after = settled.entry
        if after is None or after.warned or not self.settings.delay_notice:
            return None
        if now < entry.created_at + self.settings.delay_notice_after_s:
            return None
        until = entry.created_at + self.settings.lifetime_s
        left = set(after.envelope.recipients)
        fates = [Fate(Action.DELAYED, one, now, until) for one in results if one.recipient in left]
        return await self._tell(Notice.DELAY, entry, content, fates)

    async def _tell(self, kind: Notice, entry: Entry, content: Content, fates: list[Fate]) -> Entry | None:
        try:
            return await self.bouncer.tell(kind, entry.envelope, fates, content, entry.id)
        except SpoolError as error:
            # Good to know and no more: the message itself goes its way.
            _log.error("notification not written", id=entry.id, kind=kind.lower(), problem=str(error))
            return None

    async def _write_down(self, entry: Entry, settled: Settled, results: tuple[Result, ...]) -> None:
        after = settled.entry
        try:
            if after is None:
                await self._insist(entry.id, lambda: self.committer.remove(entry))
            elif any(result.status is Status.DELIVERED for result in results) or settled.failed:
                await self._insist(entry.id, lambda: self.committer.update(after, source=entry.queue))
            else:
                await self.committer.update(after, source=entry.queue)
        except Vanished:
            _log.warning("queue file went away during delivery", id=entry.id)
        except SpoolError as error:
            # Nobody got a copy, so nothing is repeated by going on with the state in memory.
            _log.error("state not written", id=entry.id, problem=str(error))

    async def _update(self, entry: Entry) -> None:
        await self._insist(entry.id, lambda: self.committer.update(entry))

    async def _insist(self, message_id: str, step: Callable[[], Awaitable[object]]) -> None:
        """Write until the disk takes it: what was delivered must not be delivered again."""
        wait_s = _DISK_FIRST_S
        while True:
            try:
                await step()
                return
            except Vanished:
                raise
            except SpoolError as error:
                _log.error("state not written, trying again", id=message_id, problem=str(error), wait_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _DISK_MAX_S)
