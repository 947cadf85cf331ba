"""Formats that only the 7-Zip program reads: arj, chm, nsis, udf, wim, disk images, odd methods in zip.

The program gets its arguments as a list, the container as a descriptor without a name, and limits
on memory and time. Nothing is extracted to disk: members come through a pipe. Few members are asked
for one by one; many come in one stream that is cut by the listed sizes.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import subprocess
import time
from collections.abc import Generator, Iterator
from functools import partial
from typing import BinaryIO

from attrs import define, evolve, field, frozen

from mailward import Finding, Member, Part
from mailward_archives.buffer import file_of
from mailward_archives.content import Content, encrypted, multivolume, unopened
from mailward_archives.listing import Entry, Listing, parse_listing

_PROGRAMS = ("7zz", "7z", "7za")
_PIPE_BYTES = 64 * 1024
_LISTING_MOST_BYTES = 8 * 1024 * 1024
_ERROR_BYTES = 4096
_ONE_BY_ONE = 24
_NO_PASSWORD = "-"  # answers the question for a password, which the program would otherwise wait for
_TRIED_BYTES = 1024 * 1024
_ERRORS = (OSError, ValueError)


class ProgramError(ValueError):
    """The program failed, ran out of time or listed what cannot be read."""


def program() -> str:
    """The path of the 7-Zip program; empty where there is none."""
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), "")


def missing() -> str:
    """What this reader needs and does not stand ready; empty when all is there."""
    return "" if program() else "the 7-Zip program (7zz or 7z)"


@frozen
class SevenZip:
    """A reader for one format, by the program's name for it (empty: by content), and a password where one is known."""

    name: str
    type: str = ""
    timeout_s: float = field(default=20.0)
    memory_bytes: int = field(default=1024 * 1024 * 1024)
    password: str = field(default="", repr=False)

    def __call__(self, part: Part) -> Iterator[Member | Finding]:
        """The members of ``part``."""
        with file_of(part) as file:
            try:
                listing = self.listing(file)
            except _ERRORS as error:
                yield unopened(part, f"{self.name}: {error}")
                return
            yield from self._complaints(part, listing)
            files = [entry for entry in listing.entries if not entry.folder]
            locked = [entry for entry in files if entry.encrypted and not self.password]
            for entry in locked:
                yield Member(entry.path, (), encrypted=True)
            readable = [entry for entry in files if self.password or not entry.encrypted]
            in_one_stream = not locked and all(entry.size >= 0 for entry in readable)
            # Asked for by its name, the program gives the content of all members of that name.
            same = len({entry.path for entry in readable}) != len(readable)
            if in_one_stream and (same or len(readable) > _ONE_BY_ONE):
                yield from self._all(part, file, readable)
                return
            if same:
                yield unopened(part, f"{self.name}: members of the same name, of which not all sizes are listed")
            astray = yield from self._each(part, file, readable)
            # The list shows names with odd characters otherwise than they are, and nothing has the name asked for.
            if astray and in_one_stream:
                yield from self._all(part, file, readable)
                return
            for entry in astray:
                yield unopened(part, f"{self.name}: not found as it is listed", entry.path)

    def listing(self, file: BinaryIO) -> Listing:
        """What the program lists; raises OSError or ProgramError where it lists nothing."""
        text, problem = self._list(file)
        listing = parse_listing(text)
        # The program lists what it can, and why it cannot go on, but for a password that is missing.
        told = parse_listing(f"ERROR: {problem}") if problem else listing
        return evolve(listing, complaint=told.complaint) if told.is_hidden or not listing.entries else listing

    def content(self, file: BinaryIO, entry: Entry) -> Content:
        """The content of one member."""
        return Content(self._run(file, "x", "-so", entry.path), _ERRORS)

    def opens(self, file: BinaryIO, entry: Entry) -> bool:
        """Whether a member can be read with the password of this reader: the first megabyte of it tells."""
        content, size = self.content(file, entry), 0
        for chunk in content:
            size += len(chunk)
            if size > _TRIED_BYTES:
                return True
        return content.whole and size == entry.size

    def _complaints(self, part: Part, listing: Listing) -> Iterator[Finding]:
        if listing.is_hidden:
            yield encrypted(part, f"{self.name}: {listing.complaint}")
        elif listing.complaint:
            yield unopened(part, f"{self.name}: {listing.complaint}")
        if listing.volumes:
            yield multivolume(part, f"{self.name}: a volume of a set")

    def _each(self, part: Part, file: BinaryIO, entries: list[Entry]) -> Generator[Member | Finding, None, list[Entry]]:
        """The members, each asked for by its name; returns those of which less came than is listed."""
        astray = list[Entry]()
        for entry in entries:
            # A name that starts with a dash or holds a wildcard is a name all the same (-spd, --).
            content = Counted(self.content(file, entry), entry.size)
            yield Member(entry.path, content, size_hint=max(entry.size, 0))
            if content.more:
                # With a file of NTFS its other streams come.
                yield Member(f"{entry.path}:more", content.behind())
            if content.chunks.error:
                yield unopened(part, f"{self.name}: {content.chunks.error}", entry.path)
            elif content.chunks.whole and (content.size < entry.size or not (content.size or entry.size >= 0)):
                astray.append(entry)
        return astray

    def _all(self, part: Part, file: BinaryIO, entries: list[Entry]) -> Iterator[Member | Finding]:
        stream = _Cut(self._run(file, "x", "-so"))
        for entry in entries:
            content = Content(stream.take(entry.size), _ERRORS)
            yield Member(entry.path, content, size_hint=entry.size)
            if content.error:
                yield unopened(part, f"{self.name}: {content.error}", entry.path)
                return
            if not content.whole and not stream.skip():
                yield unopened(part, f"{self.name}: the rest was not looked at", entry.path)
                return
        if stream.more():
            yield unopened(part, f"{self.name}: more content than the listing says")

    def _list(self, file: BinaryIO) -> tuple[str, str]:
        """What the program printed, and how it failed after that; ProgramError where it printed nothing."""
        pieces, size, problem = list[bytes](), 0, ""
        try:
            for piece in self._run(file, "l", "-slt"):
                pieces.append(piece)
                size += len(piece)
                if size > _LISTING_MOST_BYTES:
                    raise ProgramError("the listing is too long")
        except ProgramError as error:
            if not pieces or size > _LISTING_MOST_BYTES:
                raise
            problem = str(error)
        return b"".join(pieces).decode("utf-8", "replace"), problem

    def _run(self, file: BinaryIO, command: str, *arguments: str) -> Iterator[bytes]:
        switches = [
            command,
            "-bd",
            "-y",
            "-spd",
            "-sccUTF-8",
            "-mmt1",
            f"-p{self.password or _NO_PASSWORD}",
            *arguments[:1],
        ]
        kind = [f"-t{self.type}"] if self.type else []
        number = file.fileno()
        line = [program(), *switches, *kind, "--", f"/dev/fd/{number}", *arguments[1:]]
        if "\0" in "".join(line):
            raise ProgramError("a name with a zero byte")
        with self._spawn(line, number) as child:
            try:
                yield from _output(child, self.timeout_s)
            finally:
                child.kill()

    def _spawn(self, line: list[str], number: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(number,),
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                # before the program begins, so that it never runs without limits
                preexec_fn=partial(_confine, self.memory_bytes, self.timeout_s),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ProgramError(f"cannot be started: {type(error).__name__}") from error


def _confine(memory_bytes: int, cpu_s: float) -> None:
    seconds = max(1, int(cpu_s))
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))


def _output(child: subprocess.Popen[bytes], timeout_s: float) -> Iterator[bytes]:
    """What the program writes; ProgramError with its own words where it fails."""
    assert child.stdout is not None
    assert child.stderr is not None
    out, err = child.stdout.fileno(), child.stderr.fileno()
    waiting, complaint, spent_s = [out, err], b"", 0.0
    while waiting:
        started = time.monotonic()
        ready, _, _ = select.select(waiting, (), (), max(timeout_s - spent_s, 0))
        spent_s += time.monotonic() - started
        if not ready:
            raise ProgramError(f"no end after {timeout_s:g} s")
        if err in ready:
            piece = os.read(err, _ERROR_BYTES)
            complaint = (complaint + piece)[:_ERROR_BYTES]
            if not piece:
                waiting.remove(err)
        if out in ready:
            piece = os.read(out, _PIPE_BYTES)
            if not piece:
                waiting.remove(out)
            else:
                yield piece
    if child.wait(timeout=5) != 0:
        words = complaint.decode("utf-8", "replace").split()
        raise ProgramError(" ".join(words)[:200] or f"ended with status {child.returncode}")


@define
class Counted:
    """Content whose size is known afterwards; of what is longer than listed (-1: not listed), the rest comes apart."""

    chunks: Content
    listed: int = -1
    size: int = 0
    more: bytes = b""
    _source: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        self._source = iter(self.chunks)
        for chunk in self._source:
            room = len(chunk) if self.listed < 0 else self.listed - self.size
            self.size += len(chunk)
            if len(chunk) > room:
                self.more = chunk[room:]
                if room:
                    yield chunk[:room]
                return
            yield chunk

    def behind(self) -> Iterator[bytes]:
        """What follows the listed size."""
        yield self.more
        for chunk in self._source or ():
            self.size += len(chunk)
            yield chunk


class _Cut:
    """One stream cut into members by their sizes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self._left = 0

    def take(self, size: int) -> Iterator[bytes]:
        """The next ``size`` bytes; ProgramError where the stream ends before."""
        self._left = size
        while self._left > 0:
            if not self._rest:
                self._rest = next(self._chunks, b"")
            if not self._rest:
                raise ProgramError("less content than the listing says")
            piece, self._rest = self._rest[: self._left], self._rest[self._left :]
            self._left -= len(piece)
            yield piece

    def skip(self) -> bool:
        """Read past what was left of the last member."""
        try:
            for _ in self.take(self._left):
                continue
        except ProgramError:
            return False
        return True

    def more(self) -> bool:
        """Whether anything follows."""
        try:
            return bool(self._rest or next(self._chunks, b""))
        except ProgramError:
            return True
