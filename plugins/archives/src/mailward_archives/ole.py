r"""OLE2 compound files (MS-CFB): Office 97 documents, msi, msg, thumbs.db: every stream is a member.

olefile reads the structure. A package (``\x01Ole10Native``) is taken apart into the file inside;
streams of PowerPoint and Outlook that hold more than bytes are taken apart by their own modules.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import olefile

from mailward import Finding, Member, Part
from mailward_archives import office
from mailward_archives.content import CHUNK_BYTES, Content, encrypted, limit, reason, unopened
from mailward_archives.inflate import inflated
from mailward_archives.msg import is_message, read_message
from mailward_archives.msi import stream_name
from mailward_archives.ole10native import parse_package
from mailward_archives.ppt import embedded
from mailward_archives.settings import ArchivesSettings

ERRORS = (
    OSError,
    ValueError,
    IndexError,
    KeyError,
    AttributeError,
    TypeError,
    struct.error,
    RecursionError,
    MemoryError,
)
"""What olefile raises on damaged input."""

_PACKAGE_MOST_BYTES = 64 * 1024 * 1024
_NATIVE = "\x01ole10native"
_ENCRYPTED_STREAMS = ("encryptedpackage", "encryptedsummary")
_DOC_ENCRYPTED = 0x0100
_FILEPASS = 0x002F
_ZLIB = b"\x78"


def read_ole(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    """The streams of a compound file; of an Outlook message, its bodies and attachments first."""
    with part.open() as file:
        try:
            storage = olefile.OleFileIO(file, raise_defects=olefile.DEFECT_FATAL)
            paths = storage.listdir(streams=True, storages=False)
        except ERRORS as error:
            yield unopened(part, f"ole: {reason(error)}")
            return
        yield from _content(part, storage, paths, settings)


def _content(
    part: Part, storage: Any, paths: list[list[str]], settings: ArchivesSettings
) -> Iterator[Member | Finding]:
    reported = False
    if is_message(paths):
        yield from read_message(part, storage, paths)
    for path in paths:
        name = "/".join(stream_name(piece) for piece in path)
        last = path[-1].lower()
        if not reported and _is_encrypted(storage, path):
            reported = True
            yield from office.unlocked(part, settings) or (encrypted(part, f"ole: {name!r} is encrypted"),)
        if last == _NATIVE:
            yield from _package(part, storage, path, name)
        elif last.startswith("_") and len(path) == 1:
            yield from _packed_object(part, storage, path, name)
        elif last == "powerpoint document":
            yield from embedded(part, _whole(storage, path))
        yield from _stream(part, storage, path, name)
    yield from _of_one_name(part, storage, paths)


def _stream(part: Part, storage: Any, where: Any, name: str) -> Iterator[Member | Finding]:
    content = Content(chunks(storage, where), ERRORS)
    yield Member(name, content)
    if content.error:
        yield unopened(part, f"ole: {content.error}", name)


def _of_one_name(part: Part, storage: Any, paths: list[list[str]]) -> Iterator[Member | Finding]:
    """The streams of a name that stands twice in a folder: which of them a program opens, the sender decides.

    The library opens the first of them only, where it is asked by name.
    """
    counted = Counter(tuple(piece.lower() for piece in path) for path in paths)
    names = {path[-1] for path, count in counted.items() if count > 1}
    for entry in storage.direntries if names else ():
        if entry is None or entry.entry_type != olefile.STGTY_STREAM or entry.name.lower() not in names:
            continue
        if entry.name.lower() == _NATIVE:
            yield from _package(part, storage, entry, entry.name)
        yield from _stream(part, storage, entry, entry.name)


def _opened(storage: Any, where: Any) -> BinaryIO:
    """A stream by its path, or by its entry in the directory."""
    found = storage.openstream(where) if isinstance(where, list) else storage._open(where.isectStart, where.size)
    return cast(BinaryIO, found)


def chunks(storage: Any, where: Any) -> Iterator[bytes]:
    """The content of a stream in pieces."""
    stream = _opened(storage, where)
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _whole(storage: Any, where: Any) -> bytes:
    """A stream in one piece; empty where it is damaged or too large."""
    try:
        size = storage.get_size(where) if isinstance(where, list) else where.size
        if size > _PACKAGE_MOST_BYTES:
            return b""
        return b"".join(chunks(storage, where))
    except ERRORS:
        return b""


def _package(part: Part, storage: Any, where: Any, name: str) -> Iterator[Member | Finding]:
    data = _whole(storage, where)
    package = parse_package(data)
    if package is not None:
        yield Member(package.name, (data[package.start : package.end],))
    elif not data:
        yield limit(part, "max_package", f"ole: the package {name!r} is empty, damaged or too large")
    elif len(data) > 4:
        # Not the packager's: what follows the size is the object itself.
        yield Member(f"{name} content", (data[4:],))


def _packed_object(part: Part, storage: Any, path: list[str], name: str) -> Iterator[Member | Finding]:
    """The object in a stream of Word 2003's ``oledata.mso``: its size, then a deflated compound file."""
    data = _whole(storage, path)
    if data[4:5] != _ZLIB:
        return
    content = Content(inflated(data[4:]), (zlib.error,))
    yield Member(f"{name}.ole", content, raw_bytes=len(data))
    if content.error:
        yield unopened(part, f"ole: {content.error}", f"{name}.ole")


def _is_encrypted(storage: Any, path: list[str]) -> bool:
    """Whether a stream says that its document is encrypted (MS-OFFCRYPTO, MS-DOC 2.5.2, MS-XLS 2.4.117)."""
    last = path[-1].lower()
    if last in _ENCRYPTED_STREAMS:
        return True
    if last not in ("worddocument", "workbook", "book"):
        return False
    try:
        head = storage.openstream(path).read(4096)
    except ERRORS:
        return False
    if last == "worddocument":
        return len(head) > 12 and bool(int.from_bytes(head[10:12], "little") & _DOC_ENCRYPTED)
    at = 0
    while at + 4 <= len(head):
        kind, size = struct.unpack_from("<HH", head, at)
        if kind == _FILEPASS:
            return True
        at += 4 + int(size)
    return False
