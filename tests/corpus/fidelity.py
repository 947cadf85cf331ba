"""What holds for every message, and for every single edit of it.

By hand: python tests/corpus/fidelity.py FILE...
"""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Iterator

from work import Mail, serve

from mailward.mime import Message, Part, PartKind, apply, resolve
from mailward.values.edit import AddHeader, ChangeHeader, DeletePart, Edit, PrefixSubject, RemoveHeader, ReplacePart

MOST_DELETED = 3
EVERY = 4
"""One message in so many is edited with CRLF line ends as well: what an edit does hardly depends on them."""
BODY_FIELDS = {"content-type", "content-transfer-encoding", "content-disposition", "content-md5", "mime-version"}
NEW_TEXT = "Taken out.\n– The filter –"


def problems(mail: Mail) -> Iterator[str]:
    """One line for each thing that does not hold for this message."""
    with Message.from_bytes(mail.raw) as message:
        yield from _tiling(message)
        yield from _readable(message)
        if apply(message.raw, resolve(message, [])) != mail.raw:
            yield "without an edit the message changes"
        if mail.is_crlf and zlib.crc32(mail.name.encode()) % EVERY:
            return
        before = Picture(message)
        for edit, low, high in _edits(message):
            for problem in _edited(before, edit, low, high):
                yield f"{edit}: {problem}"


class Picture:
    """A message with the content of its parts."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.raw = bytes(message.raw)
        leaves = [part for part in message.walk() if part.is_leaf]
        self.digests = {part: part.digest("sha256") for part in leaves if part.content is not None}
        self.defects = Counter((finding.kind, finding.rule) for finding in message.defects)
        self.fields = [(field.name.lower(), field.raw) for field in message.headers]


def _readable(message: Message) -> Iterator[str]:
    """Everything that a part can be asked is asked."""
    for part in message.walk():
        _ = part.names, part.detected_type, part.disposition, part.charset, part.open().read(10)
        for header in part.headers:
            _ = header.value
        if not part.is_leaf:
            continue
        _ = part.text
        if part.size != len(part.content) or part.content != b"".join(part.stream(1000)):
            yield f"part {part.path!r} streams something else than its content"


def _tiling(message: Message) -> Iterator[str]:
    at = 0
    for start, end, what in message.spans():
        if start != at or end <= start:
            yield f"the stretch {what} starts at {start} instead of {at}"
        at = end
    if at != message.size:
        yield f"the stretches end at {at}, the message at {message.size}"


def _edits(message: Message) -> Iterator[tuple[Edit, int, int]]:
    """Single edits, each with the bytes that it may touch."""
    header_end = message.root.body_span[0] if message.root.body_span else 0
    subject = next((field.span for field in message.headers if field.name.lower() == "subject"), None)
    parts = [part for part in message.walk() if part is not message.root] or [message.root]
    yield AddHeader("X-Checked", "yes – Prüfung"), 0, 0
    yield PrefixSubject("[ÜBERPRÜFT]"), *(subject or (0, 0))
    yield ChangeHeader("Subject", "Neuer Betreff: ⚠"), 0, header_end
    yield RemoveHeader("Received"), 0, header_end
    for part in parts[:MOST_DELETED]:
        yield DeletePart(part.path), *_reach(message, part)
    for part in {id(part): part for part in (parts[0], parts[-1])}.values():
        yield ReplacePart(part.path, NEW_TEXT, "note.txt"), *_reach(message, part)


def _reach(message: Message, part: Part) -> tuple[int, int]:
    """The bytes that replacing or deleting a part may touch: its delimiter line, itself, one line break."""
    while (span := part.span) is None and part.parent is not None:
        part = part.parent
    start, end = span or (0, message.size)
    for low, high, what in message.spans():
        if what == "delimiter" and high == start:
            return low, min(end + 2, message.size)
    return start, end


def _edited(before: Picture, edit: Edit, low: int, high: int) -> Iterator[str]:
    raw = before.raw
    after_raw = apply(raw, resolve(before.message, [edit]))
    if after_raw[:low] != raw[:low] or not after_raw.endswith(raw[high:]) or len(after_raw) < low + len(raw) - high:
        yield f"bytes outside {low}:{high} change"
    with Message.from_bytes(after_raw) as message:
        after = Picture(message)
        yield from _tiling(message)
        if grown := after.defects - before.defects:
            yield f"new defects {dict(grown)}"
        yield from _fields(before, after, edit)
        yield from _parts(before, after, edit)


def _fields(before: Picture, after: Picture, edit: Edit) -> Iterator[str]:
    """The header of the message after an edit, as far as the edit is none of it."""
    touched = set(BODY_FIELDS)
    match edit:
        case PrefixSubject():
            touched.add("subject")
            expected = f"{edit.text} {before.message.subject}".strip()
            if " ".join(after.message.subject.split()) != " ".join(expected.split()):
                yield f"subject {after.message.subject!r} instead of {expected!r}"
        case ChangeHeader(name, value) | AddHeader(name, value):
            touched.add(name.lower())
            if after.message.headers.get(name) != value:
                yield f"{name}: {after.message.headers.get(name)!r}"
        case RemoveHeader(name):
            touched.add(name.lower())
            if name in after.message.headers:
                yield f"{name} is still there"
    old, new = ([field for field in one.fields if field[0] not in touched] for one in (before, after))
    if old != new:
        yield f"other header fields change: {[field for field in old + new if (field in old) != (field in new)][:3]}"


def _parts(before: Picture, after: Picture, edit: Edit) -> Iterator[str]:
    """The content of all parts but the edited one, what is in it and what it is in."""
    others = Counter(before.digests.values())
    found = Counter(after.digests.values())
    if isinstance(edit, DeletePart | ReplacePart):
        part = _read_otherwise(before.message.part(edit.path))
        others = Counter(digest for one, digest in before.digests.items() if not _related(part, one))
        if isinstance(edit, ReplacePart) and part.kind is not PartKind.ENCODED:
            texts = [one.text.replace("\r\n", "\n").rstrip("\n") for one in after.digests]
            if edit.text not in texts:
                yield "the new text is in none of the parts"
    elif found != others:
        yield "parts come or go"
    if missing := others - found:
        paths = [one.path for one, digest in before.digests.items() if digest in missing]
        yield f"other parts change: {paths[:5]}"


def _related(one: Part, other: Part) -> bool:
    """Whether a change of one part is a change of the other: around it, in it, or read from the same bytes."""
    above, below = _chain(one), _chain(other)
    common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] is pair[1], zip(above, below, strict=False)))
    parted = [chain[common] for chain in (above, below) if len(chain) > common]
    return len(parted) < 2 or any(part.reading != above[common - 1].reading for part in parted)


def _read_otherwise(part: Part) -> Part:
    """The part itself; where it belongs to a second reading, what was read so: an edit takes that as a whole."""
    chain = _chain(part)
    return next((above for above, below in itertools.pairwise(chain) if below.reading), part)


def _chain(part: Part | None) -> list[Part]:
    chain = []
    while part is not None:
        chain.append(part)
        part = part.parent
    return chain[::-1]


if __name__ == "__main__":
    serve(problems)
