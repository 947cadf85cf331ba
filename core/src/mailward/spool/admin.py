"""The queue as seen and changed from outside: what ``mailward queue`` is made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

from mailward.hooks.clock import Clock
from mailward.spool.control import answer_to, ask
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import CONTROL, DAMAGED, JOURNAL, slot_names, slots_folder
from mailward.spool.found import Found, journaled
from mailward.spool.ids import is_id
from mailward.spool.image import read_entry
from mailward.spool.operate import Outcome, Request, Verb, operate
from mailward.spool.record import Damaged
from mailward.spool.spool import Spool
from mailward.values.errors import SpoolError

_IDS_AT_A_TIME = 2000
_WAIT_FOR_EACH_S = 0.05


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if is_id(name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SpoolError(f"{folder}: {error.strerror}") from error


def _read(path: Path, queue: Queue) -> Entry | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SpoolError(f"{path}: {error.strerror}") from error
    try:
        return read_entry(fd, path.name, queue)
    except Damaged:
        return None
    except OSError as error:
        raise SpoolError(f"{path}: {error.strerror}") from error
    finally:
        os.close(fd)


def entries(root: Path, queue: Queue | None = None) -> Iterator[Entry]:
    """The entries of all slots (of one queue), read one by one, without lock and without changing anything.

    Messages that go away meanwhile are left out. Raises SpoolError where a folder cannot be read.
    """
    for slot in slot_names(root):
        # The journal first: a message that leaves it for a file meanwhile is seen twice rather than never.
        small = _journaled(slots_folder(root) / slot / JOURNAL, queue)
        for one in Queue if queue is None else (queue,):
            folder = slots_folder(root) / slot / one
            for name in _names(folder):
                entry = _read(folder / name, one)
                if entry is not None:
                    small.pop(name, None)
                    yield entry
        yield from (found.entry for found in small.values())


def _journaled(folder: Path, queue: Queue | None = None) -> dict[str, Found]:
    try:
        return journaled(folder, queue)
    except OSError as error:
        raise SpoolError(f"{folder}: {error.strerror}") from error


def listing(root: Path, queue: Queue | None = None) -> list[Entry]:
    """`entries` as a list, oldest first."""
    return sorted(entries(root, queue), key=lambda entry: (entry.created_at, entry.id))


def damaged(root: Path) -> list[Path]:
    """Files that were set aside because no state in them is whole: their bodies are still there."""
    folders = [slots_folder(root) / slot / DAMAGED for slot in slot_names(root)]
    return [folder / name for folder in folders for name in _names(folder)]


def find(root: Path, message_id: str) -> Found | None:
    """An entry and where it is, whichever slot and queue it is in. Raises SpoolError."""
    if not is_id(message_id):
        return None
    for slot in slot_names(root):
        small = _journaled(slots_folder(root) / slot / JOURNAL).get(message_id)
        for queue in Queue:
            path = slots_folder(root) / slot / queue / message_id
            entry = _read(path, queue)
            if entry is not None:
                return Found(entry, path, 0)
        if small is not None:
            return small
    return None


@frozen
class QueueCount:
    """What is in one queue; ``oldest_at`` is when its oldest message came into it (Unix seconds, 0: none)."""

    queue: Queue
    messages: int = 0
    recipients: int = 0
    size_bytes: int = 0
    oldest_at: float = 0.0


def counts(entries: Iterable[Entry]) -> tuple[QueueCount, ...]:
    """The entries counted, queue by queue; every queue is there."""
    members: dict[Queue, list[Entry]] = {queue: [] for queue in Queue}
    for entry in entries:
        members[entry.queue].append(entry)
    return tuple(
        QueueCount(
            queue,
            len(found),
            sum(len(entry.envelope.recipients) for entry in found),
            sum(entry.size_bytes for entry in found),
            min((entry.created_at for entry in found), default=0.0),
        )
        for queue, found in members.items()
    )


def _by_slot(root: Path, ids: Iterable[str], verb: Verb) -> tuple[dict[str, list[str]], list[str]]:
    """The ids by the slot they are in, and those that are nowhere."""
    wanted = dict.fromkeys(ids)
    places: dict[str, list[str]] = {}
    for slot in slot_names(root):
        folder = slots_folder(root) / slot
        if verb is Verb.RECOVER:
            there = set(_names(folder / DAMAGED))
        else:
            there = {name for queue in Queue for name in _names(folder / queue)} | _journaled(folder / JOURNAL).keys()
        members = [message_id for message_id in wanted if message_id in there]
        if members:
            places[slot] = members
    found = {message_id for members in places.values() for message_id in members}
    return places, [message_id for message_id in wanted if message_id not in found]


def act(
    root: Path,
    verb: Verb,
    ids: Iterable[str],
    *,
    to: str = "",
    subject: str = "",
    wait_s: float = 5.0,
    clock: Clock | None = None,
) -> list[Outcome]:
    """Do something with messages: through the gateway where one runs, else here. One outcome each.

    ``to`` is the address of a forward, ``subject`` the subject of its copies (empty: their own);
    ``wait_s`` is how long the gateway may take to answer a few messages; more have more. Raises SpoolError
    where the spool cannot be used at all.
    """
    places, missing = _by_slot(root, ids, verb)
    nowhere = "not among the damaged files" if verb is Verb.RECOVER else "not in the queue"
    outcomes = [Outcome(message_id, False, nowhere) for message_id in missing]
    for slot, members in places.items():
        spool = Spool(root, slot, clock=clock)
        try:
            spool.open(wait_s=0.0)
        except SpoolError:
            control = slots_folder(root) / slot / CONTROL
            for at in range(0, len(members), _IDS_AT_A_TIME):
                request = Request(Verb(verb), tuple(members[at : at + _IDS_AT_A_TIME]), to, subject)
                outcomes.extend(_through_gateway(control, request, wait_s + len(request.ids) * _WAIT_FOR_EACH_S))
            continue
        try:
            request = Request(Verb(verb), tuple(members), to, subject)
            outcomes.extend(operate(spool, request, message_id).outcome for message_id in members)
        finally:
            spool.close()
    return outcomes


def _through_gateway(folder: Path, request: Request, wait_s: float) -> tuple[Outcome, ...]:
    answer = answer_to(folder, ask(folder, request), wait_s)
    if answer is not None:
        return answer
    text = f"the gateway has not answered within {wait_s:g} s; it will do it when it gets to it"
    return tuple(Outcome(message_id, False, text) for message_id in request.ids)
