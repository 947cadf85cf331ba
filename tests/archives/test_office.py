"""Compound files, Outlook messages and PDF, built stream by stream."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Limits

from .conftest import mail, walked
from .test_decoders import NATIVE, lzfu_of

_SECTOR = 512
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
Tree = dict[str, Any]


def compound(tree: Tree) -> bytes:
    """A compound file with these streams (bytes) and storages (dicts); all streams in full sectors."""
    sectors, chain, entries = list[bytes](), list[int](), [b""]

    def store(data: bytes) -> int:
        first = len(sectors)
        count = max(1, -(-len(data) // _SECTOR))
        sectors.extend(data[at * _SECTOR : (at + 1) * _SECTOR].ljust(_SECTOR, b"\0") for at in range(count))
        chain.extend([*range(first + 1, first + count), _END])
        return first

    def entry(name: str, kind: int, child: int, sibling: int, first: int, size: int) -> bytes:
        coded = name.encode("utf-16-le") + b"\0\0"
        head = coded.ljust(64, b"\0") + struct.pack("<HBB", len(coded), kind, 1)
        return head + struct.pack("<III", _FREE, sibling, child) + bytes(36) + struct.pack("<IQ", first, size)

    def folder(items: Tree) -> int:
        following = _FREE
        for name, item in sorted(items.items(), key=lambda pair: (len(pair[0]), pair[0].upper()), reverse=True):
            place = len(entries)
            entries.append(b"")
            if isinstance(item, dict):
                entries[place] = entry(name, 1, folder(item), following, 0, 0)
            else:
                data = item.ljust(4096, b"\0")
                entries[place] = entry(name, 2, _FREE, following, store(data), len(data))
            following = place
        return following

    entries[0] = entry("Root Entry", 5, folder(tree), _FREE, _END, 0)
    directory = store(b"".join(entries))
    tables = -(-(len(chain) + 1) // 127)
    first_table = len(sectors)
    table = [*chain, *([_FAT] * tables)]
    table += [_FREE] * (tables * 128 - len(table))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
    head += struct.pack("<IIIIIIII", tables, directory, 0, 4096, _END, 0, _END, 0)
    head += b"".join(struct.pack("<I", first_table + number if number < tables else _FREE) for number in range(109))
    return head + b"".join(sectors) + struct.pack(f"<{len(table)}I", *table)


def unpadded(content: bytes) -> bytes:
    return content.rstrip(b"\0")


def test_every_stream_is_a_part(opened: Any) -> None:
    data = compound({"one": b"first", "box": {"two": b"second", "deep": {"three": b"third"}}})
    result = opened("x.doc", data)
    assert {unpadded(result.parts[name]) for name in ("one", "box%2Ftwo", "box%2Fdeep%2Fthree")} == {
        b"first",
        b"second",
        b"third",
    }
    assert not result.kinds


def test_a_package_is_taken_apart(opened: Any) -> None:
    native = struct.pack("<I", len(NATIVE)) + NATIVE
    assert opened("x.doc", compound({"ObjectPool": {"_1": {"\x01Ole10Native": native}}})).parts["note.txt"] == b"hello"


def test_objects_in_presentations_are_unpacked(opened: Any) -> None:
    inner = compound({"inside": b"deep down"})
    packed = struct.pack("<I", len(inner)) + zlib.compress(inner)
    record = struct.pack("<HHI", 0x10, 0x1011, len(packed)) + packed
    document = struct.pack("<HHI", 0x0F, 1000, len(record)) + record
    result = opened("x.ppt", compound({"PowerPoint Document": document}))
    assert unpadded(result.parts["object1.ole/inside"]) == b"deep down"


def test_outlook_messages_have_bodies_and_named_attachments(opened: Any) -> None:
    text = "Grüße".encode("utf-16-le")
    inner = {"__substg1.0_1000001F": "inner text".encode("utf-16-le")}
    tree = {
        "__properties_version1.0": bytes(32),
        "__substg1.0_1000001F": text,
        "__substg1.0_10130102": b"<html>body</html>",
        "__substg1.0_10090102": lzfu_of(b"{\\rtf1 body}"),
        "__attach_version1.0_#00000000": {
            "__substg1.0_3707001F": "Rechnung.exe".encode("utf-16-le"),
            "__substg1.0_37010102": b"MZ attached",
        },
        "__attach_version1.0_#00000001": {"__substg1.0_3701000D": inner},
    }
    parts = opened("x.msg", compound(tree)).parts
    assert unpadded(parts["Rechnung.exe"]) == b"MZ attached"
    assert parts["body.rtf"] == b"{\\rtf1 body}"
    assert parts["body.txt"].decode().rstrip("\0") == "Grüße"
    assert parts["body.txt#2"].decode().rstrip("\0") == "inner text"
    assert b"<html>" in parts["body.html"]


@pytest.mark.parametrize(
    "tree",
    [
        {"EncryptedPackage": b"secret", "EncryptionInfo": b"how"},
        {"WordDocument": bytes(10) + b"\0\x01" + bytes(50)},
        {"Workbook": struct.pack("<HHHH", 0x809, 0, 0x2F, 6) + bytes(6)},
    ],
)
def test_encrypted_documents_are_reported(opened: Any, tree: Tree) -> None:
    assert "encrypted" in opened("x.doc", compound(tree)).kinds


@given(st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=8))
def test_a_damaged_compound_file_is_opened_or_reported(cuts: list[tuple[int, bytes]]) -> None:
    from mailward_archives import ArchivesSettings

    data = bytearray(compound({"one": b"first", "box": {"\x01Ole10Native": struct.pack("<I", 9) + NATIVE}}))
    for at, piece in cuts:
        data[at % len(data) : at % len(data) + len(piece)] = piece
    data[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    result = walked(mail("x.doc", bytes(data)), ArchivesSettings(), Limits())
    assert len(result.parts) > 1 or result.rules


def pdf(filters: list[str] | None = None, content: bytes = b"attached content", **save: Any) -> bytes:
    pikepdf = pytest.importorskip("pikepdf")
    document = pikepdf.new()
    document.attachments["note.txt"] = pikepdf.AttachedFileSpec(document, content, filename="note.txt")
    if filters is not None:
        stream = document.attachments["note.txt"].obj.EF.F
        stream.write(content, filter=pikepdf.Array([pikepdf.Name(name) for name in filters]))
    target = io.BytesIO()
    document.save(target, **save)
    return target.getvalue()


def test_embedded_files_of_a_pdf_are_parts(opened: Any) -> None:
    assert opened("x.pdf", pdf()).parts["note.txt"] == b"attached content"
    packed = pdf(["/FlateDecode", "/FlateDecode"], zlib.compress(zlib.compress(b"twice packed")))
    assert opened("x.pdf", packed).parts["note.txt"] == b"twice packed"


def test_an_encrypted_pdf_is_reported_and_an_open_one_with_restrictions_is_not(opened: Any) -> None:
    pikepdf = pytest.importorskip("pikepdf")
    locked = pdf(encryption=pikepdf.Encryption(owner="o", user="u"))
    assert opened("x.pdf", locked).kinds == {"encrypted"}
    readable = pdf(encryption=pikepdf.Encryption(owner="o", user=""))
    assert opened("x.pdf", readable).parts["note.txt"] == b"attached content"


def test_a_bomb_in_a_pdf_meets_the_limits(opened: Any) -> None:
    packed = zlib.compress(zlib.compress(bytes(64 * 1024 * 1024)))
    limits = Limits(max_part_bytes=4 * 1024 * 1024)
    assert opened("x.pdf", pdf(["/FlateDecode", "/FlateDecode"], packed), limits=limits).kinds == {"limit"}


def test_a_damaged_pdf_is_reported(opened: Any) -> None:
    pytest.importorskip("pikepdf")
    assert opened("x.pdf", b"%PDF-1.7\nno more than that").rules == {"unopened"}
