"""uuencode blocks inside texts."""

import base64
import binascii

import pytest

from mailward.mime import Message, PartKind
from mailward.mime.source import Source
from mailward.mime.uuencode import blocks, uudecode, uuencode


def uu(name: str, data: bytes, end: bytes = b"\r\n", mode: str = "644") -> bytes:
    lines = [binascii.b2a_uu(data[at : at + 45]).rstrip(b"\n") for at in range(0, len(data), 45)]
    return end.join([f"begin {mode} {name}".encode(), *lines, b"`", b"end", b""])


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_blocks_in_a_text_are_its_children(end):
    first, second = bytes(range(256)) * 3, b"MZ second"
    body = b"hello" + end + uu("a.exe", first, end) + b"between" + end + uu("dir/b.exe", second, end, "0755") + b"bye"
    mail = Message.from_bytes(b"Subject: x" + end + end + body)
    assert [(part.path, part.kind) for part in mail.walk()] == [
        ("1", PartKind.LEAF),
        ("1/a.exe", PartKind.ENCODED),
        ("1/dir%2Fb.exe", PartKind.ENCODED),
    ]
    assert mail.root.content == body
    child = mail.part("1/dir%2Fb.exe")
    assert child.content == second
    assert child.filename == "b.exe"
    assert child.names[0].raw == "dir/b.exe"
    assert child.detected_type == "application/x-dosexec"
    assert mail.part("1/a.exe").content == first
    assert mail.part("1/a.exe").declared_type == ""
    start, stop = mail.part("1/a.exe").span
    assert bytes(mail.raw[start:stop]) == uu("a.exe", first, end)
    assert mail.defects == []


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_blocks_in_an_encoded_text_are_found(encoding):
    text = b"hi\n" + uu("a.exe", b"data", b"\n")
    body = base64.encodebytes(text) if encoding == "base64" else text
    mail = Message.from_bytes(b"Content-Transfer-Encoding: " + encoding.encode() + b"\n\n" + body)
    assert mail.part("1/a.exe").content == b"data"
    assert mail.part("1/a.exe").span is None


def test_equal_names_are_told_apart():
    mail = Message.from_bytes(b"A: b\n\n" + uu("x", b"1", b"\n") + uu("x", b"2", b"\n") + uu("x", b"3", b"\n"))
    assert [part.path for part in mail.walk()] == ["1", "1/x", "1/x#2", "1/x#3"]
    assert mail.part("1/x#3").content == b"3"


def test_a_block_without_end_reaches_to_the_end_of_the_text():
    mail = Message.from_bytes(b"A: b\n\n" + uu("x", b"abc", b"\n").replace(b"end\n", b""))
    assert mail.part("1/x").content == b"abc"
    assert [(finding.rule, finding.part) for finding in mail.defects] == [("uu_unclosed", "1/x")]


@pytest.mark.parametrize(
    "text",
    [b"begin the day", b"begin 644 notes\nwith prose that is long\n", b" begin 644 x\n#0V%T\nend\n", b"begin 99 x\n"],
)
def test_prose_is_no_block(text):
    assert list(blocks(Source(text, 0, len(text)), 0, len(text))) == []


@pytest.mark.parametrize(
    ("line", "content", "clean"),
    [
        (b"#0V%T", b"Cat", True),
        (b"#0V%T\r", b"Cat", True),
        (b"#0V%TX", b"Cat", True),
        (b"$0V%T  ", b"Cat\0", True),
        (b"#0V%T\x7f\x7f\n#0V%T", b"CatCat", True),
        (b"#\xff\xff\xff\xff\n#0V%T", b"Cat", False),
    ],
)
def test_damaged_lines_are_read_as_far_as_they_go(line, content, clean):
    assert uudecode(line) == (content, clean)


def test_long_data_round_trips():
    data = bytes(range(256)) * 50
    assert uudecode(uuencode(data, b"\r\n")) == (data, True)


def test_damage_in_a_block_is_a_defect():
    mail = Message.from_bytes(b"A: b\n\nbegin 644 x\n#0V%T\n#\xff\xff\xff\xff\nend\n")
    assert mail.part("1/x").content == b"Cat"
    assert [finding.rule for finding in mail.defects] == ["uu_junk"]
