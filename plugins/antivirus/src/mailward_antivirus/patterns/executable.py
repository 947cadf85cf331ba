"""Where the entry point and the sections of a program stand in its file: PE and ELF, from their headers.

Numbers in a header are the attacker's: whatever does not add up has no entry point and no sections.
"""

from __future__ import annotations

import struct

from attrs import frozen

HEAD_BYTES = 64 * 1024
"""How much of a file is looked at for its headers."""

_MAX_SECTIONS = 96


@frozen
class Section:
    """A section: ``start`` and ``size`` in the file, ``address`` and ``memory`` when loaded (bytes)."""

    start: int
    size: int
    address: int
    memory: int


@frozen
class Layout:
    """Offsets in the file; ``entry`` is None where there is none."""

    entry: int | None = None
    sections: tuple[Section, ...] = ()


NO_LAYOUT = Layout()


def layout_of(head: bytes) -> Layout:
    """The layout of the program that begins with ``head``; `NO_LAYOUT` where it is none that can be read."""
    try:
        if head[:2] == b"MZ":
            return _pe(head)
        if head[:4] == b"\x7fELF":
            return _elf(head)
    except (struct.error, IndexError):
        return NO_LAYOUT
    return NO_LAYOUT


def _pe(head: bytes) -> Layout:
    (header,) = struct.unpack_from("<I", head, 0x3C)
    if head[header : header + 4] != b"PE\0\0":
        return NO_LAYOUT
    (count,) = struct.unpack_from("<H", head, header + 6)
    (optional_bytes,) = struct.unpack_from("<H", head, header + 20)
    (entry,) = struct.unpack_from("<I", head, header + 40)
    table = header + 24 + optional_bytes
    sections = []
    for number in range(min(count, _MAX_SECTIONS)):
        memory, address, size, start = struct.unpack_from("<4I", head, table + 40 * number + 8)
        sections.append(Section(start, size, address, memory))
    return Layout(_in_file(entry, sections), tuple(sections))


def _elf(head: bytes) -> Layout:
    wide, order = head[4] == 2, ">" if head[5] == 2 else "<"
    if wide:
        (entry,) = struct.unpack_from(order + "Q", head, 24)
        table, each, count = *struct.unpack_from(order + "Q", head, 32), *struct.unpack_from(order + "2H", head, 54)
    else:
        (entry,) = struct.unpack_from(order + "I", head, 24)
        table, each, count = *struct.unpack_from(order + "I", head, 28), *struct.unpack_from(order + "2H", head, 42)
    segments = []
    for number in range(min(count, _MAX_SECTIONS)):
        at = table + each * number
        if wide:
            kind, _, start, address, _, size, memory = struct.unpack_from(order + "2I5Q", head, at)
        else:
            kind, start, address, _, size, memory = struct.unpack_from(order + "6I", head, at)
        if kind == 1:
            segments.append(Section(start, size, address, memory))
    return Layout(_in_file(entry, segments), ())


def _in_file(address: int, sections: list[Section]) -> int | None:
    """A loaded address as an offset in the file."""
    for section in sections:
        if section.address <= address < section.address + max(section.size, section.memory):
            return section.start + address - section.address
    return None
