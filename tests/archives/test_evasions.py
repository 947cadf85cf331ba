"""Containers made so that a filter does not find what the recipient's program opens: all is found."""

from __future__ import annotations

import base64
import binascii
import bz2
import hashlib
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Finding, Kind
from mailward_archives import pgp, sevenzip
from mailward_archives.content import Content

from .conftest import SECRET, Opened, mail

VIRUS = b"MZ" + SECRET * 3
SIGNATURE = f"{hashlib.md5(VIRUS, usedforsecurity=False).hexdigest()}:*:Test.Virus\n"
PAGE = b"<html><a href='data:text/plain;base64,aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8='>x</a></html>"


def zipped(content: bytes = VIRUS, comment: bytes = b"") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.exe", content)
        archive.comment = comment
    return target.getvalue()


def tape(*entries: tuple[bytes, bytes, bytes], magic: bytes = b"ustar\x0000") -> bytes:
    """A tape archive of (name, type, content)."""
    out = bytearray()
    for name, kind, content in entries:
        head = bytearray(tarfile.BLOCKSIZE)
        head[: len(name)] = name
        head[100:108], head[124:136], head[156:157] = b"0000644\0", b"%011o\0" % len(content), kind
        head[257 : 257 + len(magic)] = magic
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head)
        out += head + content + bytes(-len(content) % tarfile.BLOCKSIZE)
    return bytes(out) + bytes(2 * tarfile.BLOCKSIZE)


def document(*objects: bytes, before: bytes = b"") -> bytes:
    """A PDF file of these objects, the first of which is its root."""
    out, places = bytearray(before + b"%PDF-1.7\n"), list[int]()
    for number, item in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, item)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(
        b"%010d 00000 n \n" % at for at in places
    )
    return bytes(out) + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)


def stream(content: bytes, fields: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), fields, content)


PAGES = (b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>")
ROOT = b"<< /Type /Catalog /Pages 2 0 R %b >>"
NAMED = b"/Names << /EmbeddedFiles << /Names [(a.exe) %b] >> >>"
WITH_FILE = (ROOT % NAMED % b"4 0 R", *PAGES, b"<< /F (a.exe) /EF << /F 5 0 R >> >>")


def rich(after: bytes, kept: bytes = VIRUS) -> bytes:
    """An RTF document with an object, ``after`` behind the word that announces its data."""
    data = struct.pack("<III", 0x501, 2, 4) + b"Foo\0" + bytes(8) + struct.pack("<I", len(kept)) + kept
    if b"%d" in after:
        return b"{\\rtf1{\\object{\\*\\objdata" + after % len(data) + data + b"}}}"
    return b"{\\rtf1{\\object{\\*\\objdata" + after + binascii.hexlify(data) + b"}}}"


CASES: dict[str, tuple[str, bytes, str]] = {
    "tar with an entry of a type that nobody knows": ("a.tar", tape((b"a.exe", b"Z", VIRUS)), ""),
    "tar with an entry that goes on from another volume": ("a.tar", tape((b"a.exe", b"M", VIRUS)), ""),
    "tar with a link that has content": ("a.tar", tape((b"a.exe", b"1", VIRUS)), ""),
    "tar with a folder that has content": ("a.tar", tape((b"x", b"5", b"x" * 600), (b"a.exe", b"0", VIRUS)), ""),
    "tar of the oldest kind": ("a.tar", tape((b"a.exe", b"\0", VIRUS), magic=b""), ""),
    "tar with another mark": ("a.tar", tape((b"a.exe", b"0", VIRUS), magic=b"xstar"), ""),
    "tar whose first name is the mark of a picture": ("a.tar", tape((b"GIF89a", b"0", b"x"), (b"a", b"0", VIRUS)), ""),
    "tar whose first name is the mark of a program": ("a.tar", tape((b"MZ", b"0", VIRUS)), ""),
    "PDF with a file that only a list names": (
        "a.pdf",
        document(ROOT % NAMED % b"<< /F (a.exe) /EF << /F 4 0 R >> >>", *PAGES, stream(VIRUS)),
        "",
    ),
    "PDF with a file of a key that nobody knows": (
        "a.pdf",
        document(*WITH_FILE[:3], b"<< /F (a.exe) /EF << /X 5 0 R >> >>", stream(VIRUS)),
        "",
    ),
    "PDF behind a picture": ("a.pdf", document(*WITH_FILE, stream(VIRUS), before=b"GIF89a\n"), ""),
    "PDF behind a program": ("a.pdf", document(*WITH_FILE, stream(VIRUS), before=b"MZ\n"), ""),
    "PDF in what begins as an archive": (
        "a.pdf",
        document(*WITH_FILE, stream(VIRUS), before=tape((b"x", b"0", b"x"))[:512]),
        "",
    ),
    "zip behind a PDF": ("a.zip", document(*WITH_FILE, stream(b"hello")) + zipped(), ""),
    "zip behind a PDF without files": ("a.pdf", document(ROOT % b"", *PAGES) + zipped(), ""),
    "zip behind a page": ("a.zip", PAGE + zipped(), "text/html"),
    "zip behind RTF": ("a.zip", rich(b" ", b"hello") + zipped(), ""),
    "zip that is said to be a text and holds a URI": (
        "a.zip",
        zipped(comment=b"data:," + b"A" * 40 + b"'"),
        "text/plain",
    ),
    "RTF whose word has a number": ("a.doc", rich(b"1 "), ""),
    "RTF whose word has a negative number": ("a.doc", rich(b"-12 "), ""),
    "RTF with zeros before a length": ("a.doc", rich(b" \\bin0000000000%d "), ""),
    "RTF with a length that is none": ("a.doc", rich(b" \\bin-5 "), ""),
}


def kinds(findings: list[Finding]) -> set[Kind]:
    return {finding.kind for finding in findings}


def test_what_a_program_opens_is_found_in_whatever_form(judged: Callable[..., list[list[Finding]]]) -> None:
    pytest.importorskip("pikepdf")
    raws = [mail(name, content, kind or "application/octet-stream") for name, content, kind in CASES.values()]
    found = judged(raws, SIGNATURE, settings="")
    assert [case for case, findings in zip(CASES, found, strict=True) if Kind.INFECTED not in kinds(findings)] == []


def test_an_archive_behind_other_content_does_not_keep_it_from_being_reported(
    judged: Callable[..., list[list[Finding]]],
) -> None:
    """Something that is found in its bytes does not make a container opened that has no reader."""
    raws = [mail("a.sit", b"SIT!" + PAGE, "text/plain"), mail("a.html", b"ZOO " + PAGE, "text/html")]
    for findings in judged(raws, SIGNATURE):
        assert "unopened" in {finding.rule for finding in findings}


def test_a_size_that_stands_between_two_headers_is_ambiguous(judged: Callable[..., list[list[Finding]]]) -> None:
    """Programs that pass over the content of a link come out at another entry than those that do not."""
    inside = tape((b"decoy", b"0", b"x" * 4096))[: tarfile.BLOCKSIZE]
    raw = mail("a.tar", tape((b"a", b"1", inside), (b"a.exe", b"0", VIRUS)))
    (findings,) = judged([raw], SIGNATURE)
    assert {"tar_size"} <= {finding.rule for finding in findings}
    assert Kind.INFECTED in kinds(findings)


TEXT = base64.b64encode(VIRUS)
LINES = [TEXT[at : at + 60] for at in range(0, len(TEXT), 60)]
URI = b"<a href='data:application/octet-stream;base64,%b'>x</a>"


def folded(line: bytes) -> bytes:
    return b"\r\n ".join(line[at : at + 74] for at in range(0, len(line), 74)) + b"\r\n"


ATTACH = folded(b"ATTACH;FMTTYPE=a/b;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=a.exe:" + TEXT)
PAGES_WITH_FILES: dict[str, bytes] = {
    "as it stands": URI % TEXT,
    "UTF-16": (URI % TEXT).decode().encode("utf-16"),
    "UTF-16 without a mark": (URI % TEXT).decode().encode("utf-16-be"),
    "the mark of a picture before it": b"GIF89a" + URI % TEXT,
    "the mark of a program before it": b"MZ" + URI % TEXT,
    "zeros before it": bytes(20) + URI % TEXT,
    "a letter of the scheme as a reference": b"<a href='&#100;ata:a/b;base64," + TEXT + b"'>",
    "the colon as a reference": b"<a href='data&colon;a/b;base64," + TEXT + b"'>",
    "letters of the content as references": URI % TEXT.replace(b"A", b"&#x41;"),
    "a tab in the scheme": b"<a href='da\tta:a/b;base64," + TEXT + b"'>",
    "line breaks in the scheme and the content": b"<a href='data\n:a/b;base64," + b"\r\n".join(LINES) + b"'>",
    "no quotes": b"<a href=data:a/b;base64," + TEXT + b" download=a.exe>",
    "blanks before the encoding": b"<a href='data:a/b; charset=x ; base64 ," + TEXT + b"'>",
    "percent signs": URI % TEXT.replace(b"A", b"%41"),
    "change of charset in the scheme": b"<a href='da\x1b(Bta:a/b;base64," + TEXT + b"'>",
    "one string": b"<script>x='" + TEXT + b"'</script>",
    "short strings that are joined": b"<script>x=" + b"\n+ ".join(b"'%b'" % line for line in LINES) + b"</script>",
    "strings with remarks between": b"<script>x=" + b"/* - */+".join(b"'%b'" % one for one in LINES) + b"</script>",
    "strings that are added": b"<script>x='';" + b"".join(b"x+='%b';\n" % line for line in LINES) + b"</script>",
    "a stray quote before": b"<script>/*'*/ x=" + b" + ".join(b"'%b'" % line for line in LINES) + b"</script>",
    "a string over several lines": b"<script>x='" + b"\\\n".join(LINES) + b"'</script>",
    "a string with escapes": b"<script>x='" + TEXT.replace(b"A", b"\\x41").replace(b"/", b"\\/") + b"'</script>",
    "a string in an attribute": b"<a onclick='x=atob(&quot;" + TEXT + b"&quot;)'>",
    "a list of numbers": b"<script>x=[" + b", ".join(b"%d" % byte for byte in VIRUS) + b"]</script>",
    "a list of hexadecimal numbers": b"<script>x=[" + b",".join(b"0x%x" % byte for byte in VIRUS) + b"]</script>",
    "a string backwards": b"<script>x='" + TEXT[::-1] + b"'</script>",
    "hexadecimal digits": b"<script>x='" + VIRUS.hex().encode() + b"'</script>",
    "hexadecimal digits backwards": b"<script>x='" + VIRUS.hex()[::-1].encode() + b"'</script>",
    "hexadecimal digits in pieces": b"<script>x=['"
    + b"','".join(VIRUS.hex()[at : at + 60].encode() for at in range(0, 2 * len(VIRUS), 60))
    + b"'].join('')</script>",
    "a string of Unicode codes": b"<script>x='" + b"".join(b"\\u00%02x" % byte for byte in VIRUS) + b"'</script>",
    "a string of codes": b"<script>x='" + b"".join(b"\\x%02x" % byte for byte in VIRUS) + b"'</script>",
}
CARDS: dict[str, tuple[str, bytes, str]] = {
    "a calendar": ("a.ics", b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" + ATTACH + b"END:VEVENT\r\n", "text/calendar"),
    "a calendar by its name": ("a.ics", b"BEGIN:VEVENT\r\n" + ATTACH, ""),
    "a calendar by its first line": ("", b"BEGIN:VCALENDAR\r\n" + ATTACH, ""),
    "a URI in a calendar": (
        "a.ics",
        b"BEGIN:VCALENDAR\r\n" + folded(b"ATTACH:data:a/b;base64," + TEXT) + b"X:y\r\n",
        "",
    ),
    "a card": ("a.vcf", b"BEGIN:VCARD\r\n" + folded(b"PHOTO;ENCODING=b;TYPE=JPEG:" + TEXT) + b"END:VCARD\r\n", ""),
    "an old card": (
        "a.vcf",
        b"BEGIN:VCARD\r\nPHOTO;JPEG;BASE64:\r\n" + b"\r\n".join(LINES) + b"\r\n\r\nEND:VCARD\r\n",
        "",
    ),
}


def test_a_file_in_a_page_is_found_in_whatever_form(judged: Callable[..., list[list[Finding]]]) -> None:
    cases = {
        f"{case}, {kind}": (page, kind) for case, page in PAGES_WITH_FILES.items() for kind in ("text/html", "a/b")
    }
    found = judged([mail("a.html", page, kind) for page, kind in cases.values()], SIGNATURE)
    assert [case for case, findings in zip(cases, found, strict=True) if Kind.INFECTED not in kinds(findings)] == []


def test_a_file_in_a_calendar_or_card_is_found(judged: Callable[..., list[list[Finding]]]) -> None:
    raws = [mail(name, content, kind or "application/octet-stream") for name, content, kind in CARDS.values()]
    found = judged(raws, SIGNATURE)
    assert [case for case, findings in zip(CARDS, found, strict=True) if Kind.INFECTED not in kinds(findings)] == []


def test_files_in_cards_have_the_names_that_stand_there(opened: Callable[..., Opened]) -> None:
    assert set(opened("a.ics", b"BEGIN:VCALENDAR\r\n" + ATTACH).parts) == {"", "a.exe"}


@pytest.mark.parametrize(
    "piece", [b"'abc+", b"&#65;", b"1,", b"\\x41", b"data:", b">AAAA", b"data:;a ", b"0x1, ", b"\nA;B:", b"\r\n A"]
)
def test_pages_made_of_near_hits_take_linear_time(
    opened: Callable[..., Opened], assert_linear: Callable[..., None], piece: bytes
) -> None:
    def read(size: int) -> None:
        page = piece * (size // len(piece))
        opened("a.html", page, kind="text/html")
        opened("a.ics", page, kind="text/calendar")

    read(1000)
    assert_linear(read, 200_000)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def rar5(*blocks: tuple[int, bytes, bytes], method: int = 0) -> bytes:
    """A RAR 5 archive of (type, name, content); services are alternate streams of what stands before them."""

    def block(body: bytes, content: bytes = b"") -> bytes:
        head = varint(len(body)) + body
        return struct.pack("<I", zlib.crc32(head)) + head + content

    out = b"Rar!\x1a\x07\x01\x00" + block(varint(1) + varint(0) + varint(0))
    for kind, name, content in blocks:
        extra = varint(len(name) + 2) + varint(7) + b":" + name if kind == 3 else b""
        title = b"STM" if kind == 3 else name
        body = varint(kind) + varint(3 if extra else 2) + (varint(len(extra)) if extra else b"") + varint(len(content))
        body += varint(4) + varint(len(content)) + varint(0x20) + struct.pack("<I", zlib.crc32(content))
        body += varint(method << 7) + varint(0) + varint(len(title)) + title + extra
        out += block(body, content)
    return out + block(varint(5) + varint(0) + varint(0))


def rar3(content: bytes) -> bytes:
    """A RAR 3 archive with an alternate stream."""

    def block(kind: int, flags: int, rest: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    size, crc = len(content), zlib.crc32(content)
    stream = struct.pack("<IIBIIBBHI", size, size, 2, crc, 0, 29, 0x30, 3, 0) + b"STM"
    return b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6)) + block(0x7A, 0x8000, stream) + content + block(0x7B, 0, b"")


def literal(content: bytes, old: bool = False) -> bytes:
    body = b"b\x05a.exe" + bytes(4) + content
    return (b"\xae" if old else b"\xcb\xff") + struct.pack(">I", len(body)) + body


def in_parts(content: bytes) -> bytes:
    """A literal packet whose body comes in parts."""
    body = b"b\x00" + bytes(4) + content
    return b"\xcb" + b"\xe9" + body[:512] + b"\xff" + struct.pack(">I", len(body) - 512) + body[512:]


def armored(packets: bytes) -> bytes:
    return b"-----BEGIN PGP MESSAGE-----\n\n%b=abcd\n-----END PGP MESSAGE-----\n" % base64.encodebytes(packets)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def signed(content: bytes, zeros: int = 0) -> bytes:
    """A signed mail; ``zeros`` before its lengths are allowed (X.690 8.1.3.5)."""

    def element(tag: int, body: bytes, more: int = 0) -> bytes:
        return bytes((tag, 0x84 + more)) + bytes(more) + len(body).to_bytes(4, "big") + body

    data, kind = bytes.fromhex("06092a864886f70d010701"), bytes.fromhex("06092a864886f70d010702")
    inner = element(2, b"\1") + element(0x31, b"") + element(0x30, data + element(0xA0, element(4, content)))
    return element(0x30, kind + element(0xA0, element(0x30, inner, zeros), zeros), zeros)


SMIME = "application/pkcs7-mime; smime-type=signed-data"
INNER = mail("a.exe", VIRUS)
SEALS: dict[str, tuple[str, bytes, str]] = {
    "mail of Apple Mail": ("1.emlx", b"%-10d\n" % len(INNER) + INNER + b"<?xml version='1.0'?><plist/>", ""),
    "mail of Apple Mail whose size is wrong": ("1.emlx", b"1\n" + INNER, "text/plain"),
    "RAR 5 with an alternate stream": ("a.rar", rar5((2, b"a.txt", b"hello"), (3, b"a.exe", VIRUS)), ""),
    "RAR 3 with an alternate stream": ("a.rar", rar3(VIRUS), ""),
    "OpenPGP, not packed": ("a.gpg", literal(VIRUS), ""),
    "OpenPGP in the old form": ("a.pgp", literal(VIRUS, old=True), ""),
    "OpenPGP in parts": ("a.pgp", in_parts(VIRUS), ""),
    "OpenPGP, deflated": ("a.gpg", b"\xa3\1" + raw_deflate(literal(VIRUS)), ""),
    "OpenPGP in zlib": ("a.gpg", b"\xa3\2" + zlib.compress(literal(VIRUS)), ""),
    "OpenPGP in bzip2": ("a.gpg", b"\xa3\3" + bz2.compress(literal(VIRUS)), ""),
    "OpenPGP signed": ("a.gpg", b"\x90\x0d" + bytes(13) + literal(VIRUS) + b"\x88\x02\0\0", ""),
    "OpenPGP in armor": ("a.txt", armored(b"\xa3\1" + raw_deflate(literal(VIRUS))), ""),
    "signed mail with long lengths": ("smime.p7m", signed(INNER, 40), SMIME),
    "signed mail in armor": ("smime.p7m", b"-----BEGIN PKCS7-----\n" + base64.encodebytes(signed(INNER)), SMIME),
    "signed mail in base64 twice": ("smime.p7m", base64.encodebytes(signed(INNER)), SMIME),
}


def test_what_is_signed_or_beside_a_file_is_found(judged: Callable[..., list[list[Finding]]]) -> None:
    raws = [mail(name, content, kind or "application/octet-stream") for name, content, kind in SEALS.values()]
    found = judged(raws, SIGNATURE)
    assert [case for case, findings in zip(SEALS, found, strict=True) if Kind.INFECTED not in kinds(findings)] == []


@pytest.mark.parametrize(
    ("name", "content", "kind", "said"),
    [
        ("a.rar", rar5((2, b"a", b"x"), (3, b"a.exe", b"packed"), method=3), "", Kind.UNCHECKED),
        ("a.gpg", b"\xa3\x09" + bytes(40), "", Kind.UNCHECKED),
        ("a.gpg", b"\xa3\3" + bz2.compress(literal(VIRUS))[:-20], "", Kind.UNCHECKED),
        ("a.gpg", b"\xbc\1x", "", Kind.UNCHECKED),
        ("a.gpg", b"\x85\0\2xx" + b"\xd2\x05\1abcd", "", Kind.ENCRYPTED),
        ("smime.p7m", b"\x30\x80no such thing", SMIME, Kind.UNCHECKED),
    ],
)
def test_what_cannot_be_looked_at_is_said(
    judged: Callable[..., list[list[Finding]]], name: str, content: bytes, kind: str, said: Kind
) -> None:
    ((*findings,),) = judged([mail(name, content, kind or "application/octet-stream")], SIGNATURE)
    assert said in kinds(findings)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("key.asc", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBF\n-----END PGP PUBLIC KEY BLOCK-----\n"),
        ("a.sig", b"\x88\x02\0\0"),
        ("signature.asc", b"-----BEGIN PGP SIGNATURE-----\n\niQEzBAAB\n-----END PGP SIGNATURE-----\n"),
        ("notes.asc", b"= Notes\n\ntext in AsciiDoc\n"),
    ],
)
def test_keys_signatures_and_texts_of_such_names_are_no_matter(
    opened: Callable[..., Opened], name: str, content: bytes
) -> None:
    assert opened(name, content).kinds == set()


@given(st.binary(max_size=200))
def test_packets_of_whatever_bytes_come_to_an_end(data: bytes) -> None:
    with suppress(pgp.PgpError):
        assert sum(len(body) for _, body in pgp.packets(data)) <= len(data)


def test_members_of_the_same_name_are_looked_at_one_by_one(
    judged: Callable[..., list[list[Finding]]], packed: Callable[..., bytes]
) -> None:
    """The program that reads them gives the content of all of them where one is asked for by its name."""
    files = {"a.ex1": SECRET * 2, "a.ex2": VIRUS, "a.ex3": SECRET[::-1] * 2}
    content = packed("a.zip", "7zz", "a", "-tzip", "-mm=Deflate64", "a.zip", *files, files=files)
    for other in (b"a.ex1", b"a.ex3"):
        content = content.replace(other, b"a.ex2")
    (findings,) = judged([mail("a.zip", content)], SIGNATURE)
    assert Kind.INFECTED in kinds(findings)


def test_what_follows_the_listed_size_is_a_member_of_its_own() -> None:
    content = sevenzip.Counted(Content((b"fil", b"e+str", b"eam"), ()), 4)
    assert b"".join(content) == b"file"
    assert b"".join(content.behind()) == b"+stream"
    assert content.size == len(b"file+stream")
    exact = sevenzip.Counted(Content((b"file",), ()), 4)
    assert (b"".join(exact), exact.more, exact.chunks.whole) == (b"file", b"", True)


def tnef(*properties: tuple[int, int, bytes], dummies: int = 0, data: tuple[bytes, ...] = ()) -> bytes:
    """A winmail.dat with one attachment of these MAPI properties, behind ``dummies``, and of this data."""

    def attribute(ident: int, content: bytes) -> bytes:
        return struct.pack("<BII", 2, ident, len(content)) + content + bytes(2)

    values = struct.pack("<I", dummies + len(properties)) + struct.pack("<HHI", 3, 0x3712, 0) * dummies
    for kind, tag, content in properties:
        values += struct.pack("<HHII", kind, tag, 1, len(content)) + content + bytes(-len(content) % 4)
    out = b"\x78\x9f\x3e\x22\1\0" + attribute(0x00069002, bytes(14))
    return out + b"".join(attribute(0x0006800F, one) for one in data) + attribute(0x00069005, values)


def test_tnef_with_more_properties_than_are_read_says_so(judged: Callable[..., list[list[Finding]]]) -> None:
    few, many = (tnef((0x0102, 0x3701, VIRUS), dummies=count) for count in (10, 5000))
    for findings in judged([mail("winmail.dat", one) for one in (few, many)], SIGNATURE):
        assert kinds(findings) & {Kind.INFECTED, Kind.UNCHECKED}


def test_tnef_with_two_contents_of_one_attachment_shows_both(judged: Callable[..., list[list[Finding]]]) -> None:
    raws = [mail("winmail.dat", tnef(data=pair)) for pair in ((VIRUS, b"x"), (b"x", VIRUS))]
    assert all(Kind.INFECTED in kinds(findings) for findings in judged(raws, SIGNATURE))


def package(content: bytes) -> bytes:
    """The stream of an object that the packager made of a file."""
    body = struct.pack("<H", 2) + b"a.exe\0a.exe\0" + struct.pack("<II", 0x30000, 1) + b"\0"
    body += struct.pack("<I", len(content)) + content
    return struct.pack("<I", len(body)) + body


def compound(*streams: tuple[str, bytes]) -> bytes:
    """A compound file (MS-CFB) of one folder, whose entries follow one another to the right."""
    none, last = 0xFFFFFFFF, 0xFFFFFFFE
    entries = [("Root Entry", 5, b"", none, 1)]
    entries += [(name, 2, content.ljust(4096, b"\0"), none, none) for name, content in streams]
    sectors = (len(entries) * 128 + 511) // 512
    table = [0xFFFFFFFD, *range(2, sectors + 1), last]
    directory, data = b"", b""
    for number, (name, kind, content, left, child) in enumerate(entries):
        text, start = (name + "\0").encode("utf-16-le"), last
        if kind == 2:
            start, count = len(table), (len(content) + 511) // 512
            table += [*range(start + 1, start + count), last]
            data += content.ljust(512 * count, b"\0")
        right = number + 1 if 0 < number < len(entries) - 1 else none
        directory += text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text), kind, 1, left, right, child)
        directory += bytes(36) + struct.pack("<III", start, len(content), 0)
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<5H6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<10I", 0, 1, 1, 0, 4096, last, 0, last, 0, 0) + b"\xff" * 432
    fat = struct.pack(f"<{len(table)}I", *table).ljust(512, b"\xff")
    return head + fat + directory.ljust(512 * sectors, b"\0") + data


@pytest.mark.parametrize("other", ["\x01Ole10Native", "\x01OLE10NATIVE"])
def test_streams_of_one_name_are_all_looked_at(judged: Callable[..., list[list[Finding]]], other: str) -> None:
    harmless, evil = ("\x01Ole10Native", package(b"hello")), (other, package(VIRUS))
    raws = [mail("a.doc", compound(*streams)) for streams in ((evil,), (evil, harmless), (harmless, evil))]
    assert all(Kind.INFECTED in kinds(findings) for findings in judged(raws, SIGNATURE))


def streamed(*contents: tuple[str, bytes]) -> bytearray:
    """A zip whose sizes stand behind the stored data."""

    class Pipe(io.RawIOBase):
        out = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.out += data
            return len(data)

    pipe = Pipe()
    pipe.out = bytearray()
    with zipfile.ZipFile(cast(Any, pipe), "w") as archive:
        for name, content in contents:
            archive.writestr(name, content)
    return pipe.out


def test_a_zip_whose_first_header_is_damaged_is_a_zip_all_the_same(judged: Callable[..., list[list[Finding]]]) -> None:
    content = streamed(("a.txt", b"hello"), ("a.exe", VIRUS))
    content[:4] = b"GIF8"
    (findings,) = judged([mail("a.zip", bytes(content))], SIGNATURE)
    assert Kind.INFECTED in kinds(findings)


def test_stored_content_of_no_stated_size_is_ambiguous(judged: Callable[..., list[list[Finding]]]) -> None:
    content = streamed(("a.exe", VIRUS))
    record = content.find(b"PK\1\2")
    content[record + 16 : record + 28] = bytes(12)
    unsized, empty = judged(
        [mail("a.zip", bytes(content)), mail("a.zip", bytes(streamed(("a", b""), ("b", b""))))], SIGNATURE
    )
    assert "zip_headers" in {finding.rule for finding in unsized}
    assert kinds(empty) == set()


def test_lzma_of_other_properties_is_told(judged: Callable[..., list[list[Finding]]]) -> None:
    filters = [{"id": lzma.FILTER_LZMA1, "lc": 0, "lp": 2, "pb": 0}]
    raw = mail("a.lzma", lzma.compress(VIRUS, lzma.FORMAT_ALONE, filters=filters))
    ((*findings,),) = judged([raw], SIGNATURE)
    assert "unopened" in {finding.rule for finding in findings}


@pytest.mark.parametrize("name", ["a.ps1", "a.BAT", "a.cmd", "a.py", "a.sct", "a.xsl"])
def test_files_in_scripts_are_found_in_strings_and_in_armor(opened: Callable[..., Opened], name: str) -> None:
    armor = b"-----BEGIN CERTIFICATE-----\r\n" + base64.encodebytes(VIRUS) + b"-----END CERTIFICATE-----\r\n"
    assert opened(name, b'x = "' + TEXT + b'"').parts["embedded1.exe"] == VIRUS
    assert opened(name, b"certutil -decode %~f0 a.exe\r\n" + armor).parts["embedded1.exe"] == VIRUS


def test_certificates_are_no_files(opened: Callable[..., Opened]) -> None:
    armor = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(b"0\x82" + SECRET) + b"-----END CERTIFICATE-----\n"
    assert list(opened("a.ps1", armor).parts) == [""]


BASE64_FILES = {
    "as it stands": base64.encodebytes(VIRUS),
    "in one line without padding": base64.b64encode(VIRUS).rstrip(b"="),
    "in armor": b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(VIRUS) + b"-----END CERTIFICATE-----\n",
    "in the form of uuencode": b"begin-base64 644 a.exe\n" + base64.encodebytes(VIRUS) + b"====\n",
}


def test_files_that_their_name_says_to_be_in_base64_are_decoded(judged: Callable[..., list[list[Finding]]]) -> None:
    found = judged([mail("a.exe.B64", content) for content in BASE64_FILES.values()], SIGNATURE)
    assert [case for case, one in zip(BASE64_FILES, found, strict=True) if Kind.INFECTED not in kinds(one)] == []


def test_a_file_of_such_a_name_in_another_form_is_none(opened: Callable[..., Opened]) -> None:
    assert list(opened("a.b64", b"\0\1\2").parts) == [""]
    assert list(opened("a.txt", base64.encodebytes(VIRUS)).parts) == [""]


def test_a_document_whose_header_is_gone_or_stands_too_late_is_opened(opened: Callable[..., Opened]) -> None:
    pikepdf = pytest.importorskip("pikepdf")
    document, target = pikepdf.new(), io.BytesIO()
    document.add_blank_page()
    document.attachments["a.exe"] = VIRUS
    document.save(target)
    content = target.getvalue()
    for form in (content[9:], b"x" * 1100 + content):
        assert opened("a.pdf", form).parts["a.exe"] == VIRUS
        assert opened("x", form, kind="application/pdf").parts["a.exe"] == VIRUS
        assert list(opened("a.bin", form).parts) == [""]
