"""The queue as seen and changed from outside: what ``mailward queue`` is made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mailward.hooks.context import Clock
from mailward.spool.control import answer_to, ask
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import CONTROL, DAMAGED, JOURNAL, slot_names, slots_folder
from mailward.spool.ids import is_id
from mailward.spool.image import read_entry
from mailward.spool.journal import Found, journaled
from mailward.spool.operate import Outcome, Request, Verb, operate
from mailward.spool.record import Damaged
from mailward.spool.spool import Spool
from mailward.values.errors import SpoolError


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


def _by_slot(root: Path, ids: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    places: dict[str, list[str]] = {}
    missing: list[str] = []
    for message_id in dict.fromkeys(ids):
        found = find(root, message_id)
        if found is None:
            missing.append(message_id)
        else:
            places.setdefault(found.path.parent.parent.name, []).append(message_id)
    return places, missing


def act(
    root: Path, verb: Verb, ids: Iterable[str], *, to: str = "", wait_s: float = 5.0, clock: Clock | None = None
) -> list[Outcome]:
    """Do something with messages: through the gateway where one runs, else here. One outcome each.

    ``to`` is the address of a forward; ``wait_s`` is how long the gateway may take to answer. Raises
    SpoolError where the spool cannot be used at all.
    """
    places, missing = _by_slot(root, ids)
    outcomes = [Outcome(message_id, False, "not in the queue") for message_id in missing]
    for slot, members in places.items():
        request = Request(Verb(verb), tuple(members), to)
        spool = Spool(root, slot, clock=clock)
        try:
            spool.open(wait_s=0.0)
        except SpoolError:
            outcomes.extend(_through_gateway(slots_folder(root) / slot / CONTROL, request, wait_s))
            continue
        try:
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
