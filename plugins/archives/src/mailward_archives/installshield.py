"""Installers made by InstallShield, behind a program: a list of files, packed or not, and cabinets of its own.

Two forms. "Setup.exe with MSI": a marker, a count, then for each file 312 bytes that name it and say
its packed size; the content is zlib, nibbles swapped and each byte masked with the name. The older
form: name, path, version and size as strings that end at a zero byte, then the content as it is;
among these are cabinets ("ISc("), whose directory is a file of its own, ``data1.hdr``.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from attrs import frozen

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, pieces
from mailward_archives.content import Content, unopened
from mailward_archives.inflate import inflated_from

MARK = b"InstallShield\0"
_KEY = b"\xec\xca\x79\xf8"
_RECORD = struct.Struct("<260sIIQ36x")
_BLOCK_BYTES = 1024
_MOST_FILES = 5000
_STRINGS = re.compile(rb"([\x20-\x7e]{1,260})\0([\x20-\x7e]{1,260})\0([\x20-\x7e]{0,40})\0(\d{1,10})\0")
_CABINET = b"ISc("
_NIBBLES = bytes((code >> 4 | code << 4) & 0xFF for code in range(256))
_SPLIT, _MASKED, _PACKED, _INVALID = 1, 2, 4, 8
_FILE = struct.Struct("<HQQQ16s16xIH20xBH")


@frozen
class Item:
    """One file behind the program: its name and where its content lies."""

    name: str
    start: int
    end: int


def listed(data: Data, start: int) -> tuple[Item, ...]:
    """The files of the older form, from ``start`` on; none where no list stands there."""
    found = list[Item]()
    while len(found) < _MOST_FILES and (match := _STRINGS.match(data, start)) is not None:
        end = match.end() + int(match[4])
        if end > len(data):
            break
        found.append(Item(match[1].decode("ascii"), match.end(), end))
        start = end
    return tuple(found)


def unpack_list(part: Part, data: Data, items: tuple[Item, ...]) -> Iterator[Member | Finding]:
    """The files of the older form, and those in its cabinets."""
    heads: dict[str, Item] = {}
    volumes: dict[str, Item] = {}
    for item in items:
        stem, _, extension = item.name.lower().rpartition(".")
        if data[item.start : item.start + 4] != _CABINET:
            yield Member(item.name, pieces(data, item.start, item.end))
        elif extension == "hdr":
            heads[stem.rstrip("0123456789")] = item
        else:
            volumes[stem] = item
    for stem, head in heads.items():
        cabinets = {int(name[len(stem) :] or 0): one for name, one in volumes.items() if name[len(stem) :].isdecimal()}
        try:
            yield from _cabinet(part, data, head, cabinets)
        except struct.error:
            yield unopened(part, "installshield: the directory ends too soon", head.name)
    if volumes and not heads:
        yield unopened(part, "installshield: cabinets without their directory")


def _cabinet(part: Part, data: Data, head: Item, volumes: dict[int, Item]) -> Iterator[Member | Finding]:
    """The files of a set of cabinets of version 6 and later."""
    (place,) = struct.unpack_from("<I", data, head.start + 12)
    base = head.start + place
    names_at, _, _, _, _, _, _, count = struct.unpack_from("<8I", data, base + 12)
    (files_at,) = struct.unpack_from("<I", data, base + 44)
    names_base = base + names_at
    for number in range(min(count, _MOST_FILES)):
        values = _FILE.unpack_from(data, names_base + files_at + number * _FILE.size)
        flags, size, packed, offset, _, name_at, _, _, volume = values
        if flags & _INVALID or not name_at or not size or not offset:
            continue
        end = data.find(b"\0", names_base + name_at, names_base + name_at + 260)
        name = data[names_base + name_at : max(end, names_base + name_at)].decode("cp1252", "replace")
        cabinet = volumes.get(volume)
        if cabinet is None or flags & (_SPLIT | _MASKED) or offset > cabinet.end - cabinet.start:
            yield unopened(part, "installshield: split, masked, or in a cabinet that is not here", name)
            continue
        start = cabinet.start + offset
        end = min(start + packed, cabinet.end)
        chunks = _chunked(data, start, end) if flags & _PACKED else pieces(data, start, min(start + size, cabinet.end))
        content = Content(chunks, (zlib.error, struct.error))
        yield Member(name, content, raw_bytes=end - start)
        if content.error:
            yield unopened(part, f"installshield: {content.error}", name)


def _chunked(data: Data, at: int, end: int) -> Iterator[bytes]:
    """A file in a cabinet: chunks of raw deflate, each after its size (2 bytes)."""
    while at + 2 <= end:
        (size,) = struct.unpack_from("<H", data, at)
        yield from inflated_from(iter((data[at + 2 : min(at + 2 + size, end)],)), -zlib.MAX_WBITS)
        at += 2 + size


def unpack_setup(part: Part, data: Data, start: int) -> Iterator[Member | Finding]:
    """The files of the newer form, whose marker stands at ``start``."""
    at = start + len(MARK)
    try:
        (count,) = struct.unpack_from("<I", data, at)
        at += 32
        for _ in range(min(count, _MOST_FILES)):
            raw, _, _, size = _RECORD.unpack_from(data, at)
            at += _RECORD.size
            name = raw.partition(b"\0")[0]
            if not name or size > len(data) - at:
                yield unopened(part, "installshield: a file record that does not fit")
                return
            content = Content(inflated_from(unmasked(data, at, at + size, name), zlib.MAX_WBITS), (zlib.error,))
            yield Member(name.decode("cp1252", "replace"), content, raw_bytes=size)
            if content.error:
                yield unopened(part, f"installshield: {content.error}", name.decode("cp1252", "replace"))
            at += size
    except struct.error:
        yield unopened(part, "installshield: the list of files ends too soon")


def unmasked(data: Data, start: int, end: int, name: bytes) -> Iterator[bytes]:
    """Packed content with the mask taken off; the mask starts again every 1,024 bytes."""
    key = bytes(byte ^ _KEY[number % 4] for number, byte in enumerate(name))
    mask = int.from_bytes((key * (_BLOCK_BYTES // len(key) + 1))[:_BLOCK_BYTES], "big")
    for at in range(start, end, _BLOCK_BYTES):
        block = data[at : min(at + _BLOCK_BYTES, end)].translate(_NIBBLES)
        part_of_mask = mask >> 8 * (_BLOCK_BYTES - len(block))
        yield (int.from_bytes(block, "big") ^ part_of_mask).to_bytes(len(block), "big")
