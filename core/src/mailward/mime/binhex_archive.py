"""Texts with BinHex files written again (RFC 1741)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import evolve, frozen

from mailward.mime.archive import Substitute
from mailward.mime.binhextext import MARK, Block, Forks, Head, binhex, binhex_blocks, file_name, is_sound
from mailward.mime.errors import MemberError
from mailward.mime.limits import MIB
from mailward.mime.scratch import pieces
from mailward.mime.source import Source

_MOST_FILES = 1000


@frozen(slots=True)
class Fork:
    """One fork of a file in a text: the data fork, or the resource fork."""

    area: Source
    block: Block
    head: Head
    is_resource: bool

    @property
    def names(self) -> Sequence[str]:
        """The name of the file, of a resource fork with a word behind it."""
        return (f"{self.head.text}/rsrc" if self.is_resource else self.head.text,)

    def content(self) -> Iterator[bytes]:
        """The content in bounded pieces; may raise MemberError."""
        forks = Forks.of(self.area, self.block)
        forks.head()
        if self.is_resource:
            for _ in forks.fork(self.head.data_bytes):
                continue
            forks.skip_crc()
        yield from forks.fork(self.head.resource_bytes if self.is_resource else self.head.data_bytes)


@frozen(slots=True)
class BinhexText:
    """A text whose BinHex files are all in order."""

    area: Source
    slots: Sequence[Fork]
    is_document: bool = False

    def rewritten(self, substitutes: Mapping[int, Substitute]) -> Iterator[bytes]:
        """The text with forks replaced: their files are written again, every other byte stays."""
        changed: dict[int, dict[bool, Substitute]] = {}
        for number, substitute in substitutes.items():
            changed.setdefault(self.slots[number].block.start, {})[self.slots[number].is_resource] = substitute
        at = self.area.start
        for slot in self.slots:
            fresh = changed.pop(slot.block.start, None)
            if fresh is None:
                continue
            yield from self.area.chunks(at, slot.block.start, MIB)
            yield from self._file(slot, fresh.get(False), fresh.get(True))
            at = slot.block.end
        yield from self.area.chunks(at, self.area.end, MIB)

    def _file(self, slot: Fork, data: Substitute | None, resource: Substitute | None) -> Iterator[bytes]:
        block, head = slot.block, slot.head
        if data is not None:
            head = evolve(head, data_bytes=_size(data))
            if data.name:
                # Whatever stood there: now it is a text to read.
                named = Head(file_name(data.name))
                head = evolve(head, name=named.name, kind=named.kind, creator=named.creator, flags=named.flags)
        if resource is not None:
            head = evolve(head, resource_bytes=_size(resource))
        first = self.area.copy(block.start, min(block.start + 128, block.data_start))
        line_end = b"\r\n" if b"\r\n" in first else b"\n"
        return binhex(head, self._fork(slot, data, False), self._fork(slot, resource, True), line_end)

    def _fork(self, slot: Fork, substitute: Substitute | None, is_resource: bool) -> Iterable[bytes]:
        return evolve(slot, is_resource=is_resource).content() if substitute is None else pieces(substitute.content)


def _size(substitute: Substitute) -> int:
    return substitute.content.end - substitute.content.start


def open_binhex(area: Source) -> BinhexText | None:
    """The text, None where it has no BinHex file, or one that is damaged or has more in it than its forks."""
    slots = list[Fork]()
    if area.find(MARK, area.start, area.end) < 0:
        return None
    for number, block in enumerate(binhex_blocks(area, area.start, area.end)):
        head = _sound_head(area, block) if number < _MOST_FILES else None
        if head is None:
            return None
        for is_resource, size in ((False, head.data_bytes), (True, head.resource_bytes)):
            if size:
                slots.append(Fork(area, block, head, is_resource))
    return BinhexText(area, slots) if slots else None


def _sound_head(area: Source, block: Block) -> Head | None:
    """The header of a file that is read to its end without damage."""
    if not is_sound(area, block):
        return None
    forks = Forks.of(area, block)
    try:
        head = forks.head()
        for size in (head.data_bytes, head.resource_bytes):
            for _ in forks.fork(size):
                continue
            forks.skip_crc()
    except MemberError:
        return None
    return head
