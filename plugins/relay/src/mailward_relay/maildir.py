"""The transport ``maildir``: durable delivery into a Maildir folder."""

from __future__ import annotations

import itertools
import os
import re
import secrets
from pathlib import Path
from typing import Any, BinaryIO

from mailward import Clock, Delivery, Recipient, Result, Status
from mailward_relay.files import NewFile, make_folder, written

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class MaildirTransport:
    """Writes one file for each recipient; the bytes of the content stay as they are, CRLF included."""

    def __init__(self, hostname: str, clock: Clock, log: Any) -> None:
        self._hostname = hostname.replace("/", r"\057").replace(":", r"\072")
        self._clock = clock
        self._log = log
        self._counter = itertools.count()

    async def deliver(self, delivery: Delivery) -> list[Result]:
        """One result for each recipient, in their order."""
        return [await self._to_one(delivery, recipient) for recipient in delivery.recipients]

    async def _to_one(self, delivery: Delivery, recipient: Recipient) -> Result:
        started = self._clock.monotonic()
        file = MaildirFile(Path(delivery.next_hop.path), self._unique_name())
        status, detail = Status.DELIVERED, ""
        try:
            await written(file, delivery.content, _head(delivery, recipient))
        except OSError as error:
            # The path is for the log only: details reach senders in notices.
            status, detail = Status.DEFERRED, f"the mailbox cannot be written: {error.strerror or type(error).__name__}"
            self._log.error("maildir cannot be written", path=delivery.next_hop.path, error=str(error))
        elapsed_ms = round((self._clock.monotonic() - started) * 1000, 3)
        return Result(
            recipient,
            status,
            None,
            detail,
            str(delivery.next_hop),
            elapsed_ms,
            final=status is Status.DELIVERED,
        )

    def _unique_name(self) -> str:
        seconds, fraction = divmod(self._clock.time(), 1)
        unique = f"M{int(fraction * 1e6):06d}P{os.getpid()}Q{next(self._counter)}R{secrets.token_hex(4)}"
        return f"{int(seconds)}.{unique}.{self._hostname}"


class MaildirFile(NewFile):
    """One message on its way into ``new``: written in ``tmp``, synced, then moved (maildir(5))."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder / "tmp" / name, folder / "new" / name)
        self._root = folder

    def _create(self) -> BinaryIO:
        if not (self._root / "new").is_dir():
            for name in ("tmp", "new", "cur"):
                make_folder(self._root / name)
        return super()._create()


def _head(delivery: Delivery, recipient: Recipient) -> bytes:
    """Return-Path (RFC 5321 section 4.4) and Delivered-To, at the top."""
    sender, receiver = (_CONTROL.sub("", str(address)) for address in (delivery.sender.address, recipient.address))
    return f"Return-Path: <{sender}>\r\nDelivered-To: {receiver}\r\n".encode(errors="replace")
