"""One archive of each format, made by the program that people make it with, and opened."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import struct
from typing import Any

import pytest

from mailward import Kind, Part

from .conftest import SECRET, mail

CONTENTS = {SECRET, SECRET[::-1]}
SEVEN = ("7zz", "a", "-bd")


@pytest.mark.parametrize(
    ("output", "command"),
    [
        ("x.tar", ("tar", "cf", "x.tar", "a.txt", "dir")),
        ("x.tar.gz", ("tar", "czf", "x.tar.gz", "a.txt", "dir")),
        ("x.7z", (*SEVEN, "x.7z", "a.txt", "dir")),
        ("x.7z", (*SEVEN, "-m0=PPMd", "x.7z", "a.txt", "dir")),
        ("x.wim", (*SEVEN, "x.wim", "a.txt", "dir")),
        ("x.arj", ("arj", "a", "-r", "x.arj", "a.txt", "dir/b.bin")),
        ("x.arj", ("arj", "a", "-m0", "-r", "x.arj", "a.txt", "dir/b.bin")),
        ("x.cpio", ("bsdtar", "cf", "x.cpio", "--format=cpio", "a.txt", "dir")),
        ("x.cpio", ("bsdtar", "cf", "x.cpio", "--format=newc", "a.txt", "dir")),
        ("x.a", ("ar", "rc", "x.a", "a.txt", "dir/b.bin")),
        ("x.iso", ("bsdtar", "cf", "x.iso", "--format=iso9660", "a.txt", "dir")),
        ("x.iso", ("genisoimage", "-quiet", "-udf", "-J", "-o", "x.iso", "a.txt", "dir")),
        ("x.zip", (*SEVEN, "-mm=Deflate64", "x.zip", "a.txt", "dir")),
        ("x.zip", (*SEVEN, "-mm=PPMd", "x.zip", "a.txt", "dir")),
    ],
)
def test_every_file_of_an_archive_is_a_part(packed: Any, opened: Any, output: str, command: tuple[str, ...]) -> None:
    if command[0] not in ("tar", "7zz", "arj"):
        pytest.importorskip("libarchive")
    result = opened("sent." + output.partition(".")[2], packed(output, *command))
    assert set(result.parts.values()) >= CONTENTS
    assert not result.kinds


@pytest.mark.parametrize(
    ("output", "command"),
    [
        ("a.txt.gz", ("gzip", "a.txt")),
        ("a.txt.bz2", ("bzip2", "a.txt")),
        ("a.txt.xz", ("xz", "a.txt")),
        ("a.txt.lzma", ("xz", "--format=lzma", "a.txt")),
        ("a.txt.zst", ("bsdtar", "cf", "a.txt.zst", "--zstd", "--format=raw", "a.txt")),
        ("a.txt.Z", ("bsdtar", "cf", "a.txt.Z", "-Z", "--format=raw", "a.txt")),
    ],
)
def test_a_compressed_file_is_opened_under_its_own_name(
    packed: Any, opened: Any, output: str, command: tuple[str, ...]
) -> None:
    if command[0] == "bsdtar":
        pytest.importorskip("libarchive")
    result = opened(output, packed(output, *command))
    assert result.parts["a.txt"] == SECRET
    assert not result.kinds


def lha(name: bytes, content: bytes, method: bytes = b"-lh0-") -> bytes:
    """A member, stored unless another method is said, with a header of level 0, and the end."""
    fields = method + struct.pack("<IIIBB", len(content), len(content), 0, 0x20, 0)
    fields += bytes([len(name)]) + name + struct.pack("<H", crc16(content))
    return bytes([len(fields), sum(fields) & 0xFF]) + fields + content + b"\0"


def crc16(content: bytes) -> int:
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


def test_lha_and_rpm(packed: Any, opened: Any) -> None:
    pytest.importorskip("libarchive")
    assert opened("x.lzh", lha(b"a.txt", SECRET)).parts["a.txt"] == SECRET
    payload = gzip.compress(packed("x.cpio", "bsdtar", "cf", "x.cpio", "--format=newc", "a.txt", "dir"))
    header = b"\x8e\xad\xe8\x01" + bytes(12)
    package = b"\xed\xab\xee\xdb\x03" + bytes(91) + header + header + payload
    assert set(opened("x.rpm", package).parts.values()) >= CONTENTS


def test_the_type_of_the_content_counts_and_not_the_name(opened: Any) -> None:
    assert opened("invoice.pdf", gzip.compress(SECRET)).parts["invoice.pdf"] == SECRET
    assert opened("real.tar", b"no archive at all").kinds == set()


def test_streams_one_after_the_other_are_one_file(opened: Any) -> None:
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        assert SECRET + b"second" in opened("x", pack(SECRET) + pack(b"second")).parts.values()
    assert (
        SECRET + b"second" in opened("x", lzma.compress(SECRET) + b"\0" * 8 + lzma.compress(b"second")).parts.values()
    )


def test_what_follows_the_last_stream_is_a_part(opened: Any) -> None:
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        result = opened("x", pack(SECRET) + b"MZ and more")
        assert result.parts["trailing"] == b"MZ and more"
        assert "trailing" not in opened("x", pack(SECRET) + b"\0" * 512).parts


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_stream_that_was_cut_off_is_reported_and_its_start_kept(opened: Any, pack: Any) -> None:
    noise = bytes(byte * byte % 251 for byte in range(400_000))
    result = opened("x", pack(noise)[:-9])
    assert result.rules >= {"unopened"}
    assert any(noise.startswith(content) and content for path, content in result.parts.items() if path)


def test_encrypted_members_and_directories_are_reported(packed: Any, opened: Any) -> None:
    pytest.importorskip("libarchive")
    assert opened("x.7z", packed("x.7z", *SEVEN, "-pword", "x.7z", "a.txt")).kinds == {"encrypted"}
    assert opened("y.7z", packed("y.7z", *SEVEN, "-pword", "-mhe=on", "y.7z", "a.txt")).kinds == {"encrypted"}
    assert opened("y.arj", packed("y.arj", "arj", "a", "-gword", "y.arj", "a.txt")).kinds == {"encrypted"}


@pytest.mark.parametrize("order", [("secret", "plain"), ("plain", "secret")])
@pytest.mark.parametrize("solid", ["on", "off"])
def test_every_encrypted_member_is_told_and_every_other_one_read(
    packed: Any, opened: Any, order: tuple[str, ...], solid: str
) -> None:
    pytest.importorskip("libarchive")
    files = {f"{name}{number}.txt": f"{name}{number}".encode() * 300 for name in order for number in range(3)}
    for name in order:
        more = ("-pword",) if name == "secret" else ()
        command = (*SEVEN, f"-ms={solid}", *more, "x.7z", *(f"{name}{number}.txt" for number in range(3)))
        data = packed("x.7z", *command, files=files)
    result = opened("x.7z", data)
    assert [result.parts[f"plain{number}.txt"] for number in range(3)] == [files[f"plain{n}.txt"] for n in range(3)]
    assert [finding.part for finding in result.findings] == [f"2/secret{number}.txt" for number in range(3)]
    assert result.kinds == {"encrypted"}


@pytest.mark.parametrize("name", ["x.7z", "x.zip"])
def test_two_archives_in_one_are_both_opened(packed: Any, judged: Any, opened: Any, name: str) -> None:
    """A 7z archive with a zip archive behind it: the one or the other is opened, as the file is called."""
    pytest.importorskip("libarchive")
    files = {"good.txt": b"good" * 99, "bad.txt": b"bad" * 99}
    seven = packed("x.7z", *SEVEN, "x.7z", "good.txt", files=files)
    both = seven + packed("x.zip", *SEVEN, "x.zip", "bad.txt", files=files)
    assert set(files.values()) <= set(opened(name, both).parts.values())
    digest = f"{hashlib.md5(files['bad.txt']).hexdigest()}:{len(files['bad.txt'])}:Test.Program\n"
    (findings,) = judged([mail(name, both)], digest)
    assert [finding.part for finding in findings if finding.kind is Kind.INFECTED] == ["2/bad.txt"]
    assert {"zip_prefix"} == {finding.rule for finding in findings if finding.kind is Kind.AMBIGUOUS}
    (findings,) = judged([mail(name, both)], digest, 'without = ["7z"]')
    assert (Kind.UNCHECKED, "unopened") in {(finding.kind, finding.rule) for finding in findings}
    assert Kind.INFECTED in {finding.kind for finding in findings}


@pytest.mark.parametrize("place", ["behind", "before the directory"])
def test_another_archive_within_a_zip_is_opened(packed: Any, opened: Any, place: str) -> None:
    """WinRAR and 7-Zip look for their signatures behind whatever a file begins with."""
    pytest.importorskip("libarchive")
    files = {"good.txt": b"good" * 99, "bad.txt": b"bad" * 99}
    seven = packed("x.7z", *SEVEN, "x.7z", "bad.txt", files=files)
    data = packed("x.zip", *SEVEN, "x.zip", "good.txt", files=files)
    if place == "behind":
        both = data + seven
    else:
        at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
        both = data[:at] + seven + data[at : end + 16] + struct.pack("<I", at + len(seven)) + data[end + 20 :]
    result = opened("x.rar", both)
    assert set(files.values()) <= set(result.parts.values())
    assert result.kinds == {"ambiguous"}
    assert result.rules == {"zip_hidden"}
    stored = packed("y.zip", *SEVEN, "-mx=0", "y.zip", "x.7z")
    result = opened("y.zip", stored)
    assert list(result.parts.values()).count(files["bad.txt"]) == 1
    assert result.findings == []


def test_an_archive_that_holds_a_zip_as_it_is_is_not_opened_twice(packed: Any, opened: Any) -> None:
    inner = packed("in.zip", *SEVEN, "in.zip", "a.txt")
    for output, command in (
        ("x.tar", ("tar", "cf", "x.tar", "in.zip")),
        ("x.7z", (*SEVEN, "-mx=0", "x.7z", "in.zip")),
    ):
        result = opened(output, packed(output, *command, files={"in.zip": inner}))
        assert sorted(result.parts.values()).count(SECRET) == 1, output
        assert result.kinds == set(), output


def test_a_further_volume_is_reported(packed: Any, opened: Any) -> None:
    noise = {"a.txt": bytes(byte * byte % 251 for byte in range(40_000))}
    first = packed("x.arj.arj", "arj", "a", "-v10k", "-m0", "-y", "x.arj.arj", "a.txt", files=noise)
    assert opened("x.arj", first).rules & {"multivolume", "unopened"}


def test_a_format_that_is_switched_off_is_left_to_the_core(opened: Any, judged: Any) -> None:
    data = gzip.compress(SECRET)
    assert set(opened("x.gz", data, without=("gzip",)).parts) == {""}
    (findings,) = judged([mail("x.gz", data)], settings='without = ["gzip"]')
    assert [finding.rule for finding in findings] == ["unopened"]


def test_an_archive_behind_other_content_is_opened(packed: Any, opened: Any) -> None:
    pytest.importorskip("libarchive")
    data = packed("x.7z", *SEVEN, "x.7z", "a.txt", "dir")
    assert set(opened("photo.jpg", b"\xff\xd8\xff" + bytes(5000) + data).parts.values()) >= CONTENTS


def test_members_are_read_one_after_the_other(part_of: Any, packed: Any) -> None:
    from mailward_archives.tar import read_tar

    part: Part = part_of(packed("x.tar", "tar", "cf", "x.tar", "a.txt", "dir"))
    reader = read_tar(part)
    assert next(reader).name == "a.txt"  # type: ignore[union-attr]
    reader.close()  # type: ignore[attr-defined]
