"""The built-in reader of BinHex files, by themselves and within texts: each fork is a member."""

from __future__ import annotations

from collections.abc import Iterator

from mailward.mime.binhextext import MARK, Block, Forks, binhex_blocks
from mailward.mime.containers import CONTAINER_TYPES
from mailward.mime.errors import MemberError
from mailward.mime.magic import HEAD_BYTES, is_binary
from mailward.mime.member import Member
from mailward.mime.part import Part
from mailward.mime.source import Source
from mailward.values.finding import Finding, Kind

_BINARIES = CONTAINER_TYPES - {"application/mac-binhex40", "application/mbox"}


def unpack_binhex(part: Part) -> Iterator[Member | Finding] | None:
    """The forks of every BinHex file in a text; None for content without one.

    A resource fork is named after its file, as ``name/rsrc``. Where a file ends too soon its chunks
    raise MemberError.
    """
    if part.opaque or not part.is_leaf or part.detected_type in _BINARIES or is_binary(part.head(HEAD_BYTES)):
        return None
    source, start, end = part.inner()
    return None if source.find(MARK, start, end) < 0 else _members(part, source, start, end)


def _members(part: Part, source: Source, start: int, end: int) -> Iterator[Member | Finding]:
    for block in binhex_blocks(source, start, end):
        yield from _forks(part, source, block)


def _forks(part: Part, source: Source, block: Block) -> Iterator[Member | Finding]:
    forks = Forks.of(source, block)
    try:
        head = forks.head()
    except MemberError as error:
        yield Finding(Kind.UNCHECKED, "core", "unopened", part.path, detail=str(error))
        return
    for name, size in ((head.text, head.data_bytes), (f"{head.text}/rsrc", head.resource_bytes)):
        if size:
            left = _Counted(forks.fork(size))
            yield Member(name, left, raw_bytes=block.end - block.start)
            if left.size < size:
                # Cut off at a limit, or the file has no more.
                return
        forks.skip_crc()


class _Counted:
    """Chunks whose size is known afterwards."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size += len(chunk)
            yield chunk
