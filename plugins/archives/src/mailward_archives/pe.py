"""Programs for Windows: what lies in or behind one that is a file by itself (PE/COFF).

Self-extracting archives and installers carry their files behind the last section; droppers carry
programs among their data; packers hide one until it runs. Each is a member: archives from their
signature on, programs as long as their own section table says.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives import autoit, emulator, installshield, sevenzip
from mailward_archives.buffer import Data, data_of, pieces
from mailward_archives.content import limit, note, unopened
from mailward_archives.image import PAGE, Image, ImageError, parse_image
from mailward_archives.settings import ArchivesSettings
from mailward_archives.signatures import archive

_NSIS = b"\xef\xbe\xad\xdeNullsoftInst"
_MZ = re.compile(rb"MZ")
_PROGRAM = b"PE\0\0"
_MOST_EMBEDDED = 100
_MOST_SECTIONS = 96
_MOST_LAYERS = 4
_EMULATED_MOST_BYTES = 8 * 1024 * 1024
_IMAGE_MOST_BYTES = 64 * 1024 * 1024


def program_end(data: Data, start: int) -> int:
    """Where the sections of the program at ``start`` end; 0 where none stands there."""
    try:
        (header,) = struct.unpack_from("<I", data, start + 60)
        at = start + int(header)
        if data[at : at + 4] != _PROGRAM:
            return 0
        (sections,) = struct.unpack_from("<H", data, at + 6)
        (optional,) = struct.unpack_from("<H", data, at + 20)
        at += 24 + int(optional)
        end = at + 40 * min(int(sections), _MOST_SECTIONS) - start
        for number in range(min(int(sections), _MOST_SECTIONS)):
            size, place = struct.unpack_from("<II", data, at + 40 * number + 16)
            end = max(end, int(place) + int(size)) if size else end
    except struct.error:
        return 0
    return min(start + end, len(data))


def programs(data: Data, start: int = 1) -> Iterator[tuple[int, int]]:
    """Start and end of every program from ``start`` on; what lies inside one of them is its own affair."""
    at = start
    while (match := _MZ.search(data, at)) is not None:
        begin = match.start()
        end = program_end(data, begin)
        if end > begin + 64:
            yield begin, end
            at = end
        else:
            at = begin + 2


def read_pe(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    """Everything that is found in and behind a program; nothing where there is nothing."""
    with data_of(part) as data:
        end = program_end(data, 0)
        if not end:
            return
        if settings.reads("autoit") and data.find(autoit.MARK) >= 0:
            yield from autoit.unpack_script(part, data)
        if end < len(data):
            # Without what is behind it, a known program has its known hash again; it is looked into by itself.
            yield Member("program.exe", pieces(data, 0, end), size_hint=end)
            yield from _behind(part, data, end, settings)
            yield from _embedded(part, data, end, "behind")
        else:
            yield from _embedded(part, data)
            image = _packed(data)
            if image is not None and not settings.emulate:
                yield note(part, "packed", "", "seems to unpack itself when it runs; that was not looked at")
            elif image is not None and _layers(part) < _MOST_LAYERS:
                yield from _emulated(part, data, image)


def _layers(part: Part) -> int:
    """How many programs a program lies in: one that holds a packed one that holds a packed one may go on for ever."""
    count, node = 0, part.parent
    while node is not None:
        count += node.detected_type == part.detected_type
        node = node.parent
    return count


def _behind(part: Part, data: Data, start: int, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    """What an installer or self-extracting archive carries."""
    items = installshield.listed(data, start)
    setup = data.find(installshield.MARK, start)
    if items:
        yield from installshield.unpack_list(part, data, items)
    elif setup >= 0:
        yield from installshield.unpack_setup(part, data, setup)
    elif data.find(_NSIS, start) >= 0:
        if sevenzip.missing():
            yield unopened(part, f"nsis: needs {sevenzip.missing()}")
        else:
            limits = settings.program_timeout_s, settings.program_memory_bytes
            yield from sevenzip.SevenZip("nsis", "Nsis", *limits)(part)
    elif (found := archive(data, start)) is not None:
        yield Member(f"overlay.{found[1]}", pieces(data, found[0], len(data)))


def _embedded(part: Part, data: Data, start: int = 1, prefix: str = "embedded") -> Iterator[Member | Finding]:
    for number, (begin, end) in enumerate(programs(data, start), 1):
        if number > _MOST_EMBEDDED:
            yield limit(part, "max_embedded", f"pe: more than {_MOST_EMBEDDED} programs inside one")
            return
        yield Member(f"{prefix}{number}.exe", pieces(data, begin, end))


def _packed(data: Data) -> Image | None:
    """The image of a program that looks packed; None of every other one."""
    if len(data) > _EMULATED_MOST_BYTES:
        return None
    try:
        image = parse_image(data, _IMAGE_MOST_BYTES)
    except ImageError:
        return None
    return image if image.looks_packed else None


def _emulated(part: Part, data: Data, image: Image) -> Iterator[Member | Finding]:
    """What a packed program holds once its packer has run."""
    if emulator.missing():
        yield unopened(part, f"pe: packed, needs {emulator.missing()}")
        return
    areas = emulator.unpacked(data[:], image)
    for number, area in enumerate(areas, 1):
        # Without its headers the image is no program, and nobody takes it for another one.
        memory = area if number > 1 else area[PAGE:]
        yield Member(f"memory{number}.bin", (memory,))
        if (found := archive(memory, 0)) is not None:
            yield Member(f"memory{number}.{found[1]}", (memory[found[0] :],))
        yield from _embedded(part, memory, 0, f"memory{number}-")
