"""Notices that the configuration has changed: what is in the files, not when they were touched.

It looks at the files twice a second. That costs next to nothing, sees files that are replaced, linked
anew (as containers get theirs) or on network file systems, and is not woken by a log beside them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

MOST_BYTES = 16 << 20
"""No configuration and no plugin's source is larger."""

Stamp = tuple[tuple[int, int, int] | None, ...]


class Watched:
    """Files, as they were when they were last looked at."""

    def __init__(self) -> None:
        self._stamp: Stamp = ()
        self._settled = True

    def settled(self, files: tuple[str, ...]) -> bool:
        """Whether something was done to the files, and nothing any more since the last look."""
        stamp = tuple(map(_stamp, files))
        if stamp != self._stamp:
            # somebody is writing, or this is the first look: see whether it stays so
            self._stamp, self._settled = stamp, False
            return False
        was_settled, self._settled = self._settled, True
        return not was_settled


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_bounded(file: str | Path) -> bytes:
    """The content of a regular file of a size that a configuration may have. Raises OSError, ValueError.

    A pipe is never waited for: whoever reads is the process that looks after all others.
    """
    fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as opened:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise ValueError("is no regular file")
        if info.st_size > MOST_BYTES:
            raise ValueError(f"is larger than {MOST_BYTES >> 20} MB")
        return opened.read(MOST_BYTES)


def digests(files: tuple[str, ...]) -> dict[str, bytes]:
    """A digest of the content of each file; one that cannot be read counts as empty."""
    return {file: _digest(file) for file in files}


def _digest(file: str) -> bytes:
    try:
        content = read_bounded(file)
    except (OSError, ValueError):
        content = b""
    return hashlib.sha256(content).digest()
