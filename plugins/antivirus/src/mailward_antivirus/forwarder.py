"""Sends what waits for the central quarantine: to a folder, or by HTTPS. One process at a time.

A folder gets ``NAME.bin`` and then ``NAME.json``. A server gets one POST for each item, as multipart/form-data with
the fields ``record`` (JSON) and ``content``; any answer of 200 to 299 means that it has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import http.client
import os
import secrets
import shutil
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from attrs import define, field, frozen

from mailward_antivirus.alerts import Alerts
from mailward_antivirus.central import Item, Spool
from mailward_antivirus.files import sync_folder

LOOK_S = 5.0
MAX_WAIT_S = 600.0
TIMEOUT_S = 30.0
_LOCK = ".lock"


class NotSent(Exception):
    """An item could not be sent; ``down``: nor can any other at the moment."""

    def __init__(self, reason: str, *, down: bool) -> None:
        super().__init__(reason)
        self.down = down


@frozen
class Target:
    """Where items go: ``url`` (https), or the folder ``folder``."""

    url: str = ""
    folder: Path | None = None
    token: str = field(default="", repr=False)
    ca_file: str = ""

    def send(self, item: Item) -> None:
        """Hand one item over. Raises NotSent. Blocks: call it in a thread."""
        try:
            if self.folder is not None:
                _into(self.folder, item)
            else:
                self._post(item)
        except (OSError, http.client.HTTPException) as error:
            raise NotSent(f"{type(error).__name__}: {error}", down=True) from error

    def _post(self, item: Item) -> None:
        url = urlsplit(self.url)
        context = ssl.create_default_context(cafile=self.ca_file or None)
        connection = http.client.HTTPSConnection(
            url.hostname or "", url.port or 443, timeout=TIMEOUT_S, context=context
        )
        boundary = f"mailward-{secrets.token_hex(16)}"
        head, tail = _envelope(item, boundary)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + item.content.stat().st_size + len(tail)),
            "User-Agent": "Mailward",
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
        }
        with contextlib.closing(connection), item.content.open("rb") as content:
            connection.putrequest("POST", (url.path or "/") + (f"?{url.query}" if url.query else ""))
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(head)
            while piece := content.read(1024 * 1024):
                connection.send(piece)
            connection.send(tail)
            status = connection.getresponse().status
        if not 200 <= status < 300:
            raise NotSent(f"the server answered {status}", down=status >= 500 or status in (401, 403, 408, 429))


def _envelope(item: Item, boundary: str) -> tuple[bytes, bytes]:
    """What stands before and after the content in the body of a POST."""
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="record"\r\nContent-Type: application/json\r\n\r\n'
    ).encode("ascii")
    middle = (
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="content"; filename="{item.name}.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode("ascii")
    return head + item.record.read_bytes() + middle, f"\r\n--{boundary}--\r\n".encode("ascii")


def _into(folder: Path, item: Item) -> None:
    for source in (item.content, item.record):
        part = folder / f".new-{source.name}"
        with source.open("rb") as read, open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
            shutil.copyfileobj(read, new, 1024 * 1024)
            new.flush()
            os.fsync(new.fileno())
        part.replace(folder / source.name)
    sync_folder(folder)


@define(eq=False)
class Forwarder:
    """Sends in the background what waits, as long as this process holds the spool's lock."""

    spool: Spool
    target: Target
    alerts: Alerts
    look_s: float = LOOK_S
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End; what waits goes on waiting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        wait_s = self.look_s
        while True:
            try:
                sent_all = await asyncio.to_thread(self.send_waiting)
            except OSError as error:
                self.alerts.tell("central_quarantine_spool", f"cannot be read: {error.strerror or error}")
                sent_all = False
            wait_s = self.look_s if sent_all else min(wait_s * 2, MAX_WAIT_S)
            await asyncio.sleep(wait_s)

    def send_waiting(self) -> bool:
        """Send what waits; whether nothing is left. Raises OSError where the spool cannot be read."""
        self.spool.sweep(time.time())
        items = self.spool.items()
        if not items:
            return True
        with (self.spool.folder / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True  # another process is at it
            return self._send(self.spool.items())

    def _send(self, items: Sequence[Item]) -> bool:
        left = 0
        for item in items:
            if not item.content.exists():  # somebody took it: the others must not wait for it
                self.alerts.tell("central_quarantine_spool", f"the content of {item.name} is gone")
                item.remove()
                continue
            try:
                self.target.send(item)
            except NotSent as error:
                left += 1
                self.alerts.tell("central_quarantine_down", str(error), ("waiting", str(len(items))))
                if error.down:
                    return False
                continue
            item.remove()
        return not left
