"""Putting delivery status notifications in the queue."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from attrs import frozen

from mailward.delivery.dsn import Report, notification
from mailward.delivery.fields import Action, Fate
from mailward.delivery.wishes import Notice, wants_all, wants_notice
from mailward.engine.delivery_settings import DeliverySettings
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry
from mailward.spool.incoming import IN_MEMORY_BYTES, Incoming, cut_head
from mailward.spool.spool import Spool
from mailward.values.address import NULL, Address
from mailward.values.content import Content
from mailward.values.delivery import Result
from mailward.values.envelope import Envelope, Recipient, Sender, Session
from mailward.values.event import Bounced, Event, Notified


async def _head_of(content: Content) -> bytes:
    start = b""
    async for chunk in content.chunks():
        start += chunk
        if len(start) >= IN_MEMORY_BYTES or b"\r\n\r\n" in start:
            break
    return cut_head(start)


@frozen
class Bouncer:
    """Writes notifications and commits them; the caller submits what comes back."""

    spool: Spool
    committer: Committer
    hostname: str
    settings: DeliverySettings
    emit: Callable[[Event], None]
    postmaster: Address = NULL

    async def bounce(
        self,
        envelope: Envelope,
        failures: Sequence[Result],
        original: Content | bytes,
        *,
        message_id: str = "",
        reason: str = "",
    ) -> Entry | None:
        """Commit a notification of failure to the envelope's sender; None where none is due (null sender, NOTIFY).

        ``original`` as bytes is the header block; as `Content` the whole message, of which only the
        header is returned unless sender or setting ask for all. ``message_id`` is the id of the copy that
        failed, where it is not the envelope's. Raises SpoolError: nothing is queued.
        """
        now = self.spool.clock.time()
        fates = [Fate(Action.FAILED, failure, now) for failure in failures]
        entry = await self.notify(Notice.FAILURE, envelope, fates, original, reason)
        self.emit(
            Bounced(
                message_id=message_id or envelope.id,
                to=str(envelope.sender.address),
                recipients=tuple(str(failure.recipient.address) for failure in failures),
                reason=reason,
                notification_id=entry.id if entry is not None else "",
                origin=envelope.id if message_id not in ("", envelope.id) else "",
            )
        )
        return entry

    async def tell(
        self, kind: Notice, envelope: Envelope, fates: Sequence[Fate], original: Content, message_id: str
    ) -> Entry | None:
        """Commit a notification of delay or success; None where none is due. Raises SpoolError."""
        entry = await self.notify(kind, envelope, fates, original)
        if entry is not None:
            self.emit(
                Notified(
                    message_id=message_id,
                    kind=kind.lower(),
                    to=str(envelope.sender.address),
                    recipients=tuple(str(fate.recipient.address) for fate in fates),
                    notification_id=entry.id,
                    origin=envelope.id if message_id != envelope.id else "",
                )
            )
        return entry

    async def notify(
        self, kind: Notice, envelope: Envelope, fates: Sequence[Fate], original: Content | bytes, reason: str = ""
    ) -> Entry | None:
        """Commit a notification about those recipients whose fate the sender wants to know. Raises SpoolError."""
        told = tuple(fate for fate in fates if wants_notice(envelope, fate.recipient, kind))
        if not told:
            return None
        now = self.spool.clock.time()
        report = Report(kind, self.hostname, envelope, told, now, reason, self.settings.dsn_template, self.postmaster)
        # Only of a failure the whole may come back: the sender of any other still has it.
        may_return = kind is Notice.FAILURE and not isinstance(original, bytes)
        whole = may_return and wants_all(envelope, self.settings.return_full)
        notice_id = self.spool.new_id()
        made = notification(notice_id, report, f"=_{secrets.token_hex(16)}", whole)
        incoming = self.spool.begin(notice_id)
        try:
            incoming.write(made.before)
            await self._write_original(incoming, original, whole)
            incoming.write(made.after)
            parameters = (("BODY", "8BITMIME"), ("SMTPUTF8", "")) if made.utf8 else (("BODY", "8BITMIME"),)
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
