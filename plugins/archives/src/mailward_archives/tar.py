"""Tape archives: v7, ustar, pax and GNU, read by the standard library's tarfile, one header at a time.

Nothing is extracted: names are handed on as they stand, links are reported and not followed, and
devices are what they say they are.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from mailward import Finding, Member, Part
from mailward_archives.content import CHUNK_BYTES, Content, note, reason, unopened

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
            if entry.isreg():
                content = Content(_chunks(archive, entry), _ERRORS)
                yield Member(entry.name, content, size_hint=entry.size)
                if content.error:
                    yield unopened(part, f"tar: {content.error}", entry.name)
            elif not entry.isdir() and notes < _MOST_NOTES:
                notes += 1
                yield note(part, "special", entry.name, _special(entry))
        if (start := _rest(file, archive.offset)) is not None:
            yield Member("trailing", _from(file, start))


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


def _from(file: BinaryIO, start: int) -> Iterator[bytes]:
    file.seek(start)
    while chunk := file.read(CHUNK_BYTES):
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
