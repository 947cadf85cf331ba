"""Salvage: what can still be read of a journal segment whose header the disk has destroyed.

Without the header it is not certain which records count. Records say it themselves, by their generation, but
only that of a place where no message can have written counts: the first record, else the marks. Whether a
message is gone is told by its mark alone, and nothing tells whether marks were destroyed too. So nothing
is delivered: all that is not marked as gone goes to hold, and the operator decides.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from attrs import evolve, frozen

from mailward.hooks.log import get_logger
from mailward.spool.change import Arrival
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import DAMAGED, JOURNAL, slot_names, slots_folder
from mailward.spool.found import journaled
from mailward.spool.ids import check_id
from mailward.spool.record import Damaged
from mailward.spool.segment import (
    GONE,
    RECORDS_AT,
    Header,
    Marks,
    Record,
    first_generation,
    is_damaged,
    marked_generations,
    read_header,
    records,
)
from mailward.spool.spool import Spool
from mailward.values.errors import SpoolError

_log = get_logger("mailward.spool")
_DONE = "recovered"
_AT_A_TIME = 100
_WHY = "recovered from a damaged journal segment; it may have been delivered before"
_UNSCANNED = "recovered from a damaged journal segment, and never scanned: reprocess it, do not release it"


class NothingToSalvage(SpoolError):
    """The file is no segment that lost its header, or nothing in it can be trusted any more."""


@frozen
class Salvaged:
    """What a segment holds: messages not marked as gone; how many are; whether there are unreadable ones."""

    records: tuple[Record, ...]
    gone: int
    is_damaged: bool


def salvaged(fd: int, name: str) -> Salvaged:
    """What can be read of a segment without header. Raises NothingToSalvage, OSError."""
    if name.endswith(_DONE):
        raise NothingToSalvage(f"{name}: was recovered before; what else is in it cannot be read")
    if read_header(fd) is not None:
        raise NothingToSalvage(f"{name}: what can be read in it was taken over when this copy was made")
    if os.fstat(fd).st_size <= RECORDS_AT:
        raise NothingToSalvage(f"{name}: no journal segment")
    found = _of_generation(fd, first_generation(fd))
    if found is None:
        # The segment's own generation is one of these. That messages of earlier ones were gone, marks may not say.
        others = [one for generation in marked_generations(fd) if (one := _of_generation(fd, generation)) is not None]
        if not others:
            raise NothingToSalvage(f"{name}: no journal segment, or neither its first record nor its marks can be read")
        left = {record.id: record for one in others for record in one.records}
        found = Salvaged(tuple(left.values()), sum(one.gone for one in others), True)
    return found


def _of_generation(fd: int, generation: bytes) -> Salvaged | None:
    """What can be read of one generation; None where nothing can."""
    header = Header(generation, 0)
    found = list(records(fd, header)) if generation else []
    if not found:
        return None
    marks = Marks.read(fd, header)
    left = {record.id: record for record in found if marks.of(record.number)[0] != GONE}
    gone = len({record.id for record in found} - left.keys())
    return Salvaged(tuple(left.values()), gone, is_damaged(fd, header, found, marks))


def salvage(spool: Spool, name: str) -> str:
    """Put the messages of a segment in ``damaged`` in hold; what was done, in words. Raises SpoolError.

    The file is deleted where all of it could be read, else it gets another name, so that it is not taken twice.
    """
    path = slots_folder(spool.root) / spool.slot / DAMAGED / check_id(name)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            found = salvaged(fd, name)
        finally:
            os.close(fd)
        here = _queued(spool.root)
        fresh = [record for record in found.records if record.id not in here]
        lost = len(fresh) - _keep(spool, fresh)
        unreadable = found.is_damaged or lost > 0
        if unreadable:
            path.rename(path.with_name(name + _DONE))
        else:
            path.unlink()
    except OSError as error:
        raise SpoolError(f"{path}: {error.strerror}") from error
    rest = f"the rest cannot be read: it stays as {name}{_DONE}" if unreadable else "nothing else was in it: deleted"
    words = (
        f"{len(fresh) - lost} put in hold",
        f"{len(found.records) - len(fresh)} in the queue already",
        f"{found.gone} gone before",
        rest,
    )
    return "; ".join(words)


def _queued(root: Path) -> set[str]:
    """The ids of all messages of the spool."""
    found: set[str] = set()
    for slot in slot_names(root):
        folder = slots_folder(root) / slot
        found |= journaled(folder / JOURNAL).keys()
        for queue in Queue:
            with contextlib.suppress(FileNotFoundError):
                found |= set(os.listdir(folder / queue))
    return found


def _keep(spool: Spool, found: list[Record]) -> int:
    """Put messages in hold; of how many the record made sense. Raises SpoolError where the disk takes them not."""
    entries = [(entry, record.body) for record in found if (entry := _entry(record)) is not None]
    for at in range(0, len(entries), _AT_A_TIME):
        arrivals = [_arrival(spool, entry, body) for entry, body in entries[at : at + _AT_A_TIME]]
        for error in spool.carry_out([*arrivals]):
            if error is not None:
                raise error
        for entry, _ in entries[at : at + _AT_A_TIME]:
            _log.warning("message recovered from a damaged journal segment, in hold", id=entry.id)
    return len(entries)


def _entry(record: Record) -> Entry | None:
    try:
        entry = record.entry(0)
    except Damaged:
        return None
    return evolve(entry, queue=Queue.HOLD, reason=_UNSCANNED if record.queue is Queue.INCOMING else _WHY)


def _arrival(spool: Spool, entry: Entry, body: bytes) -> Arrival:
    incoming = spool.begin(entry.id)
    incoming.write(body)
    return spool.arrival(incoming, (entry,))
