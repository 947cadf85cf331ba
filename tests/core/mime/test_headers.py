"""Header fields and encoded words."""

import pytest

from mailward.mime import Message, decode_header
from mailward.mime.words import encode_words


def test_fields_keep_name_raw_value_and_span():
    raw = b"Subject: one\r\n two\r\nX-A :b\r\nsubject:\r\n\r\nbody"
    headers = Message.from_bytes(raw).headers
    assert [(field.name, field.raw) for field in headers.fields] == [
        ("Subject", b" one\r\n two"),
        ("X-A", b"b"),
        ("subject", b""),
    ]
    assert [raw[slice(*field.span)] for field in headers] == [
        b"Subject: one\r\n two\r\n",
        b"X-A :b\r\n",
        b"subject:\r\n",
    ]
    assert headers.get("SUBJECT") == "one two"
    assert headers.all("subject") == ["one two", ""]
    assert headers.raw("x-a") == b"b"
    assert headers.raws("subject") == [b" one\r\n two", b""]
    assert headers.get("none") is None
    assert headers.raw("n\u00e9") is None
    assert headers.all("none") == []
    assert "X-a" in headers
    assert "y" not in headers
    assert len(headers) == 3
    assert headers.names == ["subject", "x-a", "subject"]
    assert headers.fields[0].value == "one two"


def test_a_junk_line_does_not_shift_spans():
    raw = b"X: 1\nq X: 1\nX: 1\n\n"
    fields = Message.from_bytes(raw).headers.fields
    assert [field.span for field in fields] == [(0, 5), (12, 17)]


def test_the_body_starts_at_lines_that_are_no_fields():
    mail = Message.from_bytes(b"Subject: x\nHello there\nsecond line\nA: b\n\nmore")
    assert mail.headers.names == ["subject"]
    assert mail.root.content == b"Hello there\nsecond line\nA: b\n\nmore"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b" plain ", "plain"),
        (b"a\r\n\tb", "a b"),
        (b"=?utf-8?q?caf=C3=A9?=", "caf\u00e9"),
        (b"=?UTF-8?Q?a_b?=", "a b"),
        (b"=?iso-8859-1?B?Y2Fm6Q==?= x", "caf\u00e9 x"),
        (b"=?iso-8859-1?B?Y2Fm6Q?=", "caf\u00e9"),
        (b"a =?utf-8?q?b?= =?utf-8?q?c?= d", "a bc d"),
        (b"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "\u00e9"),
        (b"=?utf-8?q?=C3?=\n =?utf-8?q?=A9?= =?latin1?q?=E9?=", "\u00e9\u00e9"),
        (b"=?utf-8*en?q?x?=", "x"),
        (b"=?klingon?q?caf=C3=A9?=", "caf\u00e9"),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"x=?utf-8?q?a?=y", "xay"),
        ("caf\u00e9".encode(), "caf\u00e9"),
        (b"caf\xe9", "caf\u00e9"),
        (b"=?utf-8?q?a=0D=0AB:_c=00?=", "a  B: c "),
        (b"=?punycode?q?abc-def?=", "abc-def"),
        (b"=?base64_codec?q?abc?=", "abc"),
        (b"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "\u65e5\u672c"),
        (b"=?gb2312?b?1tC5+g==?=", "\u4e2d\u56fd"),
    ],
)
def test_decode_header_reads_what_mailers_send(raw, text):
    assert decode_header(raw) == text


@pytest.mark.parametrize(
    "text", ["caf\u00e9", "\u65e5\u672c\u8a9e" * 40, "a" * 200 + "\u00e4", "\U0001f600" * 30, "=?x?= _"]
)
def test_encoded_words_are_short_and_read_back(text):
    words = encode_words(text)
    assert all(len(word) <= 75 for word in words)
    assert decode_header(b"\r\n ".join(words)) == text
    # Every word stands on its own: no character is split.
    assert "".join(decode_header(word) for word in words) == text or " " in text
