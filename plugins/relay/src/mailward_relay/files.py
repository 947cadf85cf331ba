"""Durable files: written aside, synced, then moved to where they are looked for."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from mailward import Content

BATCH_BYTES = 1_048_576
"""Content is handed to the writing thread in batches of this size."""


class NewFile:
    """One file on its way: written as ``aside``, synced, then moved to ``target``; folders are made."""

    def __init__(self, aside: Path, target: Path) -> None:
        self._aside = aside
        self._target = target
        self._file: BinaryIO | None = None

    def append(self, pieces: list[bytes]) -> None:
        """Write pieces; the first call makes the folders and the file."""
        if self._file is None:
            self._file = self._create()
        self._file.writelines(pieces)

    def commit(self, pieces: list[bytes]) -> None:
        """Write the last pieces and make the file appear; when this returns, it is on disk."""
        self.append(pieces)
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._aside.rename(self._target)
        sync_folder(self._target.parent)

    def discard(self) -> None:
        """Take back what was not committed."""
        if self._file is not None:
            # On a full disk closing fails too, having closed; what counts is that the file goes.
            with contextlib.suppress(OSError):
                self._file.close()
            self._aside.unlink(missing_ok=True)

    def _create(self) -> BinaryIO:
        for folder in (self._aside.parent, self._target.parent):
            make_folder(folder)
        return os.fdopen(os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


async def written(file: NewFile, content: Content, head: bytes = b"") -> None:
    """Write content, after ``head``, in a thread and in batches, and commit it. Raises OSError."""
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


def make_folder(path: Path) -> None:
    """Make a folder, those above it too, and put their names on disk."""
    missing = [one for one in (path, *path.parents) if not one.is_dir()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Put the names in a folder on disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
