"""Files that a signature, a note or a Macintosh is wrapped around."""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Kind
from mailward_archives import applefile, cms, onenote

from .conftest import SECRET, mail

INNER = mail("inside.bin", SECRET)
DATA = bytes.fromhex("06092a864886f70d010701")
SIGNED = bytes.fromhex("06092a864886f70d010702")
COMPRESSED = bytes.fromhex("060b2a864886f70d0109100109")


def der(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def ber(tag: int, *content: bytes) -> bytes:
    """An element of which a mark says the end."""
    return bytes((tag, 0x80)) + b"".join(content) + b"\0\0"


def octet_string(content: bytes, size: int, make: Any) -> bytes:
    return make(0x24, *(der(0x04, content[at : at + size]) for at in range(0, len(content), size)))


def wrapped(octets: bytes, make: Any = der, kind: bytes = SIGNED) -> bytes:
    algorithms = der(0x31) if kind is SIGNED else der(0x30, bytes.fromhex("060b2a864886f70d0109100308"))
    inner = make(0x30, DATA, make(0xA0, octets))
    return make(0x30, kind, make(0xA0, make(0x30, der(0x02, b"\1"), algorithms, inner, der(0x31))))


FORMS = {
    "one piece": wrapped(der(0x04, INNER)),
    "no lengths": wrapped(octet_string(INNER, 100, ber), ber),
    "pieces of known length": wrapped(octet_string(INNER, 7, der)),
    "pieces within pieces": wrapped(
        ber(0x24, octet_string(INNER[:50], 9, der), octet_string(INNER[50:], 500, ber)), ber
    ),
    "compressed": wrapped(der(0x04, zlib.compress(INNER)), kind=COMPRESSED),
    "compressed in pieces": wrapped(octet_string(zlib.compress(INNER), 50, ber), ber, COMPRESSED),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_a_signature_is_around_is_a_mail_of_its_own(opened: Any, form: str) -> None:
    result = opened("smime.p7m", FORMS[form], kind="application/pkcs7-mime")
    assert result.parts["smime.eml/2"] == SECRET
    assert result.kinds == set()


def test_a_signed_mail_is_no_hiding_place(judged: Any) -> None:
    import hashlib

    digest = f"{hashlib.md5(SECRET).hexdigest()}:{len(SECRET)}:Test.Program\n"
    (findings,) = judged([mail("smime.p7m", FORMS["no lengths"], "application/pkcs7-mime")], digest)
    assert [finding.part for finding in findings if finding.kind is Kind.INFECTED] == ["2/smime.eml/2"]


def test_a_signed_file_keeps_its_name(opened: Any) -> None:
    assert opened("contract.pdf.p7m", wrapped(der(0x04, b"X: y and so on"))).parts["contract.pdf"] == b"X: y and so on"
    assert opened("contract.p7m", wrapped(der(0x04, b"%PDF"))).parts["contract"] == b"%PDF"


def test_openssl_signs_and_the_content_is_found(tmp_path: Path, opened: Any, require: Any) -> None:
    require("openssl")

    def openssl(*command: str) -> None:
        subprocess.run(("openssl", *command), cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "mail").write_bytes(INNER)
    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key",
        "-out",
        "cert",
        "-subj",
        "/CN=a",
        "-days",
        "2",
    )
    for more in ((), ("-stream",)):
        how = ("-sign", "-binary", "-nodetach", "-outform", "DER", *more)
        openssl("cms", *how, "-in", "mail", "-signer", "cert", "-inkey", "key", "-out", "out")
        assert opened("smime.p7m", (tmp_path / "out").read_bytes()).parts["smime.eml/2"] == SECRET


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_signature_is_reported(opened: Any, form: str) -> None:
    data = FORMS[form]
    assert "unopened" in opened("smime.p7m", data[: len(data) // 2]).rules
    assert "unopened" in opened("smime.p7m", data[:40]).rules
    assert "unopened" in opened("smime.p7m", data.replace(b"\x02\x01\x01", b"\x02\x84\xff\xff", 1)).rules


@pytest.mark.parametrize("make", [der, ber])
def test_a_detached_signature_has_nothing_in_it(opened: Any, make: Any) -> None:
    data = make(0x30, SIGNED, make(0xA0, make(0x30, der(0x02, b"\1"), der(0x31), make(0x30, DATA), der(0x31))))
    result = opened("smime.p7s", data, kind="application/pkcs7-signature")
    assert set(result.parts.values()) == {data}
    assert result.findings == []


def test_content_far_behind_its_beginning_is_found(opened: Any) -> None:
    algorithms = der(0x31, *[der(0x30, DATA)] * 200)
    data = der(
        0x30, SIGNED, der(0xA0, der(0x30, der(0x02, b"\1"), algorithms, der(0x30, DATA, der(0xA0, der(4, INNER)))))
    )
    assert opened("smime.p7s", data).parts["smime.eml/2"] == SECRET


def test_single_bytes_take_linear_time(assert_linear: Callable[..., None]) -> None:
    found = {size: wrapped(octet_string(b"x" * size, 1, ber), ber) for size in (50_000, 100_000)}

    def read(size: int) -> None:
        _, at, end = cms._content_at(found[size])
        assert sum(stop - start for start, stop in cms.octets(found[size], at, end)) == size

    assert_linear(read, 50_000)


def section(*files: bytes, names: tuple[str, ...] = ()) -> bytes:
    """A OneNote section as far as its embedded files go."""
    head = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(100)
    strings = b"".join(name.encode("utf-16-le") + b"\0\0" for name in names)
    objects = b"".join(onenote._OBJECT + struct.pack("<Q12x", len(file)) + file + bytes(20) for file in files)
    return head + strings + objects


def test_files_on_a_page_of_onenote_are_parts(opened: Any, part_of: Any) -> None:
    data = section(b"MZ program", SECRET, names=("Notes", "invoice.hta", "logo.png"))
    result = opened("x.one", data)
    assert result.parts["embedded1.exe"] == b"MZ program"
    assert result.parts["embedded2"] == SECRET
    assert result.kinds == set()
    first = next(onenote.read_onenote(part_of(data)))
    assert first.other_names == ("invoice.hta", "logo.png")  # type: ignore[union-attr]
    assert opened("x.one", data[:-50]).rules >= {"unopened"}


def single(name: bytes, data: bytes, resource: bytes = b"") -> bytes:
    table, at, body = b"", 26 + 3 * 12, b""
    for ident, content in ((3, name), (1, data), (2, resource)):
        table += struct.pack(">III", ident, at + len(body), len(content))
        body += content
    return bytes.fromhex("0005160000020000") + bytes(16) + struct.pack(">H", 3) + table + body


def test_both_forks_of_an_applesingle_file_are_parts(opened: Any) -> None:
    result = opened("x", single(b"a.exe", b"MZ", b"fork"))
    assert result.parts["a.exe"] == b"MZ"
    assert result.parts["a.exe%2Frsrc"] == b"fork"
    assert result.kinds == set()
    assert opened("x", single(b"a.exe", SECRET)[:-5]).rules == {"unopened"}
    assert opened("x", single(b"a.exe", SECRET)[:30]).rules == {"unopened"}


@pytest.mark.parametrize(
    ("output", "filter"), [("a.txt.lz4", "--lz4"), ("a.txt.lz", "--lzip"), ("a.txt.zst", "--zstd")]
)
def test_compressions_of_libarchive(packed: Any, opened: Any, output: str, filter: str) -> None:
    pytest.importorskip("libarchive")
    data = packed(output, "bsdtar", "cf", output, filter, "--format=raw", "a.txt")
    assert opened(output, data).parts["a.txt"] == SECRET


@pytest.mark.parametrize(
    "start",
    [
        b"!BDN",
        b"\xcf\xad\x12\xfe",
        b"ALZ\x01",
        b"EGGA\x00",
        b"SIT!",
        b"StuffIt (c)",
        b"ZOO 2.10",
        b"LRZI\x00",
        b"\x89LZO\x00\r\n\x1a\n",
        b"RE~^",
        b"AA01\x20\x00TYP1D",
        b"YAA1\x20\x00TYP1D",
        b"pbze\x00",
        b"7kSt\xa0\x31\x83\xd3",
        b"sqsh",
        b"\x45\x3d\xcd\x28",
        b"\xebv\x90EXFAT   ",
        b"\x00\x00\x00ReFS\x00",
    ],
)
def test_containers_that_nobody_reads_here_are_never_clean(judged: Any, start: bytes) -> None:
    (findings,) = judged([mail("x", start + bytes(60))])
    assert [(finding.kind, finding.rule) for finding in findings] == [(Kind.UNCHECKED, "unopened")]


@given(st.sampled_from([*FORMS.values()]), st.integers(0, 200), st.binary(max_size=4))
def test_damage_raises_nothing_else(data: bytes, at: int, damage: bytes) -> None:
    data = data[:at] + damage + data[at + len(damage) :]
    with suppress(cms.CmsError):
        _, start, end = cms._content_at(data)
        assert all(0 <= one <= two <= len(data) for one, two in cms.octets(data, start, end))


@given(st.binary(max_size=300), st.integers(0, 150), st.binary(max_size=4))
def test_damaged_notes_and_forks_raise_nothing_else(content: bytes, at: int, damage: bytes) -> None:
    for data in (section(content, b"x"), single(b"a", content)):
        data = data[:at] + damage + data[at + len(damage) :]
        list(onenote.files(data))
        with suppress(struct.error):
            applefile._entries(data)
