"""Adoption: the mail of a slot that no process uses any more goes to one that is in use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container
from pathlib import Path

from mailward.spool.entry import Queue
from mailward.spool.folders import DAMAGED, Folders, slot_names
from mailward.spool.ids import is_id
from mailward.spool.journal import Journal
from mailward.values.errors import SpoolError


def adopt(root: Path, mine: Folders, journal: Journal, in_use: Container[str]) -> list[tuple[str, Queue]]:
    """Take over the mail of all slots under ``root`` but those ``in_use``; the ids, and the queues they are in.

    A slot whose lock somebody holds is left alone, and so is the rest of one that fails on the way.
    Raises SpoolError where the slots cannot be listed.
    """
    taken: list[tuple[str, Queue]] = []
    for slot in slot_names(root):
        if slot in in_use:
            continue
        other = Folders(root, slot, mine.disk)
        with contextlib.suppress(SpoolError):
            other.open(wait_s=0.0)
            try:
                taken += _take_from(other, mine, journal).items()
            finally:
                other.close()
    return taken


def _take_from(other: Folders, mine: Folders, journal: Journal) -> dict[str, Queue]:
    try:
        taken = journal.adopt(other)
        for name in (*Queue, DAMAGED):
            ids = [message_id for message_id in other.ids(name) if is_id(message_id)]
            for message_id in ids:
                os.rename(message_id, message_id, src_dir_fd=other.folder(name), dst_dir_fd=mine.folder(name))
            if ids:
                mine.sync(name)
            if isinstance(name, Queue):
                taken |= dict.fromkeys(ids, name)
            for message_id in ids:
                journal.drop(message_id)  # the file came after the record
    except OSError as error:
        raise SpoolError(f"{other.path}: {error.strerror}") from error
    return taken
