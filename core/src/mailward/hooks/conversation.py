"""SMTP conversations written down for finding faults: one file a connection or delivery attempt (SAV-DIA-02)."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from time import time as unix_time

from mailward.hooks.log import get_logger

_UNSAFE = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f-\xff]")
MASK = "********"


class Capture(StrEnum):
    """What is kept."""

    OFF = "off"
    ERRORS = "errors"
    ALL = "all"


class Fault(StrEnum):
    """What went wrong in a conversation."""

    COMMUNICATION = "communication"
    PROTOCOL = "protocol"
    LOCAL = "local"
    UNSUPPORTED = "unsupported"


class FaultFilter(StrEnum):
    """The faults for which a conversation is kept where only errors are."""

    ALL = "all"
    COMMUNICATION = "communication"
    PROTOCOL = "protocol"
    LOCAL = "local"
    UNSUPPORTED = "unsupported"


class ContentDetail(StrEnum):
    """How much of message content is written down."""

    IGNORE = "ignore"
    SUMMARISE = "summarise"
    ECHO = "echo"


class Recorder:
    """Writes one conversation down: in memory until `close`, which decides whether it becomes a file.

    Lines are cut off at a total of ``max_bytes``. What is not printable ASCII is written as ``\\xNN``,
    so that the file can be shown on any terminal. Secrets are the caller's to leave out (`MASK`).
    """

    def __init__(self, log: ConversationLog, subject: str) -> None:
        self._log = log
        self._lines: list[bytes] = []
        self._bytes = 0
        self._cut = False
        self._faults: set[Fault] = set()
        self._content_bytes = self._content_lines = 0
        self.note(subject)

    def client(self, line: bytes) -> None:
        """A line, or several, that the client of the conversation said."""
        self._write(b"C: ", line)

    def server(self, lines: bytes) -> None:
        """A reply of the server."""
        self._write(b"S: ", lines)

    def note(self, text: str) -> None:
        """Something that happened beside the words: TLS begun, time-out, connection lost."""
        self._write(b"*  ", text.encode("utf-8", "replace"))

    def content(self, piece: bytes) -> None:
        """Message content, as it is on the wire."""
        if self._log.content is ContentDetail.ECHO:
            self._write(b"D: ", piece)
        elif self._log.content is ContentDetail.SUMMARISE:
            self._content_bytes += len(piece)
            self._content_lines += piece.count(b"\n")

    def content_end(self) -> None:
        """The content is over."""
        if self._log.content is ContentDetail.SUMMARISE:
            self.note(f"content: {self._content_lines} lines, {self._content_bytes} bytes")
        self._content_bytes = self._content_lines = 0

    def fault(self, kind: Fault, text: str = "") -> None:
        """Note that something went wrong."""
        self._faults.add(kind)
        if text:
            self.note(f"{kind} error: {text}")

    def close(self) -> None:
        """The conversation is over: keep it or forget it. Never raises."""
        self._log.keep(b"".join(self._lines), self._faults)
        self._lines = []

    def _write(self, lead: bytes, text: bytes) -> None:
        if self._cut:
            return
        stamp = datetime.fromtimestamp(self._log.time(), UTC).strftime("%H:%M:%S.%f")[:-3].encode()
        for line in text.split(b"\n") if not text.endswith(b"\n") else text[:-1].split(b"\n"):
            shown = _UNSAFE.sub(lambda match: b"\\x%02x" % match[0][0], line.removesuffix(b"\r"))
            row = b"%s %s%s\n" % (stamp, lead, shown)
            if self._bytes + len(row) > self._log.max_bytes:
                self._lines.append(b"(cut here: the conversation is longer than is kept)\n")
                self._cut = True
                return
            self._bytes += len(row)
            self._lines.append(row)


class ConversationLog:
    """The folder of the conversations of one direction; the oldest files make room for new ones."""

    def __init__(
        self,
        folder: Path,
        *,
        capture: Capture = Capture.OFF,
        errors: FaultFilter = FaultFilter.ALL,
        content: ContentDetail = ContentDetail.SUMMARISE,
        max_files: int = 1000,
        max_bytes: int = 1024 * 1024,
        time: Callable[[], float] = unix_time,
    ) -> None:
        self.content = content
        self.max_bytes = max_bytes
        self.time = time
        self._folder = folder
        self._capture = capture
        self._errors = errors
        self._max_files = max_files

    def begin(self, subject: str) -> Recorder | None:
        """A recorder for a new conversation (``subject``: who with), or None where none is kept."""
        return None if self._capture is Capture.OFF else Recorder(self, subject)

    def keep(self, text: bytes, faults: set[Fault]) -> None:
        """Write a conversation to a file of its own, if it is one that is kept. Never raises."""
        if self._capture is Capture.ERRORS and not self._counts(faults):
            return
        stamp = datetime.fromtimestamp(self.time(), UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
        try:
            write_private(self._folder / f"{stamp}-{secrets.token_hex(4)}.log", text)
            make_room(self._folder, self._max_files)
        except OSError as error:
            get_logger().warning("conversation not kept", folder=str(self._folder), problem=error.strerror)

    def _counts(self, faults: set[Fault]) -> bool:
        return bool(faults) if self._errors is FaultFilter.ALL else Fault(self._errors.value) in faults


def write_private(file: Path, *pieces: bytes) -> None:
    """Write a new file that only its owner may read, with the folders above it. Raises OSError."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as opened:
        for piece in pieces:
            opened.write(piece)


def make_room(folder: Path, max_files: int, max_bytes: int | None = None) -> None:
    """Remove the oldest files (names begin with their time) until the rest is within the limits."""
    files = sorted(item for item in folder.iterdir() if item.is_file())
    surplus = files[: max(len(files) - max_files, 0)]
    if max_bytes is not None:
        total = 0
        for file in reversed(files[len(surplus) :]):
            total += file.stat().st_size
            if total > max_bytes:
                surplus.append(file)
    for file in surplus:
        file.unlink(missing_ok=True)
