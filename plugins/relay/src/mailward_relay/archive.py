"""Archives: a copy of every message that comes in, and of every one that goes out (KAV-ARC-01)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from mailward import Clock, Content, Delivery, Judged, MessageInfo, Result, Status
from mailward_relay.archive_settings import ArchiveSettings
from mailward_relay.files import NewFile, written

STASH = "stash"
"""Folder in the outgoing archive for what was received and is not judged yet."""

UNFINISHED = "tmp"
"""Folder for copies that are being written; one that a crash left there goes after a day."""

STASH_S = 86_400.0
SWEEP_S = 600.0
SHARES = 16
"""A sixteenth of the largest size is what an archive may grow between two sweeps, and is left free by each."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_KEPT = re.compile(r"[A-Za-z0-9._-]+\.(?:eml|json)")
_ANY = re.compile(r"[^.].*")
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_DAY_S = 86_400.0
_PASSES = ("deliver", "forward")
"""Actions after which a message goes on, so that its delivery is what is archived."""


@frozen
class _File:
    """One file of an archive."""

    path: Path
    size_bytes: int
    changed_at: float


class Folder:
    """One archive: a folder a day, in it ``ID.eml`` (the bytes) and ``ID.json`` (envelopes, one a line)."""

    def __init__(self, path: Path, settings: ArchiveSettings, clock: Clock) -> None:
        self.path = path
        self._settings = settings
        self._clock = clock
        self._grown_bytes = 0
        self._swept_at = float("-inf")
        self._sweeping = asyncio.Lock()

    def place(self, message_id: str) -> Path:
        """Where today's copy of a message goes."""
        return self.path / _day(self._clock.time()) / f"{safe_name(message_id)}.eml"

    async def store(self, message_id: str, content: Content, record: dict[str, Any]) -> Path:
        """Write a copy, durably, unless it is there already, and a line about its envelope. Raises OSError."""
        target = self.place(message_id)
        if not await asyncio.to_thread(target.exists):
            await written(NewFile(self.path / UNFINISHED / f"{target.name}.{os.getpid()}", target), content)
        await self.note(target, record, content.size_bytes)
        return target

    async def note(self, target: Path, record: dict[str, Any], size_bytes: int) -> None:
        """Add a line about an envelope to a copy, and sweep when it is time."""
        line = json.dumps(record, ensure_ascii=True) + "\n"
        await asyncio.to_thread(_append, target.with_suffix(".json"), line)
        self._grown_bytes += size_bytes + len(line)
        await self.tidy()

    async def tidy(self) -> None:
        """Sweep, if it is time to."""
        limited = self._settings.max_bytes and self._grown_bytes >= self._settings.max_bytes // SHARES
        late = self._clock.monotonic() - self._swept_at >= SWEEP_S
        if (limited or late) and not self._sweeping.locked():
            async with self._sweeping:
                self._grown_bytes, self._swept_at = 0, self._clock.monotonic()
                await asyncio.to_thread(self.sweep)

    def sweep(self) -> None:
        """Remove what is too old, then the oldest until the size is kept; files of others stay."""
        now = self._clock.time()
        for folder in (self.path / STASH, self.path / UNFINISHED):
            for file in _files(folder, _ANY) if folder.is_dir() else ():
                if now - file.changed_at > STASH_S:
                    file.path.unlink(missing_ok=True)
        kept = sorted(self._copies(), key=lambda file: (file.path.parent.name, file.changed_at, file.path.name))
        oldest = _day(now - self._settings.max_days * _DAY_S) if self._settings.max_days else ""
        total = sum(file.size_bytes for file in kept)
        most = self._settings.max_bytes - self._settings.max_bytes // SHARES
        for file in kept:
            if file.path.parent.name >= oldest and (not self._settings.max_bytes or total <= most):
                break
            file.path.unlink(missing_ok=True)
            total -= file.size_bytes
            with contextlib.suppress(OSError):
                file.path.parent.rmdir()

    def _copies(self) -> Iterator[_File]:
        days = [path for path in self.path.iterdir() if _DAY.fullmatch(path.name)] if self.path.is_dir() else []
        for day in days:
            yield from _files(day, _KEPT)


class Archive:
    """Both archives, as far as they are on; they are independent of each other."""

    def __init__(self, settings: ArchiveSettings, resolve_path: Any, clock: Clock, log: Any) -> None:
        def folder(name: str) -> Folder | None:
            return Folder(resolve_path(name), settings, clock) if name else None

        self.incoming = folder(settings.incoming)
        self.outgoing = folder(settings.outgoing)
        self._clock = clock
        self._log = log

    async def received(self, message: MessageInfo) -> None:
        """Copy a message that has arrived, before anything else is done to it. Raises OSError.

        It is kept aside for the outgoing archive too, until its verdict says whether it is blocked.
        """
        content = message.content
        if content is None:
            return
        copy = None
        if self.incoming is not None:
            copy = await self.incoming.store(message.id, content, self._record(message))
        if self.outgoing is not None:
            stash = self._stashed(self.outgoing, message.id)
            if copy is None or not await asyncio.to_thread(_linked, copy, stash):
                await written(NewFile(stash.with_suffix(".tmp"), stash), content)

    async def judged(self, event: Judged) -> None:
        """Archive a message that was blocked; forget the copy aside of one that goes on."""
        if self.outgoing is None:
            return
        stash = self._stashed(self.outgoing, event.envelope.id)
        blocked = sorted({str(copy.action) for copy in event.verdict.copies} - set(_PASSES))
        if not blocked or event.reply.temporary:
            await asyncio.to_thread(stash.unlink, True)
            return
        target = self.outgoing.place(event.envelope.id)
        try:
            await asyncio.to_thread(_moved, stash, target)
        except FileNotFoundError:
            return  # another instance has taken it
        except OSError as error:
            self._failed(event.envelope.id, error)
            return
        recipients = [
            str(recipient.address)
            for copy in event.verdict.copies
            if str(copy.action) not in _PASSES
            for recipient in copy.recipients
        ]
        record = {"at": self._clock.time(), "blocked": blocked, "from": str(event.envelope.sender.address)}
        await self._noted(self.outgoing, target, {**record, "to": recipients}, event.size_bytes)

    async def delivered(self, delivery: Delivery, results: list[Result]) -> None:
        """Copy what was delivered, with our edits; what cannot be written is logged, for it has gone out already."""
        taken = [str(result.recipient.address) for result in results if result.status is Status.DELIVERED]
        if self.outgoing is None or not taken:
            return
        record = {
            "at": self._clock.time(),
            "delivered": str(delivery.next_hop),
            "from": str(delivery.sender.address),
            "to": taken,
        }
        try:
            await self.outgoing.store(delivery.message.id, delivery.content, record)
        except OSError as error:
            self._failed(delivery.message.id, error)

    def _record(self, message: MessageInfo) -> dict[str, Any]:
        envelope = message.envelope
        return {
            "at": envelope.received_at or self._clock.time(),
            "client": envelope.session.client_ip,
            "helo": envelope.session.helo,
            "from": str(envelope.sender.address),
            "to": [str(recipient.address) for recipient in envelope.recipients],
        }

    @staticmethod
    def _stashed(outgoing: Folder, message_id: str) -> Path:
        return outgoing.path / STASH / f"{safe_name(message_id)}.eml"

    async def _noted(self, folder: Folder, target: Path, record: dict[str, Any], size_bytes: int) -> None:
        try:
            await folder.note(target, record, size_bytes)
        except OSError as error:
            self._failed(target.stem, error)

    def _failed(self, message_id: str, error: OSError) -> None:
        self._log.error("archive cannot be written", id=message_id, error=str(error))


def safe_name(message_id: str) -> str:
    """An id as a file name: it comes from the queue and is harmless, which is not relied on here."""
    return _NAME.sub("_", message_id).lstrip(".") or "_"


def _day(at: float) -> str:
    """The name of a day's folder; the order of names is that of days."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def _files(folder: Path, names: re.Pattern[str]) -> Iterator[_File]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if names.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                yield _File(Path(entry.path), found.st_size, found.st_mtime)


def _append(path: Path, line: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


def _linked(copy: Path, stash: Path) -> bool:
    """Whether a second name for a copy could be made: it saves writing the message twice."""
    stash.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.link(copy, stash)
    except FileExistsError:
        return True
    except OSError:
        return False
    return True


def _moved(stash: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    stash.rename(target)
