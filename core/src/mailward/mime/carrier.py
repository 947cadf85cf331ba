"""Changes inside archives and encoded content, carried outward until they lie in the raw message.

What is around a changed part is written again with the change in it, and is itself a part with new
content then, until one is reached that lies in the raw bytes. Where something cannot be written
again, the change is one of the whole (SAV-AV-06).
"""

from __future__ import annotations

import heapq
import itertools

from mailward.mime.archive import Substitute, find_slots, free_names
from mailward.mime.change import Change, level, merged, outermost
from mailward.mime.errors import EditError
from mailward.mime.layer import Layer
from mailward.mime.part import Part, PartKind
from mailward.mime.reach import archive_of, holder_of, takes_content
from mailward.mime.scratch import gathered, pieces
from mailward.mime.source import Source
from mailward.mime.splice import spliced


def carried(changes: dict[Part, Change]) -> dict[Part, Change]:
    """The changes as changes of parts that lie in the raw message. Raises EditError where one cannot be carried."""
    outer, waiting = dict[Part, Change](), dict[Part, dict[Part, Change]]()
    order, ticket = list[tuple[int, int, Part]](), itertools.count()

    def put(part: Part, change: Change) -> None:
        if part.place.source.outer:
            outer[part] = outer[part].joined(change) if part in outer else change
            return
        holder = holder_of(part)
        if holder not in waiting:
            waiting[holder] = {}
            heapq.heappush(order, (-level(holder), next(ticket), holder))
        group = waiting[holder]
        group[part] = group[part].joined(change) if part in group else change

    for part, change in outermost(changes).items():
        put(part, change)
    while order:
        _, _, holder = heapq.heappop(order)
        put(holder, _change_around(holder, waiting.pop(holder)))
    return outermost(outer)


def _change_around(holder: Part, changes: dict[Part, Change]) -> Change:
    """The change of a holder that follows from the changes inside it."""
    inside = outermost(changes)
    content = _new_content(holder, inside)
    around = merged(*inside.values())
    if content is not None:
        return Change(content=content, inside=around)
    if not around.removes:
        path = next(iter(inside)).path
        raise EditError(f"part {path!r} cannot be rewritten: what is around it cannot; delete or replace it")
    return around


def _new_content(holder: Part, changes: dict[Part, Change]) -> Source | None:
    """The content of a holder with the changes carried out in it, None where that cannot be."""
    if holder.kind is not PartKind.MEMBER and not takes_content(holder):
        return None
    members = [part for part in changes if part.kind is PartKind.MEMBER and part.parent is holder]
    if members:
        return _new_archive(holder, changes) if len(members) == len(changes) else None
    source, start, end = holder.inner()
    if any(part.place.source is not source for part in changes) or (start, end) != (source.start, source.end):
        return None
    first = source.find(b"\n", start, end)
    line_end = b"\r\n" if first > start and source.data[first - 1] == 0x0D else b"\n"
    splices = Layer(line_end, changes).splices()
    return gathered(spliced(pieces(source), splices))


def _new_archive(holder: Part, changes: dict[Part, Change]) -> Source | None:
    archive = archive_of(holder)
    numbers = find_slots(archive, list(changes)) if archive is not None else None
    if archive is None or numbers is None:
        return None
    if archive.is_document and any(change.removes for change in changes.values()):
        return None
    substitutes, names = dict[int, Substitute](), free_names(archive)
    for number, (part, change) in sorted(zip(numbers, changes.items(), strict=True), key=lambda item: item[0]):
        content = change.new_content
        if content is not None:
            substitutes[number] = Substitute(content)
            continue
        text = "\n".join(change.texts) or f"The file {part.filename or part.path!r} was taken out."
        data = "\r\n".join((*text.splitlines(), "")).encode("utf-8", "replace")
        substitutes[number] = Substitute(Source(data, 0, len(data)), next(names))
    return gathered(archive.rewritten(substitutes))
