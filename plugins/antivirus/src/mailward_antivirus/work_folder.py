"""Folders that last as long as one scan: what a process that was killed in it leaves behind is removed by others."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define

LOOK_S = 600.0
"""How often a process looks for folders that were left behind."""

YOUNG_S = 60.0
"""A folder of this age may not be locked yet by the process that made it."""


@define(eq=False)
class WorkFolders:
    """The folders in ``root``, which only this user may enter. Each is locked by the process that uses it."""

    root: Path
    _looked_at: float = float("-inf")

    @contextmanager
    def one(self) -> Iterator[Path]:
        """A new folder of a random name, removed with all that is in it at the end. Raises OSError."""
        self.root.mkdir(mode=0o700, exist_ok=True)
        if time.monotonic() - self._looked_at >= LOOK_S:
            self._looked_at = time.monotonic()
            self.sweep()
        folder = Path(tempfile.mkdtemp(dir=self.root))
        lock = -1
        try:
            lock = _opened(folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if lock >= 0:
                os.close(lock)

    def sweep(self) -> None:
        """Remove the folders whose processes have ended. Raises OSError where ``root`` cannot be read."""
        for folder in tuple(self.root.iterdir()):
            with suppress(OSError):  # another process was quicker, or it is in use
                if time.time() - folder.stat().st_mtime > YOUNG_S:
                    lock = _opened(folder)
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        shutil.rmtree(folder, ignore_errors=True)
                    finally:
                        os.close(lock)


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
