"""Images of discs that Windows shows like folders on a click: a volume, a disc with partitions, a virtual one."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from mailward import Kind
from mailward.mime import detect

from .conftest import mail

CONTENT = b"MZ a program " * 30
SECTOR = 512


def volume(content: bytes = CONTENT) -> bytes:
    """A FAT12 volume of 256 sectors with the file A.EXE."""
    clusters = -(-len(content) // SECTOR)
    boot = b"\xeb\x3c\x90MSDOS5.0" + struct.pack("<HBHBHHBHHHII", SECTOR, 1, 1, 1, 16, 256, 0xF8, 1, 32, 2, 0, 0)
    boot += struct.pack("<BBBI", 0x80, 0, 0x29, 1) + b"NO NAME    FAT12   "
    chain = [0xFF8, 0xFFF, *range(3, clusters + 2), 0xFFF]
    chain += [0] * (len(chain) % 2)
    table = b"".join((one | two << 12).to_bytes(3, "little") for one, two in zip(chain[::2], chain[1::2], strict=True))
    entry = b"A       EXE\x20" + bytes(14) + struct.pack("<HI", 2, len(content))
    sectors = (boot.ljust(510, b"\0") + b"\x55\xaa", table, entry, content)
    sizes = (1, 1, 1, 253)
    return b"".join(one.ljust(size * SECTOR, b"\0") for one, size in zip(sectors, sizes, strict=True))


def disc(content: bytes = CONTENT) -> bytes:
    """A disc with one partition."""
    inside = volume(content)
    entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0x01, b"\xff\xff\xff", 8, len(inside) // SECTOR)
    return (bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa" + bytes(7 * SECTOR) + inside


def fixed_vhd(content: bytes = CONTENT) -> bytes:
    """A virtual disc of fixed size: the disc as it is, and a footer."""
    raw = disc(content)
    head = struct.pack(
        ">8sIIQI4sI4sQQHBBI",
        b"conectix",
        2,
        0x10000,
        2**64 - 1,
        0,
        b"win ",
        0x60001,
        b"Wi2k",
        len(raw),
        len(raw),
        4,
        4,
        17,
        2,
    )
    head += bytes(4) + bytes(16)
    checksum = ~sum(head) & 0xFFFFFFFF
    return raw + (head[:64] + struct.pack(">I", checksum) + head[68:]).ljust(SECTOR, b"\0")


IMAGES = {"fat.img": volume, "disc.img": disc, "disc.vhd": fixed_vhd}


@pytest.mark.parametrize("name", IMAGES)
def test_files_on_a_disc_are_parts(opened: Any, require: Any, name: str) -> None:
    require("7zz")
    result = opened(name, IMAGES[name]())
    assert CONTENT in result.parts.values()
    assert any(part.lower().endswith("a.exe") for part in result.parts)
    assert result.kinds == set()


@pytest.mark.parametrize("name", IMAGES)
def test_a_disc_that_nobody_opens_is_told(judged: Any, name: str) -> None:
    (findings,) = judged([mail(name, IMAGES[name]())], settings='without = ["image"]')
    assert (Kind.UNCHECKED, "unopened") in {(finding.kind, finding.rule) for finding in findings}


def test_what_only_ends_like_a_boot_sector_is_no_disc() -> None:
    for start in (b"", b"plain text ", b"\x7f" * 450):
        assert detect(start.ljust(510, b"x") + b"\x55\xaa" + bytes(100)) == ""
    assert detect(bytes(510) + b"\x55\xaa" + bytes(500)) == ""
