"""From content received to the reply: data hook, scan, commit. Nothing here speaks SMTP."""

from __future__ import annotations

import asyncio
import re
from time import monotonic

from attrs import evolve

from mailward.delivery.runner import Runner
from mailward.engine.board import Board
from mailward.engine.engine import Engine
from mailward.engine.gate import Ruling
from mailward.engine.gateway_settings import DeliveryMode, ScanTime
from mailward.gateway.proxy import NOT_NOW, Proxy
from mailward.gateway.receive import NO_SPACE
from mailward.gateway.refusal import bounce_refused
from mailward.gateway.trace import received
from mailward.gateway.verdict_plan import Plan, accepted, plan
from mailward.scan import codes
from mailward.scan.pool import Pool
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.incoming import Incoming
from mailward.values.address import Address
from mailward.values.envelope import Envelope, MessageInfo
from mailward.values.errors import ScanError, SpoolError
from mailward.values.event import Judged, Refused, Suppressed
from mailward.values.reply import BUSY, LOCAL_ERROR, TIMED_OUT, Reply

_RECEIVED = re.compile(rb"^received:", re.IGNORECASE | re.MULTILINE)
TOO_MANY_HOPS = Reply(554, "5.4.6", "Too many hops; this message is in a loop")

_WITHOUT_VERDICT = {codes.DEADLINE: TIMED_OUT, codes.BUSY: BUSY, codes.CONNECT: BUSY}
"""Replies where the scan gave no verdict, by reason; all others are `LOCAL_ERROR`."""


class Acceptance:
    """Takes messages that have arrived whole to their reply."""

    def __init__(
        self, engine: Engine, pool: Pool, committer: Committer, runner: Runner, board: Board | None = None
    ) -> None:
        self._engine = engine
        self._board = board or Board()
        self._pool = pool
        self._committer = committer
        self._runner = runner
        self._settings = engine.config.core.gateway
        own = engine.config.core.delivery.notice_address
        self._notice_account = (Address("mailward", engine.hostname.lower()) if own.is_null else own).key
        as_proxy = self._settings.delivery is DeliveryMode.PROXY
        self._proxy = Proxy(engine, committer, runner, self._board) if as_proxy else None

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
            envelope = self._without_notice_account(envelope)
            if not envelope.recipients:
                return Plan(accepted(envelope))
            if ruling.findings:
                envelope = evolve(envelope, findings=envelope.findings + ruling.findings)
            if self._settings.scan is ScanTime.QUEUED or not self._board.now.scan:
                return await asyncio.shield(self._postpone(envelope, incoming))
            return await self._judge(envelope, incoming, receive_ms, lmtp)
        finally:
            incoming.discard()

    def _without_notice_account(self, envelope: Envelope) -> Envelope:
        """Nobody reads what is sent to the account that notices come from: it is dropped, and no loop begins."""
        own = [one for one in envelope.recipients if one.address.key == self._notice_account]
        if not own:
            return envelope
        self._engine.emit(
            Suppressed(
                message_id=envelope.id,
                sender=str(envelope.sender.address),
                recipients=tuple(str(one.address) for one in own),
            )
        )
        return envelope.only(tuple(one for one in envelope.recipients if one not in own))

    async def _postpone(self, envelope: Envelope, incoming: Incoming) -> Plan:
        """Accept the message unscanned; nothing of it goes on before its verdict."""
        if self._proxy is not None:
            self._refused(envelope, NOT_NOW, "core", "scanning is off")
            return Plan(NOT_NOW)
        entry = Entry(envelope.id, envelope, origin=envelope.id, queue=Queue.INCOMING, created_at=envelope.received_at)
        try:
            self._runner.submit(await self._committer.commit(incoming, (entry,)))
        except SpoolError:
            self._refused(envelope, NO_SPACE, "core", "spool")
            return Plan(NO_SPACE)
        return Plan(accepted(envelope))

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
        planned = await asyncio.shield(self._carry_out(envelope, incoming, planned, lmtp))
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

    async def _carry_out(self, envelope: Envelope, incoming: Incoming, planned: Plan, lmtp: bool) -> Plan:
        if planned.reply.refuses:
            return planned
        try:
            if self._proxy is not None:
                return await self._proxy.carry_out(envelope, incoming, planned, lmtp)
            if planned.bounced:
                await bounce_refused(self._runner, envelope, planned, incoming.head)
            if planned.entries:
                self._runner.submit(await self._committer.commit(incoming, planned.entries))
        except SpoolError:
            return planned.not_stored()
        return planned

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
