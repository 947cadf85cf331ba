"""The built-in reader of zip archives (APPNOTE.TXT 6.3.10): everything that some client would show.

Clients find members by the central directory or by the local headers, and believe one or the other
where these differ. Both are read here, and what only one of them knows is read too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailward.mime.containers import CONTAINER_TYPES
from mailward.mime.inflow import STEP_BYTES, Inflow
from mailward.mime.member import Member
from mailward.mime.part import Part
from mailward.mime.source import Source
from mailward.mime.zip_directory import END, SPANNED, TAIL_BYTES, Directory, ends_in, last_directories, read_directory
from mailward.mime.zip_records import CENTRAL, DEFLATED, LOCAL, STORED, Entry, Record, plausible, read_local
from mailward.values.finding import Finding, Kind

_TYPE = "application/zip"
_OTHERS = (b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"MSCF\0\0\0\0")
_PROGRAMS = frozenset(("application/x-dosexec", "application/x-elf", "text/x-script", ""))
_MOST_ENTRIES = 50_000
_MOST_HIDDEN_ENDS = 100
_MOST_LOOKALIKES = 100_000
_SMALLEST_BYTES = 22
_DESCRIPTOR_BYTES = 16


def unpack_zip(part: Part) -> Iterator[Member | Finding] | None:
    """The members of a zip archive, also of one that stands behind something else; None for other content.

    What it stands behind may be a container of another format, which this reader does not open.

    The name of the part does not count. No declared size is trusted: a member is read to the end of
    its compressed data. An archive that cannot be read yields a finding of kind unchecked; a member
    that cannot be read raises MemberError from its chunks.
    """
    if part.opaque or not part.is_leaf:
        return None
    if part.detected_type != _TYPE and not _ends_as_zip(part):
        return None
    return _Archive(part).members()


def _ends_as_zip(part: Part) -> bool:
    """Whether the central directory of an archive with members stands at the end of other content.

    At the very end where that is a container, which may hold a zip archive as it is.
    """
    if END not in part.tail(TAIL_BYTES):
        return False
    area, exactly = _area(part), part.detected_type in CONTAINER_TYPES
    return any(
        read_local(area, base + record.header_at) is not None
        for directory in last_directories(area, _MOST_ENTRIES)
        if directory.end_record.end == area.end or not exactly
        for record in directory.records
        for base in (directory.base, area.start)
    )


def _area(part: Part) -> Source:
    source, start, end = part.inner()
    return Source(source.data, start, end)


def _is_empty(area: Source, at: int) -> bool:
    """Whether the data at ``at`` is none: a data descriptor that says so, or another record, stands there."""
    head = area.copy(at, min(at + _DESCRIPTOR_BYTES, area.end))
    return head.startswith((LOCAL, CENTRAL)) or not head.removeprefix(SPANNED)[:12].strip(b"\0")


class _Archive:
    """One archive while it is read: what was told and which bytes are accounted for."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._area = _area(part)
        self._seen: set[int] = set()
        self._extents: list[tuple[int, int]] = []
        self._told: set[str] = set()
        self._room = _MOST_ENTRIES

    def members(self) -> Iterator[Member | Finding]:
        """The members, with what is remarkable about the archive."""
        area = self._area
        directories = last_directories(area, self._room)
        if any(len(directory.records) > self._room for directory in directories):
            detail = "the archive lists too many members"
            yield Finding(Kind.LIMIT, "core", "limit", self._part.path, "max_parts", detail=detail)
            return
        if any(directory.end_record.spanned for directory in directories) or (
            not directories and area.copy(area.start, area.start + len(SPANNED)) == SPANNED
        ):
            yield from self._tell(Kind.UNCHECKED, "multivolume", "one of several volumes: the others are not there")
        elif not directories:
            yield from self._tell(Kind.UNCHECKED, "unopened", "zip: there is no end record with a directory")
        entries = self._entries(directories)
        yield from self._remarks(directories, entries)
        for entry in entries:
            yield from self._read(entry)
        yield from self._hidden_directories()
        yield from self._hidden_entries()
        yield from self._hidden_others()

    def _tell(self, kind: Kind, rule: str, detail: str, name: str = "") -> Iterator[Finding]:
        if rule not in self._told:
            self._told.add(rule)
            yield Finding(kind, "core", rule, self._part.path, name, detail=detail)

    def _entries(self, directories: Sequence[Directory]) -> list[Entry]:
        """The entries that directories list and that were not seen before, in order; what they cover is noted."""
        area, grouped = self._area, dict[int, list[Record]]()
        for directory in directories:
            self._room -= len(directory.records)
            self._extents.append((directory.start, directory.end))
            end = directory.end_record
            self._extents.append((end.top, end.at + _SMALLEST_BYTES))
            for record in directory.records:
                places = [directory.base + record.header_at, area.start + record.header_at]
                at = next((place for place in places if area.copy(place, place + 4) == LOCAL), places[0])
                if at not in self._seen:
                    grouped.setdefault(at, []).append(record)
        self._seen.update(grouped)
        return [Entry(at, read_local(area, at), tuple(dict.fromkeys(found))) for at, found in grouped.items()]

    def _remarks(self, directories: Sequence[Directory], entries: Sequence[Entry]) -> Iterator[Finding]:
        """What is remarkable about the archive as a whole: another file before it, overlapping entries, counts."""
        area, reached = self._area, self._area.start
        found = sorted((entry.at, self._end_of(entry)) for entry in entries if entry.local is not None)
        if found and found[0][0] > area.start and self._part.detected_type != _TYPE:
            kind = Kind.NOTE if self._part.detected_type in _PROGRAMS else Kind.AMBIGUOUS
            yield from self._tell(kind, "zip_prefix", "a zip archive stands behind other content: both are looked at")
        for start, end in found:
            if start < reached:
                yield from self._tell(Kind.AMBIGUOUS, "zip_overlap", "members of the archive share their bytes")
            reached = max(reached, end)
        wrong = {
            directory.end_record.count
            for directory in directories
            if directory.end_record.count not in (len(directory.records), len(directory.records) & 0xFFFF)
        }
        if wrong or len(directories) > 1:
            stated = ", ".join(map(str, sorted(wrong))) or "another place"
            detail = f"the end record states {stated}, the directory lists {len(entries)} members: all are read"
            yield from self._tell(Kind.AMBIGUOUS, "zip_directory", detail)

    @staticmethod
    def _end_of(entry: Entry) -> int:
        if entry.local is None:
            return entry.at
        return entry.local.end + max((view.packed for view in entry.views if view.sized), default=0)

    def _read(self, entry: Entry, gap_end: int = 0) -> Iterator[Member | Finding]:
        """One entry in every reading, with its remarks."""
        if entry.is_folder:
            if entry.local is not None:
                self._extents.append((entry.at, self._end_of(entry)))
            return
        name, *others = entry.names or [""]
        differences = entry.differences()
        if differences:
            what = ", ".join(differences)
            detail = f"{name[:80]!r}: local header and directory differ in {what}: both are read"
            yield from self._tell(Kind.AMBIGUOUS, "zip_headers", detail, what)
        local, area = entry.local, self._area
        if all(view.encrypted for view in entry.views):
            self._extents.append((entry.at, self._end_of(entry)))
            yield Member(name, (), encrypted=True, other_names=tuple(others))
            return
        if local is None:
            if "multivolume" not in self._told:
                yield Member(name, Inflow(area, area.end, area.end, DEFLATED), other_names=tuple(others))
            return
        if entry.is_unsized and not _is_empty(area, local.end):
            detail = f"{name[:80]!r}: no header states a size, and there is content"
            yield from self._tell(Kind.AMBIGUOUS, "zip_headers", detail, "size")
        reached = local.end
        for number, (method, packed) in enumerate(entry.readings(max(gap_end - local.end, 0))):
            inflow = Inflow(area, local.end, local.end + packed, method)
            raw_bytes = max(1, min(packed, area.end - local.end))
            content = inflow if number else self._content(inflow, entry)
            yield Member(name, content, other_names=tuple(others), raw_bytes=raw_bytes)
            yield from self._cut(inflow, entry, name, method, packed)
            reached = max(reached, local.end + inflow.consumed if inflow.ended else min(local.end + packed, area.end))
        self._extents.append((entry.at, reached))

    @staticmethod
    def _content(inflow: Inflow, entry: Entry) -> Iterator[bytes]:
        yield from inflow
        inflow.verify({(view.size, view.crc) for view in entry.views if view.sized})

    def _cut(self, inflow: Inflow, entry: Entry, name: str, method: int, packed: int) -> Iterator[Member | Finding]:
        """Where there is more content than a header states: what a client shows that stops there."""
        if not inflow.ended or method == STORED or entry.local is None:
            return
        for size in {view.size for view in entry.views if view.sized and 0 < view.size < inflow.size}:
            detail = f"{name[:80]!r}: there is more content than the stated {size} bytes: both are read"
            yield from self._tell(Kind.AMBIGUOUS, "zip_headers", detail, "size")
            start = entry.local.end
            yield Member(name, Inflow(self._area, start, start + packed, method, size), raw_bytes=max(1, packed))

    def _gaps(self) -> list[tuple[int, int]]:
        """The stretches that nothing read so far accounts for."""
        found, at = list[tuple[int, int]](), self._area.start
        for start, end in sorted(self._extents):
            if start > at:
                found.append((at, start))
            at = max(at, end)
        return [*found, (at, self._area.end)] if at < self._area.end else found

    def _hidden_directories(self) -> Iterator[Member | Finding]:
        """Members that only another directory knows: of an archive before, behind, or in a comment."""
        left = _MOST_HIDDEN_ENDS
        for start, end in self._gaps():
            for found in ends_in(self._area, start, end, left):
                left -= 1
                entries = self._entries(read_directory(self._area, found, self._room))
                for entry in entries:
                    if entry.local is not None:
                        detail = f"a second directory lists {len(entries)} members that the last one does not"
                        yield from self._tell(Kind.AMBIGUOUS, "zip_hidden", detail)
                        yield from self._read(entry)

    def _hidden_entries(self) -> Iterator[Member | Finding]:
        """Members with a local header that no directory names."""
        area, left = self._area, _MOST_LOOKALIKES
        for start, end in self._gaps():
            stop = min(end + len(LOCAL) - 1, area.end)
            at = area.find(LOCAL, start, stop)
            while at >= 0:
                following = at + len(LOCAL)
                if at not in self._seen and plausible(area, at):
                    known = len(self._extents)
                    yield from self._hidden_entry(at, end)
                    following = max([following, *(reached for _, reached in self._extents[known:])])
                left -= 1
                if not left:
                    detail = "too much in the archive looks like members: the rest was not looked at"
                    yield Finding(Kind.LIMIT, "core", "limit", self._part.path, "max_parts", detail=detail)
                    return
                at = area.find(LOCAL, following, stop)

    def _hidden_others(self) -> Iterator[Member | Finding]:
        """Archives of other formats in bytes that no member accounts for: their programs look for them anywhere."""
        area = self._area
        for start, end in self._gaps():
            # What stands at the very beginning is the part itself, and has a reader of its own.
            begin = start + 1 if start == area.start else start
            found = [at for signature in _OTHERS if (at := area.find(signature, begin, end)) >= 0]
            if found:
                detail = "an archive of another format stands where the zip archive has none of its members"
                yield from self._tell(Kind.AMBIGUOUS, "zip_hidden", detail)
                yield Member("hidden", area.chunks(min(found), end, STEP_BYTES), raw_bytes=end - min(found))

    def _hidden_entry(self, at: int, gap_end: int) -> Iterator[Member | Finding]:
        local = read_local(self._area, at)
        if local is not None:
            self._seen.add(at)
            if not self._told & {"unopened", "multivolume"}:
                detail = "members have a local header and are not in the directory: they are read"
                yield from self._tell(Kind.AMBIGUOUS, "zip_hidden", detail)
            yield from self._read(Entry(at, local, ()), gap_end)
