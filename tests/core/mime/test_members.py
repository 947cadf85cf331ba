"""Members of containers: intake under limits, and the zip reader."""

import base64
import binascii
import io
import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.mime import Limits, Member, MemberError, Message, PartKind, unpack_zip
from mailward.values.finding import Finding, Kind

EICAR = b"X5O!P%@AP[4" + rb"\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), data, compress_type=method)
    return file.getvalue()


def attached(data: bytes, **limits: int) -> Message:
    head = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return Message.from_bytes(head + base64.encodebytes(data).replace(b"\n", b"\r\n"), Limits(**limits))


def unpacked(mail: Message) -> list[Finding]:
    found: list[Finding] = []
    for part in mail.walk():
        members = unpack_zip(part)
        if members is not None:
            found += mail.add_members(part, members)
    return found


def kinds(findings: list[Finding]) -> list[tuple[str, str, str, str]]:
    return [(finding.kind.value, finding.rule, finding.part, finding.name) for finding in findings]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_members_are_walked_however_deep(method):
    inner = zipped(("a.exe", b"MZ" + EICAR), method=method)
    mail = attached(zipped(("docs/readme.txt", b"read me"), ("report.zip", inner), ("dir/", b""), method=method))
    assert unpacked(mail) == []
    assert [(part.path, part.kind) for part in mail.walk()] == [
        ("1", PartKind.LEAF),
        ("1/docs%2Freadme.txt", PartKind.MEMBER),
        ("1/report.zip", PartKind.MEMBER),
        ("1/report.zip/a.exe", PartKind.MEMBER),
    ]
    member = mail.part("1/report.zip/a.exe")
    assert member.content == b"MZ" + EICAR
    assert member.span is None
    assert member.depth == 2
    assert member.detected_type == "application/x-dosexec"
    assert mail.part("1/docs%2Freadme.txt").filename == "readme.txt"
    assert mail.part("1/docs%2Freadme.txt").names[0].source == "member"


def test_what_is_no_zip_is_none():
    assert unpack_zip(attached(b"PK but no zip").root) is None


@pytest.mark.parametrize("cut", [4, 30, 60])
def test_a_broken_zip_is_unchecked(cut):
    mail = attached(zipped(("a", b"x" * 100))[:cut])
    assert kinds(unpacked(mail)) == [("unchecked", "unopened", "1", "")]


def test_a_damaged_member_keeps_what_was_read():
    data = bytearray(zipped(("a", b"hello"), method=zipfile.ZIP_STORED))
    data[data.index(b"hello")] ^= 1
    mail = attached(bytes(data))
    assert kinds(unpacked(mail)) == [("unchecked", "unopened", "1/a", "")]


def test_declared_sizes_are_not_trusted():
    data = bytearray(zipped(("a", b"x" * 1000 + EICAR)))
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 3)
    mail = attached(bytes(data))
    unpacked(mail)
    assert mail.part("1/a").content == b"x" * 1000 + EICAR


def test_encrypted_members_are_opaque():
    data = bytearray(zipped(("secret.doc", b"x")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    mail = attached(bytes(data))
    assert kinds(unpacked(mail)) == [("encrypted", "encrypted", "1/secret.doc", "")]
    part = mail.part("1/secret.doc")
    assert part.opaque
    assert part.content == b""
    assert part.filename == "secret.doc"


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(max_size=4))
@settings(max_examples=300, deadline=None)
def test_damaged_zips_never_raise(data, at, damage):
    raw = zipped(("a.txt", data), ("b/c", data * 5))
    raw = raw[:at] + damage + raw[at + len(damage) :]
    unpacked(attached(raw))


@pytest.mark.parametrize(
    ("limits", "found", "kept"),
    [
        ({"max_parts": 3}, [("limit", "limit", "1", "max_parts")], 2),
        ({"max_total_bytes": 4500}, [("limit", "limit", "1/1", "max_total_bytes")], 2),
        ({"max_depth": 1}, [], 9),
    ],
)
def test_limits_stop_the_intake(limits, found, kept):
    mail = Message.from_bytes(b"A: b\r\n\r\nx", Limits(**limits))
    members = (Member(str(n), [b"x" * 900] * 4) for n in range(9))
    assert kinds(mail.add_members(mail.root, members)) == found
    assert len(mail.root.children) == kept


def test_a_member_beyond_a_limit_is_opaque_and_the_next_is_taken():
    mail = Message.from_bytes(b"A: b\r\n\r\n" + b"x" * 10_000, Limits(max_part_bytes=1_000_000))
    endless = Member("big", (b"x" * 100_000 for _ in iter(int, 1)))
    hinted = Member("hint", iter(()), size_hint=2_000_000)
    taken = mail.add_members(mail.root, [endless, hinted, Member("small", [b"ok"])])
    assert [(one.part, one.name) for one in taken] == [("1/big", "max_part_bytes"), ("1/hint", "max_part_bytes")]
    assert mail.part("1/big").opaque
    assert mail.part("1/big").content == b""
    assert mail.part("1/small").content == b"ok"


def test_depth_is_limited():
    data = b"core"
    for _ in range(6):
        data = zipped(("n.zip", data))
    mail = attached(data, max_depth=3)
    assert kinds(unpacked(mail)) == [("limit", "limit", "1/n.zip/n.zip/n.zip", "max_depth")]


def test_a_bomb_is_stopped_by_its_ratio():
    mail = attached(zipped(("bomb", b"\0" * 30_000_000)))
    assert kinds(unpacked(mail)) == [("limit", "limit", "1/bomb", "max_ratio")]
    small = attached(zipped(("small", b"\0" * 500_000)))
    assert unpacked(small) == []


def test_a_bomb_of_a_format_that_tells_no_packed_sizes_is_stopped_by_its_ratio():
    """The container as a whole counts then; what fits is taken all the same."""
    mail = Message.from_bytes(b"A: b\r\n\r\n" + b"x" * 10_000)
    members = [Member("good", [b"a" * 500_000]), Member("bomb", iter([b"\0" * 500_000] * 50)), Member("after", [b"b"])]
    assert kinds(mail.add_members(mail.root, members)) == [("limit", "limit", "1/bomb", "max_ratio")]
    assert [part.opaque for part in mail.root.children] == [False, True, False]
    many = Message.from_bytes(b"A: b\r\n\r\n" + b"x" * 10_000)
    found = many.add_members(many.root, (Member("part", [b"\0" * 300_000]) for _ in range(10)))
    assert kinds(found) == [("limit", "limit", f"1/part#{n}", "max_ratio") for n in (7, 8, 9, 10)]


def test_time_is_limited():
    mail = Message.from_bytes(b"A: b\r\n\r\nx", Limits(max_time_s=0))
    assert kinds(mail.add_members(mail.root, [Member("a", [b"x"])])) == [("limit", "limit", "1", "max_time_s")]


def test_large_members_go_to_a_file_and_read_back():
    blocks = [bytes([n]) * 100_000 for n in range(50)]
    mail = Message.from_bytes(b"A: b\r\n\r\n" + b"x" * 100_000)
    mail.add_members(mail.root, [Member("one", iter(blocks)), Member("two", iter(blocks[::-1]))])
    assert b"".join(mail.part("1/one").stream()) == b"".join(blocks)
    assert mail.part("1/two").content == b"".join(blocks[::-1])
    with mail.part("1/two").open() as file:
        assert file.read(3) == b"111"
    mail.close()


def test_a_reader_may_read_other_parts_meanwhile():
    big = base64.encodebytes(bytes(range(256)) * 30_000)
    mail = attached(base64.decodebytes(big))

    def chunks():
        yield b"a" * 300_000
        with mail.root.open() as file:
            yield file.read(300_000)

    mail.add_members(mail.root, [Member("x", chunks())])
    assert mail.part("1/x").content == b"a" * 300_000 + (bytes(range(256)) * 30_000)[:300_000]
    assert mail.root.content == bytes(range(256)) * 30_000


def test_a_mail_among_the_members_gets_its_tree():
    inner = b"From: a@b\nSubject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b--\n"
    mail = Message.from_bytes(b"A: b\r\n\r\nx")
    mail.add_members(mail.root, [Member("a.eml", [inner]), Member("no-name", [inner])])
    assert [part.path for part in mail.walk()] == [
        "1",
        "1/a.eml",
        "1/a.eml/",
        "1/a.eml/1",
        "1/no-name",
        "1/no-name/",
        "1/no-name/1",
    ]
    assert mail.part("1/no-name/1").content == b"hi"


def test_a_web_archive_among_the_members_is_one_by_any_of_its_names():
    inner = b"Anything: at all\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b--\n"
    mail = Message.from_bytes(b"A: b\r\n\r\nx")
    names = [("a.MHT", ()), ("a.txt", ("a.mhtml",)), ("b.txt", ("b.eml",))]
    members = [Member(name, [inner], other_names=others) for name, others in names]
    mail.add_members(mail.root, [*members, Member("plain.txt", [inner]), Member("c.mht", [b"<html>no mail</html>"])])
    assert [part.path for part in mail.walk() if part.content == b"hi"] == ["1/a.MHT/1", "1/a.txt/1", "1/b.txt/1"]


def test_uuencode_in_a_member_is_found():
    text = b"hello\nbegin 644 x.exe\n" + binascii.b2a_uu(b"MZ!") + b"`\nend\n"
    mail = Message.from_bytes(b"A: b\r\n\r\nx")
    mail.add_members(mail.root, [Member("notes.txt", [text])])
    assert mail.part("1/notes.txt/x.exe").content == b"MZ!"


def test_findings_and_errors_of_a_reader_are_returned():
    def members():
        yield Finding(Kind.UNCHECKED, "content", "unopened", "1")
        yield Member("half", chunks())
        raise MemberError("no more")

    def chunks():
        yield b"half"
        raise MemberError("broken")

    mail = Message.from_bytes(b"A: b\r\n\r\nx")
    found = mail.add_members(mail.root, members())
    assert [(finding.plugin, finding.part, finding.detail) for finding in found] == [
        ("content", "1", ""),
        ("core", "1/half", "broken"),
        ("core", "1", "no more"),
    ]
    assert mail.part("1/half").content == b"half"


def test_odd_names_make_clean_unique_paths():
    mail = Message.from_bytes(b"A: b\r\n\r\nx")
    mail.add_members(mail.root, [Member(name, [b"x"]) for name in ("a", "a", "a#2", "a", "", "../b\r\n\u202e", "a%2F")])
    paths = [part.path for part in mail.walk()]
    assert paths == ["1", "1/a", "1/a#2", "1/a#2#2", "1/a#3", "1/unnamed", "1/..%2Fb", "1/a%252F"]


def test_walking_sees_members_added_on_the_way():
    mail = Message.from_bytes(b"A: b\r\n\r\nx")
    seen = []
    for part in mail.walk():
        seen.append(part.path)
        if len(seen) < 4:
            mail.add_members(part, [Member("m", [b"x"])])
    assert seen == ["1", "1/m", "1/m/m", "1/m/m/m"]
