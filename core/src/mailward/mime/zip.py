"""The built-in reader of zip archives."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from mailward.mime.errors import MemberError
from mailward.mime.limits import MIB
from mailward.mime.member import Member
from mailward.mime.part import Part
from mailward.values.finding import Finding, Kind

_CHUNK_BYTES = 256 * 1024
_MOST_ENTRIES = 50_000
_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 0x1
_UNBOUNDED = 1 << 62
_EMPTY_BYTES = 32
_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    MemoryError,
)
"""What zipfile and the decompressors raise on damaged input."""


def unpack_zip(part: Part) -> Iterator[Member | Finding] | None:
    """The members of a zip archive; None where the content does not start like one, whatever its name.

    Declared sizes are not trusted: a member is read to the end of its compressed data. An archive
    that cannot be read yields a finding of kind unchecked; a member that cannot be read raises
    MemberError from its chunks.
    """
    if part.opaque or part.detected_type != "application/zip":
        return None
    return _members(part)


def _members(part: Part) -> Iterator[Member | Finding]:
    with part.open() as file:
        if _entries(file) > _MOST_ENTRIES:
            yield Finding(
                Kind.LIMIT, "core", "limit", part.path, "max_parts", detail="the archive lists too many members"
            )
            return
        try:
            archive = zipfile.ZipFile(file)
        except _ERRORS as error:
            yield Finding(Kind.UNCHECKED, "core", "unopened", part.path, detail=f"zip: {_reason(error)}")
            return
        with archive:
            for info in archive.infolist():
                # A directory has no content; one that claims some is a file with an odd name.
                if info.filename.endswith("/") and not info.file_size and info.compress_size <= _EMPTY_BYTES:
                    continue
                if info.flag_bits & _ENCRYPTED:
                    yield Member(info.filename, (), encrypted=True, raw_bytes=info.compress_size)
                else:
                    yield Member(info.filename, _chunks(archive, info), raw_bytes=info.compress_size)


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    # The reader stops at the declared size: say that it is endless and the data itself decides.
    info.file_size = _UNBOUNDED
    try:
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK_BYTES):
                yield chunk
    except _ERRORS as error:
        raise MemberError(f"zip: {_reason(error)}") from error


def _entries(file: BinaryIO) -> int:
    """Upper bound of the number of entries: zipfile makes an object of each before one can be refused."""
    count, tail = 0, b""
    while chunk := file.read(MIB):
        count += (tail + chunk).count(_ENTRY)
        tail = chunk[-3:]
    file.seek(0)
    return count


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
