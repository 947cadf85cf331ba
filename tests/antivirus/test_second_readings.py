"""Where clients differ about the structure, what any of them would open is scanned (KAV-PIPE-08, SAV-BLK-07)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import pytest

from mailward import Drop, Kind

MULTI = b"Content-Type: multipart/mixed; boundary=b\r\n"
PARTS = b"--b\r\nContent-Disposition: attachment; filename=a.com\r\n\r\n%s\r\n--b--\r\n"
SHOWN = b"--a\r\n\r\ngood day\r\n"


def encoded(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def quoted(content: bytes) -> bytes:
    return b"".join(b"=%02X" % byte for byte in content)


LONG = b"b" * 90
MAIL = b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\n%s\r\n--m--\r\n"


def between(kind: bytes, first: bytes, second: bytes = b"b") -> Callable[[bytes], bytes]:
    """A multipart whose delimiter is the first for some clients and the second for others."""
    start = b"Content-Type: multipart/mixed; " + kind + b"\r\n\r\n--" + first + b"\r\n\r\ngood day\r\n"
    end = b"\r\n--" + second + b"--\r\n--" + first + b"--\r\n"
    return lambda x: start + b"--" + second + b"\r\n\r\n" + x + end


def attached(name: bytes, kind: bytes, before: bytes = b"") -> Callable[[bytes], bytes]:
    """A mail or web archive that no type announces."""
    head = b"Content-Type: " + kind + b"\r\nContent-Disposition: attachment; filename=" + name
    return lambda x: head + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(before + MAIL % x)


CASES: dict[str, Callable[[bytes], bytes]] = {
    "boundary with a comment": between(b"boundary=(c)b", b"(c)b"),
    "boundary behind a comment": between(b"boundary= (c; boundary=a) b", b"(c"),
    "comment with a boundary": between(b"(x; boundary=a) boundary=b", b"a) boundary=b"),
    "boundary in apostrophes": between(b"boundary='b'", b"'b'"),
    "boundary in angle brackets": between(b"boundary=<b>", b"<b>"),
    "boundary with a blank before it": between(b'boundary=" b"', b" b"),
    "boundary with a tail": between(b'boundary="a"b', b"a", b"ab"),
    "boundary in an encoded word": between(b'boundary="=?utf-8?q?b?="', b"=?utf-8?q?b?="),
    "boundary with a percent sign": between(b'boundary="%62"', b"%62"),
    "boundary in another parameter": between(b'x="; boundary=b; y="; boundary=a', b"a"),
    "boundary that is too long": between(b"boundary=" + LONG, LONG, LONG[:80]),
    "part behind an inner multipart": lambda x: (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=bc\r\n\r\n"
        b"--bc\r\n\r\ngood day\r\n--bc--\r\nContent-Type: application/x-msdownload\r\n\r\n" + x + b"\r\n--b--\r\n"
    ),
    "comment before the transfer encoding": lambda x: b"Content-Transfer-Encoding:(c)base64\r\n\r\n" + encoded(x),
    "mail by its name": attached(b"a.eml", b"image/png"),
    "mail by its name, said to be a text": attached(b"a.eml", b"text/plain"),
    "mail behind blank lines": attached(b"a.eml", b"application/x-a", b"\r\nFrom: a@example.com\r\n"),
    "mail behind a byte order mark": attached(b"a.eml", b"x/y", b"\xef\xbb\xbfFrom: a@example.com\r\n"),
    "web archive": attached(b"a.mht", b"application/octet-stream"),
    "web archive, said to be a message": attached(b"a.mhtml", b"message/x"),
    "uuencoded file": lambda x: (
        b"Content-Type: application/octet-stream; name=a.uue\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encoded(b"begin 644 a.com\n" + binascii.b2a_uu(x[:45]) + binascii.b2a_uu(x[45:]) + b"`\nend\n")
    ),
    "uuencoded file by its type": lambda x: (
        b"Content-Type: application/x-uuencode\r\n\r\nbegin 100644 a.com\r\n"
        + binascii.b2a_uu(x[:45])
        + binascii.b2a_uu(x[45:])
        + b"`\r\nend\r\n"
    ),
    "last boundary": lambda x: (
        b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n" + SHOWN + PARTS % x + b"--a--\r\n"
    ),
    "last content type": lambda x: (
        b"Content-Type: multipart/mixed; boundary=a\r\n" + MULTI + b"\r\n" + SHOWN + PARTS % x + b"--a--\r\n"
    ),
    "last transfer encoding": lambda x: (
        b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(x)
    ),
    "first transfer encoding": lambda x: (
        b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + encoded(x)
    ),
    "boundary in RFC 2231 form": lambda x: (
        b"Content-Type: multipart/mixed; boundary=a; boundary*0=b\r\n\r\n" + SHOWN + PARTS % x + b"--a--\r\n"
    ),
    "boundary up to a blank": lambda x: (
        b"Content-Type: multipart/mixed; boundary=b a\r\n\r\n--b a\r\n\r\ngood day\r\n" + PARTS % x + b"--b a--\r\n"
    ),
    "boundary with backslash": lambda x: (
        b'Content-Type: multipart/mixed; boundary="\\b"\r\n\r\n--b\r\n\r\n--\\b\r\n\r\n'
        + x
        + b"\r\n--\\b--\r\n--b--\r\n"
    ),
    "no boundary": lambda x: b"Content-Type: multipart/mixed\r\n\r\n" + PARTS % x,
    "another boundary": lambda x: b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + PARTS % x,
    "boundary never closed": lambda x: MULTI + b"\r\n--b\r\n\r\n" + x,
    "delimiter with a tail": lambda x: MULTI + b"\r\n--b\r\n\r\ngood day\r\n--b x\r\n\r\n" + x + b"\r\n--b--\r\n",
    "part after the end": lambda x: MULTI + b"\r\n--b\r\n\r\ngood day\r\n--b--\r\n" + PARTS % x,
    "encoded multipart": lambda x: MULTI + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(PARTS % x),
    "multipart in quoted-printable": lambda x: (
        MULTI + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + PARTS % quoted(x)
    ),
    "message that is not encoded": lambda x: (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nSubject: x\r\n\r\n" + x
    ),
    "declared as base64": lambda x: b"Content-Transfer-Encoding: base64\r\n\r\n" + x,
    "base64 after its padding": lambda x: b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(x) + encoded(b"more"),
    "base64 up to its junk": lambda x: (
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(x + b" ").rstrip() + b"!\r\n" + encoded(b"more" * 40)
    ),
    "base64 with junk in it": lambda x: (
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(x)[:20] + b"\0\x0b~" + encoded(x)[20:]
    ),
    "base64 with padding in it": lambda x: (
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(x)[:21] + b"=" + encoded(x)[21:]
    ),
    "base64 after its padding, behind junk": lambda x: (
        b"Content-Transfer-Encoding: base64\r\n\r\n!?\r\n" + encoded(x) + encoded(b"more" * 40)
    ),
    "base64 in the alphabet for addresses": lambda x: (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encoded(b"X: \xff\xff\xff\xff\r\n\r\n" + x).replace(b"/", b"_")
    ),
    "mail in base64 up to its junk": lambda x: (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encoded(b"Subject: hello\r\n\r\n" + x + b"  ").rstrip()
        + b"!\r\n"
        + encoded(b"more" * 40)
    ),
    "quoted encoding": lambda x: b'Content-Transfer-Encoding: "base64"\r\n\r\n' + encoded(x),
    "two encodings in one field": lambda x: b"Content-Transfer-Encoding: 7bit base64\r\n\r\n" + encoded(x),
    "header lines that end at CR": lambda x: b"X: a\rContent-Transfer-Encoding: base64\r\n\r\n" + encoded(x),
    "header that ends at CR CR": lambda x: b"X: a\r\r" + x + b"\r\n",
    "delimiter after CR": lambda x: MULTI + b"\r\n--b\r\n\r\ngood day\r--b\r\n\r\n" + x + b"\r--b--\r\n",
    "delimiter that ends at CR": lambda x: MULTI + b"\r\n--b\r\n\r\ngood day\r\n--b\r\r\n" + x + b"\r\n--b--\r\n",
    "LF that is no line end": lambda x: b"X: a\n\nb\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(x),
    # None of the bytes of this boundary is one of base64: who sees no delimiter decodes past it.
    "delimiter after LF": lambda x: (
        b"Content-Type: multipart/mixed; boundary=_\r\n\r\n--_\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encoded(x[:30]).rstrip()
        + b"\n--_\n\n"
        + encoded(x[30:])
        + b"--_--\r\n"
    ),
    "line of blanks": lambda x: (
        b"Content-Transfer-Encoding: base64\r\n \r\n " + encoded(x).replace(b"\r\n", b"\r\n ") + b"\r\n\r\n"
    ),
    "fields after junk": lambda x: b"X: a\r\njunk\r\nmore\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(x),
    "name of a field with a blank after it": lambda x: (
        b"X: a\r\nContent-Transfer-Encoding\x0c: base64\r\n\r\n" + encoded(x)
    ),
    "multipart whose field has a blank after its name": lambda x: (
        b"X: a\r\n" + MULTI.replace(b":", b"\xa0:", 1) + b"\r\n" + PARTS % x
    ),
    "fields after blank lines": lambda x: b"\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(x),
    "type in quotes": lambda x: b'Content-Type: "multipart/mixed"; boundary=b\r\n\r\n' + PARTS % x,
}


@pytest.mark.parametrize("name", CASES)
def test_a_virus_that_only_some_clients_see_is_found(judge: Any, mails: Any, name: str) -> None:
    copy = judge(CASES[name](mails.eicar))
    assert [finding.name for finding in copy.findings if finding.kind is Kind.INFECTED], copy.findings


@pytest.mark.parametrize("name", CASES)
def test_a_virus_that_only_some_clients_see_is_deleted(judge: Any, mails: Any, delivered: Any, name: str) -> None:
    raw = CASES[name](mails.eicar)
    copy = judge(raw, 'on_infected = ["delete"]')
    after = delivered(raw, copy)
    assert isinstance(copy.action, Drop) or after != raw
    infected = [finding for finding in judge(after).findings if finding.kind is Kind.INFECTED]
    assert isinstance(copy.action, Drop) or infected == []
