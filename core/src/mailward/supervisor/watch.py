"""Notices that the configuration has changed: what is in the files, not when they were touched.

It looks at the files twice a second. That costs next to nothing, sees files that are replaced, linked
anew (as containers get theirs) or on network file systems, and is not woken by a log beside them.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

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


def digest(files: tuple[str, ...]) -> bytes:
    """A digest of the content of files; one that cannot be read counts as empty."""
    whole = hashlib.sha256()
    for file in files:
        try:
            content = Path(file).read_bytes()
        except OSError:
            content = b""
        whole.update(len(content).to_bytes(8, "big") + content)
    return whole.digest()
