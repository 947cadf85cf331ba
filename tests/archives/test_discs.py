"""Images of discs that Windows shows like folders on a click: a volume, a disc with partitions, a virtual one."""

from __future__ import annotations

import base64
import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
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


def vdi(content: bytes = CONTENT) -> bytes:
    """A virtual disc of VirtualBox: a header, a map of one block, the block."""
    raw, block = disc(content), 1 << 20
    head = b"<<< a disk image >>>\n".ljust(64, b"\0") + struct.pack("<IIIII", 0xBEDA107F, 0x10001, 0x190, 1, 0)
    head = head.ljust(0x154, b"\0") + struct.pack("<IIIIIIIQIIII", 512, 1024, 0, 0, 0, 512, 0, block, block, 0, 1, 1)
    head = head.ljust(0x198, b"\xaa")
    return (head.ljust(512, b"\0") + struct.pack("<I", 0)).ljust(1024, b"\0") + raw.ljust(block, b"\0")


def apple(*partitions: bytes, pack: Callable[[bytes], bytes] = zlib.compress, method: int = 0x80000005) -> bytes:
    """A disk image of Apple (UDIF): each partition packed as one run of blocks, a list in XML, the trailer."""
    packed, rows, sums, first = b"", "", b"", 0
    for number, content in enumerate(partitions):
        run, sectors = pack(content), len(content) // SECTOR
        sums += struct.pack(">I", zlib.crc32(content))
        table = struct.pack(">4sIQQQII24x", b"mish", 1, first, sectors, 0, 0x208, number)
        table += struct.pack(">II128s", 2, 32, sums[-4:]) + struct.pack(">I", 2)
        table += struct.pack(">IIQQQQ", method, 0, 0, sectors, len(packed), len(run))
        table += struct.pack(">IIQQQQ", 0xFFFFFFFF, 0, sectors, 0, len(packed) + len(run), 0)
        keys = {"CFName": f"disk (Windows_FAT_12 : {number})", "ID": str(number), "Name": f"part {number}"}
        row = "".join(f"<key>{key}</key><string>{value}</string>" for key, value in keys.items())
        rows += f"<dict>{row}<key>Data</key><data>{base64.b64encode(table).decode()}</data></dict>"
        packed, first = packed + run, first + sectors
    listed = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0"><dict><key>resource-fork</key><dict>'
        f"<key>blkx</key><array>{rows}</array></dict></dict></plist>\n"
    ).encode()
    trailer = struct.pack(">4sIIIQQQQQII16x", b"koly", 4, SECTOR, 1, 0, 0, len(packed), 0, 0, 1, 1)
    trailer += struct.pack(">II128s", 2, 32, struct.pack(">I", zlib.crc32(packed)))
    trailer += struct.pack(">QQ120x", len(packed), len(listed))
    trailer += struct.pack(">II128s", 2, 32, struct.pack(">I", zlib.crc32(sums))) + struct.pack(">IQ12x", 1, first)
    return packed + listed + trailer


PACKINGS = {
    "zlib": (zlib.compress, 0x80000005),
    "bzip2": (bz2.compress, 0x80000006),
    "xz": (lzma.compress, 0x80000008),
    "none": (bytes, 1),
}
IMAGES = {"fat.img": volume, "disc.img": disc, "disc.vhd": fixed_vhd, "disc.vdi": vdi}


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


@pytest.mark.parametrize("packing", PACKINGS)
def test_files_in_every_partition_of_an_apple_image_are_parts(opened: Any, require: Any, packing: str) -> None:
    require("7zz")
    pack, method = PACKINGS[packing]
    other = CONTENT[::-1]
    result = opened("x.dmg", apple(bytes(SECTOR), volume(), volume(other), pack=pack, method=method))
    assert {CONTENT, other} <= set(result.parts.values())
    assert result.kinds == set()


@pytest.mark.parametrize("packing", PACKINGS)
def test_an_apple_image_that_nobody_opens_is_told(judged: Any, packing: str) -> None:
    pack, method = PACKINGS[packing]
    raw = mail("x", apple(volume(), pack=pack, method=method))
    (findings,) = judged([raw], settings='without = ["dmg"]')
    assert (Kind.UNCHECKED, "unopened") in {(finding.kind, finding.rule) for finding in findings}


@pytest.mark.parametrize(
    "content",
    [apple(volume())[:-400] + bytes(400), bytes(4000) + apple(volume())[-SECTOR:], b"sprs\0\0\0\3" + bytes(4000)],
    ids=["damaged", "trailer alone", "sparse"],
)
def test_an_apple_image_that_cannot_be_read_is_told(judged: Any, require: Any, content: bytes) -> None:
    require("7zz")
    (findings,) = judged([mail("x.dmg", content)])
    assert (Kind.UNCHECKED, "unopened") in {(finding.kind, finding.rule) for finding in findings}


@pytest.mark.parametrize("content", [b"encrcdsa" + bytes(4000), bytes(4000) + b"cdsaencr"], ids=["newer", "older"])
def test_an_encrypted_apple_image_is_told(opened: Any, require: Any, content: bytes) -> None:
    require("7zz")
    assert opened("x.dmg", content).kinds == {"encrypted"}


def test_a_compressed_file_that_ends_as_an_apple_image_is_opened_as_both(opened: Any, require: Any) -> None:
    require("7zz")
    inside = b"MZ another program" * 30
    image = apple(volume(), pack=lambda content: bz2.compress(inside) + bz2.compress(content), method=0x80000006)
    assert any(inside in content for content in opened("x.bz2", image).parts.values())


def test_other_content_that_ends_as_an_apple_image_is_ambiguous(judged: Any) -> None:
    trailer = apple(volume())[-SECTOR:]
    both = [mail("x.pdf", start + bytes(600) + trailer) for start in (b"%PDF-1.7\n", b"MZ", b"PK\x03\x04")]
    for findings in judged(both):
        assert (Kind.AMBIGUOUS, "apple_image") in {(finding.kind, finding.rule) for finding in findings}


def test_a_tree_of_iso_9660_that_ends_as_an_apple_image_is_opened_as_both(
    opened: Any, packed: Any, require: Any
) -> None:
    require("7zz")
    tree = packed("x.iso", "genisoimage", "-quiet", "-o", "x.iso", "a.txt", files={"a.txt": b"of the tree " * 9})
    image = apple(volume(), pack=lambda content: tree + zlib.compress(content))
    assert any(b"of the tree " * 9 in content for content in opened("x.iso", image).parts.values())


def test_a_disc_for_two_systems_shows_its_tree_whatever_its_name(opened: Any, packed: Any, require: Any) -> None:
    require("7zz")
    command = ("genisoimage", "-quiet", "-hfs", "-part", "-o", "x", "a.txt")
    image = packed("x", *command, files={"a.txt": b"of the tree " * 9})
    assert detect(image) == "application/x-disk-image"
    assert b"of the tree " * 9 in opened("x", image).parts.values()


@pytest.mark.parametrize(
    ("at", "mark"),
    [(32, b"NXSB"), (1024, b"H+\0\4"), (1024, b"HX\0\5"), (1024, b"BD" + bytes(18) + b"\0\0\2\0"), (0, b"ER\2\0")],
)
def test_volumes_of_apple_are_known_by_their_marks(judged: Any, at: int, mark: bytes) -> None:
    content = (bytes(at) + mark).ljust(8000, b"\0")
    assert detect(content) == "application/x-disk-image"
    (findings,) = judged([mail("x", content)])
    assert (Kind.UNCHECKED, "unopened") in {(finding.kind, finding.rule) for finding in findings}


def test_what_only_resembles_a_volume_of_apple_is_none() -> None:
    assert detect((bytes(1024) + b"BD" + bytes(18) + b"\0\0\2\1").ljust(8000, b"\0")) == ""
    assert detect(b"ERRATA of the first edition") == ""


@pytest.mark.parametrize(
    "mark",
    [
        b"vhdxfile",
        b"MSWIM\0\0\0",
        b"KDMV",
        b"QFI\xfb\0\0\0",
        b"xar!\0",
        b"hsqs",
        b"ITSF",
        b"QED\0",
        b"WithouFreSpacExt",
    ],
)
def test_what_the_program_refuses_is_told(judged: Any, require: Any, mark: bytes) -> None:
    require("7zz")
    (findings,) = judged([mail("x", mark + bytes(4000))])
    assert (Kind.UNCHECKED, "unopened") in {(finding.kind, finding.rule) for finding in findings}


def test_volumes_of_linux_are_known_by_mark_and_block_size(judged: Any) -> None:
    content = bytes(1048) + struct.pack("<I", 2) + bytes(28) + b"\x53\xef"
    assert detect(content.ljust(8000, b"\0")) == "application/x-disk-image"
    assert detect((content[:1048] + struct.pack("<I", 7) + content[1052:]).ljust(8000, b"\0")) == ""
    (findings,) = judged([mail("x", content.ljust(8000, b"\0"))])
    assert (Kind.UNCHECKED, "unopened") in {(finding.kind, finding.rule) for finding in findings}
