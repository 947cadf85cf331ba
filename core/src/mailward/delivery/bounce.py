"""Putting failure notifications in the queue."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from attrs import frozen

from mailward.delivery.dsn import failure_notice, wants_all, wants_notice
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry
from mailward.spool.incoming import IN_MEMORY_BYTES, Incoming, cut_head
from mailward.spool.spool import Spool
from mailward.values.content import Content
from mailward.values.delivery import Result
from mailward.values.envelope import Envelope, Recipient, Sender, Session
from mailward.values.event import Bounced, Event


async def _head_of(content: Content) -> bytes:
    start = b""
    async for chunk in content.chunks():
        start += chunk
        if len(start) >= IN_MEMORY_BYTES or b"\r\n\r\n" in start:
            break
    return cut_head(start)


@frozen
class Bouncer:
    """Writes failure notifications and commits them; the caller submits what comes back."""

    spool: Spool
    committer: Committer
    hostname: str
    emit: Callable[[Event], None]

    async def bounce(
        self,
        envelope: Envelope,
        failures: Sequence[Result],
        original: Content | bytes,
        *,
        message_id: str = "",
        return_full: bool = False,
        reason: str = "",
    ) -> Entry | None:
        """Commit a notification to the envelope's sender; None where none is due (null sender, NOTIFY).

        ``original`` as bytes is the header block; as `Content` the whole message, of which only the
        header is returned unless sender or setting ask for all. ``message_id`` is the id of the copy that
        failed, where it is not the envelope's. Raises SpoolError: nothing is queued.
        """
        told = [failure for failure in failures if wants_notice(envelope, failure.recipient)]
        notice_id = self.spool.new_id() if told else ""
        entry = await self._commit(notice_id, envelope, told, original, return_full, reason) if told else None
        self.emit(
            Bounced(
                message_id=message_id or envelope.id,
                to=str(envelope.sender.address),
                recipients=tuple(str(failure.recipient.address) for failure in failures),
                reason=reason,
                notification_id=notice_id,
            )
        )
        return entry

    async def _commit(
        self,
        notice_id: str,
        envelope: Envelope,
        failures: Sequence[Result],
        original: Content | bytes,
        return_full: bool,
        reason: str,
    ) -> Entry:
        now = self.spool.clock.time()
        whole = not isinstance(original, bytes) and wants_all(envelope, return_full)
        notice = failure_notice(
            notice_id,
            self.hostname,
            envelope,
            failures,
            at=now,
            boundary=f"=_{secrets.token_hex(16)}",
            whole=whole,
            reason=reason,
        )
        incoming = self.spool.begin(notice_id)
        try:
            incoming.write(notice.before)
            await self._write_original(incoming, original, whole)
            incoming.write(notice.after)
            parameters = (("BODY", "8BITMIME"), ("SMTPUTF8", "")) if notice.utf8 else (("BODY", "8BITMIME"),)
            to_sender = Envelope(
                session=Session(),
                sender=Sender(parameters=parameters),
                recipients=(Recipient(envelope.sender.address),),
                id=notice_id,
                received_at=now,
            )
            entry = Entry(notice_id, to_sender, origin=envelope.id, size_bytes=incoming.size, created_at=now)
            return (await self.committer.commit(incoming, (entry,)))[0]
        finally:
            incoming.discard()

    @staticmethod
    async def _write_original(incoming: Incoming, original: Content | bytes, whole: bool) -> None:
        if isinstance(original, bytes):
            incoming.write(cut_head(original) or original[:IN_MEMORY_BYTES])
        elif whole:
            async for chunk in original.chunks():
                incoming.write(chunk)
        else:
            incoming.write(await _head_of(original))
