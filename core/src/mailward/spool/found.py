"""The journal as seen from outside: read without lock, and without changing anything."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from mailward.spool.entry import Entry, Queue
from mailward.spool.ids import is_id
from mailward.spool.record import Damaged
from mailward.spool.segment import GONE, STARTED, Header, Marks, read_header, records

T = TypeVar("T")


@frozen
class Found:
    """A message found in a journal from outside; ``body_at`` is the offset of its body in the file ``path``."""

    entry: Entry
    path: Path
    body_at: int


def journaled(folder: Path, wanted: Queue | None = None) -> dict[str, Found]:
    """The messages (of one queue) in a journal folder, read without lock and without changing anything.

    Raises OSError where a segment cannot be read.
    """
    headers: list[tuple[int, Path, Header]] = []
    found: dict[str, Found] = {}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if is_id(name) and (header := _read(folder / name, read_header)) is not None:
                headers.append((header.born_ns, folder / name, header))
    for _, path, header in sorted(headers, key=lambda one: one[0]):
        found |= _read(path, partial(_members, path, header)) or {}
    return {message_id: one for message_id, one in found.items() if wanted in (None, one.entry.queue)}


def _read(path: Path, reader: Callable[[int], T | None]) -> T | None:
    """What ``reader`` makes of the file; None where the file went away."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        return reader(fd)
    finally:
        os.close(fd)


def _members(path: Path, header: Header, fd: int) -> dict[str, Found]:
    marks = Marks.read(fd, header)
    found: dict[str, Found] = {}
    for record in records(fd, header):
        kind, count = marks.of(record.number)
        if kind == GONE:
            found.pop(record.id, None)
            continue
        with contextlib.suppress(Damaged):
            body_at = record.start + record.length - len(record.body)
            found[record.id] = Found(record.entry(count if kind == STARTED else 0), path, body_at)
    return found
