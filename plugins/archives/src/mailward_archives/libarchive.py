"""Formats that libarchive reads: 7z, rar, cab, lha, iso9660, cpio, ar, rpm, compress, zstd.

The binding is libarchive-c, the library the system's own. Each format is asked for by name, so that
content cannot choose another reader than its type has. Members are read one after the other.
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, BinaryIO

from attrs import define, frozen

from mailward import Finding, Member, Part
from mailward_archives.buffer import file_of
from mailward_archives.content import CHUNK_BYTES, Content, encrypted, limit, multivolume, note, reason, unopened
from mailward_archives.streams import stem

try:
    libarchive: Any = import_module("libarchive")
    ffi: Any = import_module("libarchive.ffi")
except (ImportError, OSError, AttributeError, TypeError) as error:
    libarchive = None
    _MISSING = f"libarchive-c with the system's libarchive ({type(error).__name__})"
else:
    _MISSING = ""
    # The binding logs every warning of the library: lines that the sender of a mail could write.
    logging.getLogger("libarchive").disabled = True

_ENCRYPTED_WORDS = ("encrypt", "passphrase")
_VOLUME_WORDS = ("multivolume", "multi-volume", "volume", "split", "spanned")
_SKIPPED_MOST_BYTES = 256 * 1024 * 1024
_RAW = "raw"
_MOST_FAILURES = 50
_MOST_READERS = 8
_KIND, _FILES = 0o170000, (0, 0o100000)
_ADDRESS = re.compile(r"[ ,(]*(?:errno|retcode|archive_p)=(?:-?\d+|None)\)?")


def missing() -> str:
    """What these readers need and does not stand ready; empty when all is there."""
    return _MISSING


@frozen
class Recipe:
    """How libarchive is asked: its names for the format and for what is wrapped around it."""

    name: str
    format: str
    filters: tuple[str, ...] = ("none",)
    suffixes: tuple[str, ...] = ()

    def __call__(self, part: Part) -> Iterator[Member | Finding]:
        """The members of ``part``.

        What comes behind damage that the library cannot read past is looked for by a fresh reader.
        """
        with file_of(part) as file:
            passed = 0
            for _ in range(_MOST_READERS):
                with _archive(file, self) as (archive, problem):
                    if archive is None:
                        yield classified(part, self.name, problem)
                        return
                    walk = _Walk(part, self, archive, passed)
                    yield from walk.members()
                if walk.ended:
                    return
                passed = walk.passed
            yield unopened(part, f"{self.name}: too many damaged members")


SEVEN_ZIP = Recipe("7z", "7zip")
RAR3 = Recipe("rar", "rar")
RAR5 = Recipe("rar", "rar5")
CAB = Recipe("cab", "cab")
LHA = Recipe("lha", "lha")
ISO = Recipe("iso", "iso9660")
CPIO = Recipe("cpio", "cpio")
AR = Recipe("ar", "ar")
RPM = Recipe("rpm", "cpio", ("rpm", "gzip", "bzip2", "xz", "lzma", "zstd"))
COMPRESS = Recipe("compress", _RAW, ("compress",), (".z", ".taz"))
ZSTD = Recipe("zstd", _RAW, ("zstd",), (".zst", ".zstd", ".tzst"))
LZ4 = Recipe("lz4", _RAW, ("lz4",), (".lz4", ".tlz4"))
LZIP = Recipe("lzip", _RAW, ("lzip",), (".lz", ".tlz"))


def _errors() -> tuple[type[BaseException], ...]:
    return (libarchive.ArchiveError, OSError, ValueError, MemoryError)


@contextmanager
def _archive(file: BinaryIO, recipe: Recipe) -> Iterator[tuple[Any, str]]:
    """The opened archive and no problem, or None and what kept it from opening."""
    file.seek(0)
    pointer = ffi.read_new()
    try:
        problem = ""
        try:
            for name in recipe.filters:
                _support(pointer, "filter", name)
            _support(pointer, "format", recipe.format)
            ffi.read_open_fd(pointer, file.fileno(), 64 * 1024)
        except _errors() as error:
            problem = reason(error)
        yield (None, problem) if problem else (libarchive.read.ArchiveRead(pointer), "")
    finally:
        ffi.read_free(pointer)


def _support(pointer: Any, kind: str, name: str) -> None:
    """Allow one format or filter, where the library has it within: what it lacks it would leave to another program."""
    function = ffi.libarchive[f"archive_read_support_{kind}_{name}"]
    function.argtypes = [ctypes.c_void_p]
    function.restype = ctypes.c_int
    if function(pointer) < ffi.ARCHIVE_OK:
        raise libarchive.ArchiveError(f"libarchive was built without {name}")


def _is_encrypted() -> Callable[[Any], int]:
    function = ffi.libarchive["archive_entry_is_encrypted"]
    function.argtypes = [ctypes.c_void_p]
    function.restype = ctypes.c_int
    return lambda entry: int(function(entry._entry_p))


def _is_fatal(error: BaseException | None) -> bool:
    """Whether the reader must not be asked again: going on where it gave up may crash the process."""
    return isinstance(error, libarchive.ArchiveError) and error.retcode == ffi.ARCHIVE_FATAL


@define
class _Walk:
    """One reader on its way through an archive, whose first ``passed`` members were looked at before.

    ``ended``: there is nothing more to look for, because the end was reached or what keeps from it was told.
    """

    part: Part
    recipe: Recipe
    archive: Any
    passed: int
    ended: bool = True

    def members(self) -> Iterator[Member | Finding]:
        """What follows the members that were passed, up to the end or to damage that cannot be read past."""
        is_encrypted = _is_encrypted()
        entries, failures = iter(self.archive), 0
        for number in itertools.count():
            try:
                entry = next(entries, None)
            except _errors() as error:
                yield classified(self.part, self.recipe.name, reason(error))
                return
            if entry is None:
                return
            if number < self.passed:
                continue
            self.passed += 1
            name = _name(self.part, self.recipe, entry)
            if is_encrypted(entry):
                yield Member(name, (), encrypted=True)
                continue
            if entry.issym or entry.islnk:
                yield note(self.part, "special", name, f"a link to {str(entry.linkpath)[:200]!r}, not followed")
            content = Content(_chunks(self.archive), _errors())
            if entry.filetype & _KIND in _FILES:
                if not name:
                    yield unopened(self.part, f"{self.recipe.name}: a member whose name cannot be read")
                yield Member(name, content, raw_bytes=self.part.size if self.recipe.format == _RAW else 0)
                if content.error:
                    failures += 1
                    yield classified(self.part, self.recipe.name, content.error, name)
            if not content.whole and content.failure is None:
                # The library would read past what is left by itself, for as long as it takes.
                content = Content(_chunks(self.archive), _errors())
                if not _is_short(content):
                    yield limit(self.part, "max_skip", f"the members after {name!r} lie behind too much packed content")
                    return
            if failures > _MOST_FAILURES:
                yield unopened(self.part, f"{self.recipe.name}: too many damaged members")
                return
            if _is_fatal(content.failure):
                self.ended = False
                return


def _is_short(rest: Content) -> bool:
    """Read past what is left of a member that nobody wanted whole; False where that would never end."""
    size = 0
    for chunk in rest:
        size += len(chunk)
        if size > _SKIPPED_MOST_BYTES:
            return False
    return True


def _name(part: Part, recipe: Recipe, entry: Any) -> str:
    if recipe.format == _RAW:
        return stem(part.filename, recipe.suffixes)
    name = entry.pathname
    return name if isinstance(name, str) else (name or b"").decode("utf-8", "replace")


def _chunks(archive: Any) -> Iterator[bytes]:
    """The content of the present member, gaps in it as zeros.

    Block by block: the library's other function, and the binding around it, lose what stands before damage.
    """
    read = ffi.libarchive["archive_read_data_block"]
    read.argtypes = [ctypes.c_void_p] * 4
    block, size, offset, position = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_int64(), 0
    while True:
        answer = read(archive._pointer, ctypes.byref(block), ctypes.byref(size), ctypes.byref(offset))
        if answer == ffi.ARCHIVE_EOF:
            return
        if answer >= ffi.ARCHIVE_WARN and size.value:
            while position < offset.value:
                gap = min(offset.value - position, CHUNK_BYTES)
                yield bytes(gap)
                position += gap
            for at in range(0, size.value, CHUNK_BYTES):
                yield ctypes.string_at((block.value or 0) + at, min(CHUNK_BYTES, size.value - at))
            position += size.value
        if answer < ffi.ARCHIVE_OK:
            detail = (ffi.error_string(archive._pointer) or b"damaged").decode("utf-8", "replace")
            raise libarchive.ArchiveError(detail, retcode=answer)


def classified(part: Part, name: str, problem: str, member: str = "") -> Finding | Member:
    """What an error of the library says: encrypted, a further volume, or not readable."""
    problem = _ADDRESS.sub("", problem)
    lower = problem.lower()
    if any(word in lower for word in _ENCRYPTED_WORDS):
        if member:
            return Member(member, (), encrypted=True)
        return encrypted(part, f"{name}: {problem}")
    if any(word in lower for word in _VOLUME_WORDS):
        return multivolume(part, f"{name}: {problem}")
    return unopened(part, f"{name}: {problem}", member)
