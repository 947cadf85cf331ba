"""Programs: headers of PE, ELF and Mach-O files, read as far as they tell something."""

from __future__ import annotations

import math
import struct
from collections import Counter

from attrs import frozen

from mailward import Part
from mailward_antivirus.heuristics.trait import Traits, trait

HEAD_BYTES = 256 * 1024
_SAMPLE_BYTES = 16 * 1024
_PACKED_ENTROPY_BITS = 7.2
_MAX_SECTIONS = 96
_EXECUTE, _WRITE = 0x20000000, 0x80000000
_PACKERS: dict[bytes, str] = {
    name: packer
    for packer, names in {
        "UPX": (b"UPX0", b"UPX1"),
        "ASPack": (b".aspack", b".adata"),
        "PECompact": (b"PEC2",),
        "Petite": (b".petite",),
        "MPRESS": (b".MPRESS1",),
        "VMProtect": (b".vmp0", b".vmp1"),
        "Themida": (b".themida",),
        "Enigma": (b".enigma1",),
        "FSG": (b"FSG!",),
        "NsPack": (b".nsp0", b"nsp0"),
        "Upack": (b".Upack",),
        "MEW": (b"MEW",),
    }.items()
    for name in names
}


@frozen
class Section:
    """One section of a PE file."""

    name: bytes
    address: int
    virtual_bytes: int
    offset: int
    raw_bytes: int
    flags: int


def inspect_program(part: Part) -> Traits:
    """A program, and what its header tells."""
    head = part.head(HEAD_BYTES)
    if head.startswith(b"MZ"):
        yield trait("program", "PE" if _pe_offset(head) else "DOS")
        yield from _pe(head)
    elif head.startswith(b"\x7fELF"):
        yield trait("program", "ELF")
        yield from _elf(head)
    else:
        yield trait("program", "Mach-O")
        yield from _mach(head)


def entropy_bits(data: bytes) -> float:
    """Shannon entropy of bytes, 0 to 8 bits."""
    if not data:
        return 0.0
    total = len(data)
    return -sum(count / total * math.log2(count / total) for count in Counter(data).values())


def _pe_offset(head: bytes) -> int:
    if len(head) < 64:
        return 0
    offset: int = struct.unpack_from("<I", head, 60)[0]
    return offset if head[offset : offset + 4] == b"PE\0\0" else 0


def _pe(head: bytes) -> Traits:
    offset = _pe_offset(head)
    if not offset or len(head) < offset + 24 + 60:
        return
    _, count, _, _, _, optional_bytes, flags = struct.unpack_from("<HHIIIHH", head, offset + 4)
    optional = offset + 24
    entry = struct.unpack_from("<I", head, optional + 16)[0]
    sections = _sections(head, optional + optional_bytes, min(count, _MAX_SECTIONS))
    if not 0 < count <= _MAX_SECTIONS or len(sections) < min(count, _MAX_SECTIONS):
        yield trait("program_odd_header", f"{count} sections, {len(sections)} in the file")
        return
    yield from _odd_pe(sections, entry, is_library=bool(flags & 0x2000))
    yield from _packed_pe(head, sections)


def _sections(head: bytes, start: int, count: int) -> list[Section]:
    found: list[Section] = []
    for place in range(start, start + 40 * count, 40):
        if place + 40 > len(head):
            break
        name, virtual_bytes, address, raw_bytes, offset, flags = struct.unpack_from("<8sIIII12xI", head, place)
        found.append(Section(name.rstrip(b"\0"), address, virtual_bytes, offset, raw_bytes, flags))
    return found


def _odd_pe(sections: list[Section], entry: int, is_library: bool) -> Traits:
    holder = next((s for s in sections if s.address <= entry < s.address + max(s.virtual_bytes, s.raw_bytes)), None)
    if holder is None:
        if entry or not is_library:
            yield trait("program_odd_header", f"the entry point {entry:#x} lies in no section")
    elif holder.flags & _EXECUTE and holder.flags & _WRITE:
        yield trait("program_odd_header", f"the entry point is in {holder.name!r}, which is writable")
    elif not holder.flags & _EXECUTE:
        yield trait("program_odd_header", f"the entry point is in {holder.name!r}, which is not code")


def _packed_pe(head: bytes, sections: list[Section]) -> Traits:
    for section in sections:
        if section.name in _PACKERS:
            yield trait("program_packed", f"a section of {_PACKERS[section.name]}: {section.name!r}")
            return
    for section in sections:
        sample = head[section.offset : section.offset + min(section.raw_bytes, _SAMPLE_BYTES)]
        if section.flags & _EXECUTE and len(sample) >= 1024 and (bits := entropy_bits(sample)) > _PACKED_ENTROPY_BITS:
            yield trait("program_packed", f"code of {bits:.1f} bits a byte in {section.name!r}")
            return


def _elf(head: bytes) -> Traits:
    if len(head) < 64:
        yield trait("program_odd_header", "an ELF header cut off")
        return
    wide, order = head[4] == 2, ">" if head[5] == 2 else "<"
    header = "16x HHIQQQIHHHHHH" if wide else "16x HHIIIIIHHHHHH"
    _, _, _, entry, programs, _, _, _, size, count, _, sections, _ = struct.unpack_from(order + header, head)
    executable = False
    for number in range(min(count, 64)):
        place = programs + number * size
        if place + size > len(head) or size < (56 if wide else 32):
            break
        kind, flags = struct.unpack_from(order + ("II" if wide else "I20xI"), head, place)
        executable |= kind == 1 and bool(flags & 1)
        if kind == 1 and flags & 3 == 3:
            yield trait("program_odd_header", "a segment that is writable and executable")
            return
    if not sections and entry:
        yield trait("program_packed", "no section headers")
    if b"UPX!" in head[:4096]:
        yield trait("program_packed", "the mark of UPX")


def _mach(head: bytes) -> Traits:
    if len(head) < 28:
        yield trait("program_odd_header", "a Mach-O header cut off")
        return
    order = "<" if head[0] in (0xCF, 0xCE) else ">"
    commands, command_bytes = struct.unpack_from(order + "16xII", head)
    if not commands or commands > 4096 or command_bytes > 1 << 20:
        yield trait("program_odd_header", f"{commands} load commands of {command_bytes} bytes")
