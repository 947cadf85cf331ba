"""The transport ``maildir``: durable delivery into a Maildir folder."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import secrets
from pathlib import Path
from typing import Any, BinaryIO

from mailward import Clock, Content, Delivery, Recipient, Result, Status

BATCH_BYTES = 1_048_576
"""Content is handed to the writing thread in batches of this size."""

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
            await _write(file, _head(delivery, recipient), delivery.content)
        except OSError as error:
            # The path is for the log only: details reach senders in notices.
            status, detail = Status.DEFERRED, f"the mailbox cannot be written: {error.strerror or type(error).__name__}"
            self._log.error("maildir cannot be written", path=delivery.next_hop.path, error=str(error))
        elapsed_ms = round((self._clock.monotonic() - started) * 1000, 3)
        return Result(recipient, status, None, detail, str(delivery.next_hop), elapsed_ms)

    def _unique_name(self) -> str:
        seconds, fraction = divmod(self._clock.time(), 1)
        unique = f"M{int(fraction * 1e6):06d}P{os.getpid()}Q{next(self._counter)}R{secrets.token_hex(4)}"
        return f"{int(seconds)}.{unique}.{self._hostname}"


class MaildirFile:
    """One message on its way into ``new``: written in ``tmp``, synced, then moved (maildir(5))."""

    def __init__(self, folder: Path, name: str) -> None:
        self._tmp = folder / "tmp" / name
        self._new = folder / "new" / name
        self._file: BinaryIO | None = None

    def append(self, pieces: list[bytes]) -> None:
        """Write pieces; the first call makes the folders and the file."""
        if self._file is None:
            self._file = self._create()
        self._file.writelines(pieces)

    def commit(self, pieces: list[bytes]) -> None:
        """Write the last pieces and make the message appear; when this returns, it is on disk."""
        self.append(pieces)
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._tmp.rename(self._new)
        _sync_folder(self._new.parent)

    def discard(self) -> None:
        """Take back what was not committed."""
        if self._file is not None:
            # On a full disk closing fails too, having closed; what counts is that the file goes.
            with contextlib.suppress(OSError):
                self._file.close()
            self._tmp.unlink(missing_ok=True)

    def _create(self) -> BinaryIO:
        root = self._tmp.parent.parent
        if not self._new.parent.is_dir():
            for name in ("tmp", "new", "cur"):
                (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync_folder(root)
            _sync_folder(root.parent)
        return os.fdopen(os.open(self._tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


async def _write(file: MaildirFile, head: bytes, content: Content) -> None:
    batch, waiting = [head], 0
    committed = False
    try:
        async for piece in content.chunks():
            batch.append(piece)
            waiting += len(piece)
            if waiting >= BATCH_BYTES:
                await asyncio.to_thread(file.append, batch)
                batch, waiting = [], 0
        await asyncio.to_thread(file.commit, batch)
        committed = True
    finally:
        if not committed:
            await asyncio.to_thread(file.discard)


def _head(delivery: Delivery, recipient: Recipient) -> bytes:
    """Return-Path (RFC 5321 section 4.4) and Delivered-To, at the top."""
    sender, receiver = (_CONTROL.sub("", str(address)) for address in (delivery.sender.address, recipient.address))
    return f"Return-Path: <{sender}>\r\nDelivered-To: {receiver}\r\n".encode(errors="replace")


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
