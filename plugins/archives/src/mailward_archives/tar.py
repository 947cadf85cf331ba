"""Tape archives: v7, ustar, pax and GNU, read by the standard library's tarfile, one header at a time.

Nothing is extracted: names are handed on as they stand, links are reported and not followed, and
devices are what they say they are.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from mailward import Finding, Kind, Member, Part
from mailward_archives.content import CHUNK_BYTES, PLUGIN, Content, note, reason, unopened

_ERRORS = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, RecursionError, MemoryError)
_MOST_NOTES = 100


def read_tar(part: Part) -> Iterator[Member | Finding]:
    """The regular files of a tape archive; a note for each link, device and pipe, up to a hundred.

    What follows the end of the archive is a member of its own.
    """
    with part.open() as file:
        try:
            archive = tarfile.open(fileobj=file, mode="r:", errorlevel=2)  # noqa: SIM115 closed with the file
        except _ERRORS as error:
            yield unopened(part, f"tar: {reason(error)}")
            return
        notes = 0
        while True:
            try:
                entry = archive.next()
            except _ERRORS as error:
                yield unopened(part, f"tar: {reason(error)}")
                return
            if entry is None:
                break
            # tarfile keeps every header it has read.
            vars(archive)["members"].clear()
            if _is_file(entry):
                content = Content(_chunks(archive, entry), _ERRORS)
                yield Member(entry.name, content, size_hint=entry.size)
                if content.error:
                    yield unopened(part, f"tar: {content.error}", entry.name)
                continue
            if not entry.isdir() and notes < _MOST_NOTES:
                notes += 1
                yield note(part, "special", entry.name, _special(entry))
            if entry.size > 0:
                yield from _behind(part, file, archive, entry)
        if (start := _rest(file, archive.offset)) is not None:
            yield Member("trailing", _from(file, start))


def _is_file(entry: tarfile.TarInfo) -> bool:
    """Whether programs extract it as a file: entries of a type that they do not know are files to them."""
    return entry.isreg() or entry.type not in tarfile.SUPPORTED_TYPES


def _behind(part: Part, file: BinaryIO, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[Member | Finding]:
    """What an entry without content states a size for: some programs believe that, others go on right behind it.

    What stands there is a member, unless it is a header. Where it is one, both ways are gone.
    """
    start = entry.offset_data
    end = start + (entry.size + tarfile.BLOCKSIZE - 1) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
    if not _is_header(file, start):
        content = Content(_from(file, start, start + entry.size), _ERRORS)
        yield Member(entry.name, content, size_hint=entry.size)
        archive.offset = end
    elif _is_header(file, end) and end > start:
        detail = f"tar: {entry.name[:80]!r} has no content and states a size: programs go on at different places"
        yield Finding(Kind.AMBIGUOUS, PLUGIN, "tar_size", part.path, entry.name, detail=detail)
        yield Member("skipped", _from(file, end))


def _is_header(file: BinaryIO, at: int) -> bool:
    file.seek(at)
    try:
        tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), tarfile.ENCODING, "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _rest(file: BinaryIO, start: int) -> int | None:
    """Where something else than zeros stands behind the last entry: a damaged header, another archive."""
    file.seek(start)
    while block := file.read(CHUNK_BYTES):
        if block.strip(b"\0"):
            # Headers stand on block boundaries, counted from the first.
            at = len(block) - len(block.lstrip(b"\0"))
            return start + at - at % tarfile.BLOCKSIZE
        start += len(block)
    return None


def _from(file: BinaryIO, start: int, end: int = sys.maxsize) -> Iterator[bytes]:
    file.seek(start)
    while start < end and (chunk := file.read(min(CHUNK_BYTES, end - start))):
        start += len(chunk)
        yield chunk


def _chunks(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[bytes]:
    member = archive.extractfile(entry)
    while member is not None and (chunk := member.read(CHUNK_BYTES)):
        yield chunk


def _special(entry: tarfile.TarInfo) -> str:
    if entry.issym() or entry.islnk():
        return f"a link to {entry.linkname[:200]!r}, not followed"
    if entry.ischr() or entry.isblk():
        return f"a device, {entry.devmajor}:{entry.devminor}"
    return "a pipe" if entry.isfifo() else f"an entry of type {entry.type!r}"
