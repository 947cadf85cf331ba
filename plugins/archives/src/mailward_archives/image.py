"""Programs for Windows as the loader sees them (PE/COFF, 32 bits): headers, sections, imports."""

from __future__ import annotations

import struct

from attrs import frozen

from mailward_archives.buffer import Data

_SECTION = struct.Struct("<8xIIII12xI")
_MACHINE_386 = 0x014C
_PE32 = 0x010B
_MOST_SECTIONS = 96
_MOST_IMPORTS = 4096
_SECTOR = 0x200
PAGE = 0x1000
WRITABLE = 0x80000000


class ImageError(ValueError):
    """The program is not one that can be loaded here."""


@frozen
class Section:
    """One section: where it lies in memory and in the file, and its flags."""

    address: int
    size: int
    offset: int
    raw_size: int
    flags: int


@frozen
class Image:
    """What the headers of a program say."""

    base: int
    size: int
    entry: int
    imports_at: int
    sections: tuple[Section, ...]

    @property
    def looks_packed(self) -> bool:
        """Whether it starts in code that it may change, or outside its sections: programs as compiled do not."""
        for section in self.sections:
            if section.address <= self.entry < section.address + max(section.size, section.raw_size):
                return bool(section.flags & WRITABLE) or section is self.sections[-1]
        return True


def parse_image(data: Data, most_bytes: int) -> Image:
    """The headers of a 32-bit program; ImageError where it is none, or needs more memory than ``most_bytes``."""
    try:
        (at,) = struct.unpack_from("<I", data, 60)
        if data[at : at + 4] != b"PE\0\0":
            raise ImageError("no program")
        machine, sections = struct.unpack_from("<HH", data, at + 4)
        (optional,) = struct.unpack_from("<H", data, at + 20)
        (magic,) = struct.unpack_from("<H", data, at + 24)
        (entry,) = struct.unpack_from("<I", data, at + 40)
        (base,) = struct.unpack_from("<I", data, at + 52)
        (size,) = struct.unpack_from("<I", data, at + 80)
        (imports_at,) = struct.unpack_from("<I", data, at + 128)
        if machine != _MACHINE_386 or magic != _PE32 or sections > _MOST_SECTIONS:
            raise ImageError("not a 32-bit program for Intel")
        found = tuple(_section(data, at + 24 + optional + 40 * number) for number in range(sections))
    except struct.error as error:
        raise ImageError("the headers end too soon") from error
    if not 0 < size <= most_bytes or base % PAGE or not 0x10000 <= base <= 0x10000000:
        raise ImageError(f"an image of {size} bytes at {base:#x}")
    return Image(base, (size + PAGE - 1) // PAGE * PAGE, entry, imports_at, found)


def _section(data: Data, at: int) -> Section:
    size, address, raw_size, offset, flags = _SECTION.unpack_from(data, at)
    # The loader rounds as the disc does.
    return Section(address, size, offset // _SECTOR * _SECTOR, (raw_size + _SECTOR - 1) // _SECTOR * _SECTOR, flags)


def load(data: bytes, image: Image) -> bytearray:
    """The image in memory, before anything runs."""
    memory = bytearray(image.size)
    _put(memory, 0, data[:PAGE])
    for section in image.sections:
        _put(memory, section.address, data[section.offset : section.offset + section.raw_size])
    return memory


def _put(memory: bytearray, at: int, piece: bytes) -> None:
    piece = piece[: max(len(memory) - at, 0)]
    memory[at : at + len(piece)] = piece


def imports(memory: bytearray, image: Image) -> list[tuple[int, str]]:
    """Each imported function: where its address goes, and its name (``#N`` by number)."""
    found, at = list[tuple[int, str]](), image.imports_at
    try:
        while at and len(found) < _MOST_IMPORTS:
            lookup, _, _, library, table = struct.unpack_from("<5I", memory, at)
            at += 20
            if not library or not table:
                break
            source = lookup if 0 < lookup < len(memory) - 4 else table
            for number in range(_MOST_IMPORTS):
                (value,) = struct.unpack_from("<I", memory, source + 4 * number)
                if not value:
                    break
                found.append((table + 4 * number, f"#{value & 0xFFFF}" if value >> 31 else text(memory, value + 2)))
    except struct.error:
        return found
    return found


def text(memory: bytes | bytearray, at: int) -> str:
    """The characters at ``at`` up to a zero byte, at most 64."""
    return bytes(memory[at : at + 64]).partition(b"\0")[0].decode("latin-1")
