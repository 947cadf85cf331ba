"""Seeds for the fuzzer, made when it starts: mails, headers, archives; and the words it may put together."""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import importlib.util
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

from mailward.mime.binhextext import Head, binhex

TEST_FILES = Path("/usr/share/clamav-testfiles")
LARGEST = 64 * 1024

WORDS = [
    "--b",
    "--b--",
    "--c",
    "\\x0a",
    "\\x0d\\x0a",
    "\\x0d",
    "\\x00",
    "=?utf-8?q?",
    "=?utf-8?b?",
    "?=",
    "=",
    "=\\x0d\\x0a",
    "\\xe9",
    "\\xff\\xfe",
    "%2e",
    "*0*=",
    "*=",
    ";",
    '"',
    "Content-Type:",
    "multipart/mixed;\\x20boundary=b",
    "multipart/digest;boundary=c",
    "message/rfc822",
    "message/partial",
    "text/html",
    "Content-Transfer-Encoding:",
    "base64",
    "quoted-printable",
    "x-uuencode",
    "binary",
    "Content-Disposition:",
    "attachment;",
    "filename=",
    "name=",
    "utf-8''a.exe",
    "utf-7",
    "begin\\x20644\\x20x.txt",
    "#0V%T",
    "(This\\x20file\\x20must\\x20be\\x20converted\\x20with\\x20BinHex\\x204.0)",
    "end",
    "=ybegin",
    "=yend",
    "Subject:",
    "PK\\x03\\x04",
    "PK\\x01\\x02",
    "PK\\x05\\x06",
]
"""Tokens for libFuzzer's dictionary, escaped as it wants them."""

MAILS = (
    b"Subject: =?utf-8?q?caf=C3=A9?=\r\nFrom: a@example.org\r\n\r\nbody\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\r\n"
    b"Content-Type: text/html; charset=utf-7\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n"
    b"--b\r\nContent-Disposition: attachment; filename=\"a.exe\"; filename*=utf-8''b%2e.exe\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nTWFueQ==\r\nYWJj\r\n--b--\r\nepilogue\r\n",
    b"Content-Type: multipart/digest; boundary=c\n\n--c\n\nSubject: x\n\nhi\n--c\n\n--c--\n",
    b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + base64.b64encode(b"Subject: x\n\nhi\n"),
    b"Subject: hqx\n\ntext\n" + b"".join(binhex(Head(b"a", data_bytes=4), [b"ab\x90c"], [], b"\n")) + b"\nend\n",
    b"Subject: uu\n\ntext\nbegin 644 x.txt\n#0V%T\n`\nend\nmore\nbegin 644 y\n#0V%T\n",
    b"Content-Type: multipart/mixed; boundary=b; boundary=c\n\n--b\nContent-Type: multipart/alternative; boundary=b\n\n"
    b"--b\n\n1\n--b--\n--c\n\n2\n--c--\n",
)
HEADERS = (
    b"Subject: a\r\n b\r\nX: =?iso-8859-1*en?b?5A==?= =?utf-8?q?_=C3?= =?utf-8?q?=A4?=\r\njunk\r\nTo : x\r\n\r\nbody",
    b"From: \xe9\nTo:\n\t\nSubject:x\ry\n\n",
)
NAMES = (
    b'attachment; filename*0*=utf-8\'\'a%2e; filename*1=exe; filename="a b\\"c.exe"; name=x.',
    b'text/plain; name==?utf-8?b?YS5leGU=?=; charset=x; boundary="b"; filename=../a/b..exe. ',
    b'a; filename="\xe2\x80\xaegpj.exe',
)


def archives() -> dict[str, bytes]:
    """Small containers of the formats that the standard library writes."""
    plain = b"text of a member\n" * 20
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dir/a.txt", plain)
        archive.writestr(zipfile.ZipInfo("stored.bin"), bytes(range(256)))
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as archive:
        info = tarfile.TarInfo("a" * 120)
        info.size = len(plain)
        archive.addfile(info, io.BytesIO(plain))
        link = tarfile.TarInfo("../link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    html = b'<a href="data:application/zip;base64,' + base64.b64encode(packed.getvalue()) + b'">x</a>'
    return {
        "zip": packed.getvalue(),
        "tar": tape.getvalue(),
        "gzip": gzip.compress(plain, mtime=0) + gzip.compress(b"more", mtime=0),
        "bzip2": bz2.compress(plain),
        "xz": lzma.compress(plain),
        "lzma": lzma.compress(plain, lzma.FORMAT_ALONE),
        "html": html,
        "yenc": b"=ybegin line=128 size=3 name=a.exe\r\n\x8b\x8c\x8d\r\n=yend size=3\r\n",
        "mbox": b"From a@b Thu Jan  1 00:00:00 1970\nSubject: x\n\nhi\n\nFrom b@c Thu Jan  1 00:00:00 1970\n\nho\n",
        "rtf": b"{\\rtf1{\\object\\objemb{\\*\\objdata " + binascii.hexlify(b"\1\5\0\0\2\0\0\0abc") + b"}}}",
        "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
        "ole": bytes.fromhex("d0cf11e0a1b11ae1") + bytes(1016),
        "szdd": bytes.fromhex("535a444488f0273341") + b"x\5\0\0\0\xffabcde",
        "cms": bytes.fromhex(
            "308006092a864886f70d010702a0803080020101310030800609"
            "2a864886f70d010701a080248004095375626a6563743a20040278780000000000000000000000000000"
        ),
        "onenote": bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")
        + "a.hta".encode("utf-16-le")
        + bytes.fromhex("0000e716e3bd65261145a4c48d4d0b7a9eac0400000000000000")
        + bytes(12)
        + b"MZ__",
        "applefile": bytes.fromhex("0005160000020000")
        + bytes(16)
        + bytes.fromhex("0001000000010000002600000003")
        + b"abc",
        "pe": b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(300),
    }


def seeds(target: str) -> dict[str, bytes]:
    """What a run of this target starts from."""
    if target in ("headers", "names"):
        return {str(number): seed for number, seed in enumerate(HEADERS if target == "headers" else NAMES)}
    if target in ("tree", "edits", "binhex"):
        found = {str(number): seed for number, seed in enumerate(MAILS)} | _stdlib_mails()
        before = bytes(range(1, 9)) if target == "edits" else b""
        return {name: before + seed for name, seed in found.items()}
    found = archives() | _test_files()
    wanted = target.partition(".")[2] or ("zip" if target == "zip" else "")
    chosen = {name: seed for name, seed in found.items() if wanted and wanted in name}
    return chosen or found


def _stdlib_mails() -> dict[str, bytes]:
    spec = importlib.util.find_spec("test")
    files = [
        file
        for place in (spec.submodule_search_locations or () if spec else ())
        for file in (Path(place) / "test_email" / "data").glob("msg_*.txt")
    ]
    return {file.name: file.read_bytes() for file in files}


def _test_files() -> dict[str, bytes]:
    files = [file for file in TEST_FILES.glob("clam*") if file.is_file() and file.stat().st_size <= LARGEST]
    return {file.name: file.read_bytes() for file in files}
