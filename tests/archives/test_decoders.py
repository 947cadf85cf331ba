"""Our own decoders: they read what they should, and on anything else end as they say they do."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Kind
from mailward_archives import blobs, hidden, image, installshield, listing, mbox, rar, rtf, sis, szdd, tnef, yenc
from mailward_archives.lzfu import LzfuError, unpack_rtf
from mailward_archives.msi import stream_name
from mailward_archives.ole10native import parse_package
from mailward_archives.ppt import _objects
from mailward_archives.zips import directory

from .conftest import mail

TO_BINHEX = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr",
)
NATIVE = b"\x02\0note.txt\0C:\\note.txt\0\0\0\x03\0\x08\0\0\0C:\\temp\0\x05\0\0\0hello"

PROPERTY = struct.pack("<IHHII", 1, 30, 0x3707, 1, 4) + b"a.b\0"
PROGRAM = b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(200)


def ole1(native: bytes, name: bytes = b"Package\0") -> bytes:
    return (
        struct.pack("<II", 0x501, 2)
        + struct.pack("<I", len(name))
        + name
        + bytes(8)
        + struct.pack("<I", len(native))
        + native
    )


def binhexed(name: bytes, content: bytes, resource: bytes = b"") -> bytes:
    head = bytes([len(name)]) + name + b"\0TEXTttxt\0\0" + struct.pack(">II", len(content), len(resource))
    data = (head + b"\0\0" + content + b"\0\0" + resource + b"\0\0").replace(b"\x90", b"\x90\0")
    lines = base64.b64encode(data).rstrip(b"=").translate(TO_BINHEX)
    rows = b"\r\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
    return b"(This file must be converted with BinHex 4.0)\r\n\r\n:" + rows + b":\r\n"


def yencoded(name: str, content: bytes, fields: str = "") -> bytes:
    out = bytearray()
    for byte in content:
        code = (byte + 42) % 256
        out += bytes([61, (code + 64) % 256]) if code in (0, 10, 13, 61) else bytes([code])
    return (
        f"=ybegin {fields}line=128 size={len(content)} name={name}\r\n".encode() + bytes(out) + b"\r\n=yend size=1\r\n"
    )


def szdded(content: bytes) -> bytes:
    body = b"".join(b"\xff" + content[at : at + 8] for at in range(0, len(content), 8))
    return b"SZDD\x88\xf0'3A" + b"e" + struct.pack("<I", len(content)) + body


def tnef_of(*attributes: tuple[int, int, bytes]) -> bytes:
    out = b"\x78\x9f\x3e\x22\x01\0"
    for level, ident, data in attributes:
        out += struct.pack("<BII", level, ident, len(data)) + data + b"\0\0"
    return out


def lzfu_of(text: bytes) -> bytes:
    body = b"".join(b"\0" + text[at : at + 8] for at in range(0, len(text), 8))
    return struct.pack("<II4sI", len(body) + 12, len(text), b"LZFu", 0) + body


def pieces(items: Any) -> bytes:
    return b"".join(items)


def decode_yenc(data: bytes) -> list[bytes]:
    return [pieces(yenc.decode(data, block.data_start, block.data_end)) for block in yenc.blocks(data)]


def decode_tnef(data: bytes) -> None:
    for _, start, end in tnef.attributes(data):
        list(tnef.properties(data, start, end))


def decode_listing(data: bytes) -> listing.Listing:
    return listing.parse_listing(data.decode("latin-1"))


SEEDS: dict[str, tuple[Callable[[bytes], Any], bytes, tuple[type[Exception], ...]]] = {
    "szdd": (lambda data: pieces(szdd.unpack_szdd(data)), szdded(b"hello, hello, hello"), ()),
    "yenc": (decode_yenc, yencoded("a.bin", bytes(range(256))), ()),
    "tnef": (
        decode_tnef,
        tnef_of((2, 0x00069005, struct.pack("<IHHII", 1, 30, 0x3707, 1, 4) + b"a.b\0")),
        (tnef.TnefError,),
    ),
    "lzfu": (lambda data: pieces(unpack_rtf(data)), lzfu_of(b"{\\rtf1 hello hello}"), (LzfuError,)),
    "rtf": (
        lambda data: list(rtf.objects(data)),
        b"{\\rtf{\\object{\\*\\objdata " + ole1(NATIVE).hex().encode() + b"}}}",
        (),
    ),
    "ole 1": (lambda data: list(rtf.taken_apart(data, "x")), ole1(NATIVE), ()),
    "package": (parse_package, struct.pack("<I", len(NATIVE)) + NATIVE, ()),
    "mbox": (lambda data: list(mbox.messages(data)), b"From a\nTo: b\n\nx\n\nFrom c\nTo: d\n\ny\n", ()),
    "data uri": (lambda data: list(blobs.uris(data)), b'<a href="data:text/html;base64,aGVsbG8gaGVsbG8gaGVsbG8=">', ()),
    "strings": (lambda data: list(blobs.literals(data)), b'x="' + b"QUJD" * 200 + b'" + "' + b"QUJD" * 9 + b'"', ()),
    "sis": (sis.parse, bytes(4) + sis._EPOC6 + sis.UID + bytes(90), (struct.error,)),
    "rar": (lambda data: (rar.traits(data), rar.locked(data)), b"Rar!\x1a\x07\x01\0" + bytes(range(60)), ()),
    "powerpoint": (lambda data: list(_objects(data)), struct.pack("<HHI", 0x10, 0x1011, 9) + bytes(9), ()),
    "zip directory": (lambda data: list(directory(data)), b"PK\x01\x02" + bytes(60), ()),
    "image": (
        lambda data: image.parse_image(data, 1 << 20),
        b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(200),
        (image.ImageError,),
    ),
    "installshield": (lambda data: installshield.listed(data, 0), b"a.exe\0Disk1\\a.exe\0001.0\0005\0hello", ()),
    "listing": (decode_listing, b"\n----------\nPath = a\nSize = 5\nEncrypted = -\n\nPath = b\nFolder = +\n", ()),
    "msi": (lambda data: stream_name(data.decode("utf-16-le", "ignore")), "䡀㼀䕷䑬".encode("utf-16-le"), ()),
}


@pytest.mark.parametrize("name", SEEDS)
@given(data=st.binary(max_size=2000))
def test_arbitrary_bytes_raise_nothing_unannounced(name: str, data: bytes) -> None:
    decode, seed, errors = SEEDS[name]
    with suppress(*errors):
        decode(seed[: len(seed) // 2] + data)
    with suppress(*errors):
        decode(data)


@pytest.mark.parametrize("name", SEEDS)
@given(cuts=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=6)), min_size=1, max_size=6))
def test_mutated_files_raise_nothing_unannounced(name: str, cuts: list[tuple[int, bytes]]) -> None:
    decode, seed, errors = SEEDS[name]
    data = seed
    for at, replacement in cuts:
        at %= len(data) + 1
        data = data[:at] + replacement + data[at + len(replacement) :]
    with suppress(*errors):
        decode(data)


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("filler", ["seed", "start", "A", "zero"])
def test_twice_the_input_costs_about_twice_the_time(assert_linear: Callable[..., None], name: str, filler: str) -> None:
    decode, seed, errors = SEEDS[name]
    unit = {"seed": seed, "start": seed[:24], "A": b"A", "zero": b"\0"}[filler]
    inputs = {size: seed + (unit * (size // len(unit) + 1))[:size] for size in (200_000, 400_000)}

    def read(size: int) -> None:
        with suppress(*errors):
            decode(inputs[size])

    assert_linear(read, 200_000)


@given(st.binary(max_size=5000))
def test_what_was_packed_comes_back(content: bytes) -> None:
    assert pieces(szdd.unpack_szdd(szdded(content))) == content
    assert decode_yenc(yencoded("a", content)) == [content]
    assert pieces(unpack_rtf(lzfu_of(content))) == content


@given(st.binary(min_size=1, max_size=3000), st.binary(min_size=1, max_size=20).filter(lambda name: 0 not in name))
def test_the_mask_of_installshield_comes_off(content: bytes, name: bytes) -> None:
    key = bytes(byte ^ installshield._KEY[number % 4] for number, byte in enumerate(name))
    masked = bytes(installshield._NIBBLES[byte ^ key[number % 1024 % len(key)]] for number, byte in enumerate(content))
    assert pieces(installshield.unmasked(masked, 0, len(masked), name)) == content


def test_rtf_objects_are_read_as_word_reads_them(opened: Any) -> None:
    digits = ole1(NATIVE).hex()
    spaced = "\r\n".join(digits[at : at + 3] for at in range(0, len(digits), 3))
    evading = digits[:20] + "{\\*\\nothing 123456}" + digits[20:40] + "\\par " + digits[40:]
    for text in (digits, spaced, digits.upper(), evading):
        document = "{\\rtf1 hello{\\object\\objemb{\\*\\objdata " + text + "}}}"
        assert opened("a.doc", document.encode()).parts["note.txt"] == b"hello"
    binary = b"{\\rtf1{\\object{\\objdata \\bin%d " % len(ole1(NATIVE)) + ole1(NATIVE) + b"}}}"
    assert opened("a.rtf", binary).parts["note.txt"] == b"hello"


def test_tnef_names_and_bodies(opened: Any) -> None:
    long_name = struct.pack("<IHHII", 1, 30, 0x3707, 1, 12) + b"long name.x\0"
    body = struct.pack("<IHHII", 1, 0x102, 0x1009, 1, len(lzfu_of(b"{\\rtf1}"))) + lzfu_of(b"{\\rtf1}")
    data = tnef_of(
        (1, 0x00069003, body),
        (2, 0x00069002, bytes(14)),
        (2, 0x00018010, b"SHORT.X\0"),
        (2, 0x0006800F, b"the content"),
        (2, 0x00069005, long_name),
        (2, 0x00069002, bytes(14)),
        (2, 0x00018010, b"two.txt\0"),
        (2, 0x0006800F, b"second"),
    )
    parts = opened("winmail.dat", data).parts
    assert parts["long name.x"] == b"the content"
    assert parts["two.txt"] == b"second"
    assert parts["body.rtf"] == b"{\\rtf1}"
    assert opened("winmail.dat", data[:-4]).rules == {"unopened"}


def test_files_in_texts(opened: Any) -> None:
    text = b"hello\r\n" + yencoded("a.bin", b"inside y") + b"\r\n" + binhexed(b"b.bin", b"inside hqx", b"fork")
    parts = opened("letter.txt", text, kind="text/plain").parts
    assert parts["a.bin"] == b"inside y"
    assert parts["b.bin"] == b"inside hqx"
    assert parts["b.bin%2Frsrc"] == b"fork"
    assert opened("part.txt", yencoded("a", b"x", "part=1 total=2 ")).rules == {"multivolume"}


def test_html_smuggling(opened: Any) -> None:
    content = b"MZ" + bytes(range(256)) * 4
    text = base64.b64encode(content).decode()
    broken = '"+"'.join(text[at : at + 700] for at in range(0, len(text), 700))
    for page in (
        f'<html><a download="x.exe" href="data:application/octet-stream;base64,{text}">',
        f"<html><script>var f = '{text}'; save(atob(f))</script>",
        f'<html><script>var f = "{broken}"; save(atob(f))</script>',
        f"<?xml version='1.0'?><svg><script>var f = `{text}`</script></svg>",
    ):
        parts = opened("page.html", page.encode()).parts
        assert content in parts.values()
        assert "embedded1.exe" in parts
    assert set(opened("plain.txt", b"just 'words'", kind="text/plain").parts) == {""}


def test_mail_bases_are_split_into_mails(opened: Any) -> None:
    one = b"From: a@b\nSubject: one\n\nFrom here on it is text\n"
    data = b"".join(b"From a@b Thu Jul 31 13:51:21 2008\n" + one + b"\n" for _ in range(3))
    parts = opened("base.mbox", data).parts
    assert {"1.eml/1", "2.eml/1", "3.eml/1"} <= set(parts)


def test_active_mime_is_unwrapped(opened: Any) -> None:
    wrapped = (
        b"ActiveMime" + bytes(20) + struct.pack("<H", 4) + bytes(18) + zlib.compress(b"\xd0\xcf\x11\xe0 inside" * 90)
    )
    page = b"<?xml version='1.0'?><x>" + binascii.b2a_base64(wrapped + bytes(600)) + b"</x>"
    assert any(b" inside" in content for path, content in opened("a.xml", page).parts.items() if path)


def test_a_uuencoded_file_in_a_page_hides_nothing_else_in_it(judged: Any) -> None:
    """A block that the core makes a part of keeps nobody from looking for what stands beside it."""
    page = b'<html><!--\nbegin 644 x\n#0V%T\n`\nend\n--><a href="data:application/zip;base64,'
    page += base64.b64encode(b"MZ" + bytes(600)) + b'">x</a></html>'
    digest = hashlib.md5(b"MZ" + bytes(600)).hexdigest()
    (findings,) = judged([mail("page.html", page, "text/html")], f"{digest}:602:Test.Program\n")
    assert [finding.name for finding in findings if finding.kind is Kind.INFECTED] == ["Test.Program"]


HIDDEN = {b"Rar!\x1a\x07\0": "rar", b"Rar!\x1a\x07\x01\0": "rar", b"7z\xbc\xaf'\x1c\0": "7z", b"MSCF\0\0\0\0": "cab"}


@given(
    st.lists(st.one_of(st.sampled_from([*HIDDEN, b"Rar!", b"MSCF", b"7z", b"\0"]), st.binary(max_size=9))), st.data()
)
def test_the_first_archive_behind_other_content_is_found(pieces: list[bytes], data: st.DataObject) -> None:
    content = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hidden, "_WINDOW_BYTES", data.draw(st.integers(1, 20)))
        found = hidden._found(content)
    places = [(content.find(signature, 1), kind) for signature, kind in HIDDEN.items()]
    assert found == min((place for place in places if place[0] > 0), default=None)


@pytest.mark.parametrize("before", [0, 1, 65_528, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("signature", HIDDEN)
def test_an_archive_is_found_wherever_it_begins_but_at_the_start(signature: bytes, before: int) -> None:
    found = hidden._found(b"." * before + signature)
    assert found == ((before, HIDDEN[signature]) if before else None)
