"""Second readings: where clients differ, both are parts, and a finding says why."""

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.mime import Limits, Message, PartKind, apply, resolve
from mailward.mime.readings import MOST_READINGS
from mailward.values.edit import DeletePart, ReplacePart
from mailward.values.finding import Kind

HIDDEN = b"the other content"
MULTI = b"Content-Type: multipart/mixed; boundary=b\r\n"
BODY = b"--b\r\n\r\nshown\r\n--b--\r\n"


def encoded(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def read(raw: bytes) -> Message:
    """A message of which every part has been read: only that shows junk in base64."""
    mail = Message.from_bytes(raw)
    for part in mail.walk():
        _ = part.content
    return mail


INNER = b"--b\r\n\r\n" + HIDDEN + b"\r\n--b--\r\n"
CASES = {
    # name: (raw, path of the second reading of the hidden content, rule)
    "last boundary": (
        b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n--a\r\n\r\nshown\r\n" + INNER + b"--a--\r\n",
        "~last.1",
        "boundary_repeated",
    ),
    "last content type": (
        b"Content-Type: multipart/mixed; boundary=a\r\n" + MULTI + b"\r\n--a\r\n\r\nshown\r\n" + INNER + b"--a--\r\n",
        "~last.1",
        "duplicate_header",
    ),
    "last of the fields, first of the parameters": (
        b"Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=b; boundary=c\r\n\r\n"
        + INNER
        + b"--c\r\n\r\nother\r\n--c--\r\n",
        "1~last-field.1",
        "duplicate_header",
    ),
    "last transfer encoding": (
        b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(HIDDEN),
        "1~last",
        "duplicate_header",
    ),
    "boundary in RFC 2231 form": (
        b"Content-Type: multipart/mixed; boundary=a; boundary*=us-ascii''b\r\n\r\n--a\r\n\r\nx\r\n" + INNER + b"--a--",
        "~extended.1",
        "boundary_syntax",
    ),
    "boundary up to a blank": (
        b"Content-Type: multipart/mixed; boundary=b c\r\n\r\n--b c\r\n\r\nshown\r\n" + INNER + b"--b c--",
        "~token.1",
        "boundary_syntax",
    ),
    "boundary up to NUL": (
        b'Content-Type: multipart/mixed; boundary="b\0c"\r\n\r\n--b\0c\r\n\r\nshown\r\n' + INNER + b"--b\0c--",
        "~token.1",
        "boundary_syntax",
    ),
    "boundary with backslash": (
        b'Content-Type: multipart/mixed; boundary="b\\c"\r\n\r\n--bc\r\n\r\nshown\r\n--b\\c\r\n\r\n'
        + HIDDEN
        + b"\r\n--bc--",
        "~quoted.1",
        "boundary_syntax",
    ),
    "no boundary": (b"Content-Type: multipart/mixed\r\n\r\n" + INNER, "1~guessed.1", "boundary_guessed"),
    "another boundary": (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + INNER,
        "1~guessed.1",
        "boundary_guessed",
    ),
    "delimiter with a tail": (
        MULTI + b"\r\n--b\r\n\r\nshown\r\n--b x\r\n\r\n" + HIDDEN + b"\r\n--b--\r\n",
        "~loose.2",
        "boundary_tail",
    ),
    "end delimiter with a tail": (
        MULTI + b"\r\n--b\r\n\r\n" + HIDDEN + b"\r\n--b--x\r\n\r\nmore\r\n--b--\r\n",
        "~loose.1",
        "boundary_tail",
    ),
    "encoded multipart": (
        MULTI + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(INNER),
        "1~decoded.1",
        "multipart_encoding",
    ),
    "multipart that may be decoded": (
        MULTI + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + INNER.replace(b"other", b"=6Fther"),
        "~decoded.1",
        "multipart_encoding",
    ),
    "message that may not be decoded": (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nSubject: x\r\n\r\n" + HIDDEN,
        "1~undecoded/1",
        "message_encoding",
    ),
    "text declared as base64": (
        b"Content-Transfer-Encoding: base64\r\n\r\n" + HIDDEN,
        "1~undecoded",
        "not_base64",
    ),
    "base64 after its padding": (
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(HIDDEN) + b"QUJD\r\n",
        "1~to-padding",
        "base64_after_padding",
    ),
    "base64 for which padding does not count": (
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(HIDDEN)[:5] + b"=" + encoded(HIDDEN)[5:],
        "1~unpadded",
        "base64_after_padding",
    ),
    "base64 up to its padding, behind a line that is none": (
        b"Content-Transfer-Encoding: base64\r\n\r\n!?\r\n" + encoded(HIDDEN) + b"QUJD\r\n",
        "1~to-padding",
        "base64_after_padding",
    ),
    "base64 up to its junk": (
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(HIDDEN) + b"QUJD!QUJD\r\n",
        "1~to-junk",
        "base64_after_junk",
    ),
    "message in base64 up to its junk": (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encoded(b"Subject: x\r\n\r\n" + HIDDEN)
        + b"\0QUJD\r\n",
        "1~to-junk/1",
        "base64_after_junk",
    ),
    "base64 in the alphabet for addresses": (
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + encoded(HIDDEN + b" \xfb\xef\xff?").replace(b"+", b"-").replace(b"/", b"_"),
        "1~url-alphabet",
        "base64_alphabet",
    ),
    "encoding with junk": (
        b'Content-Transfer-Encoding: "base64"\r\n\r\n' + encoded(HIDDEN),
        "1~named",
        "encoding_syntax",
    ),
    "two encodings in one field": (
        b"Content-Transfer-Encoding: 7bit, base64\r\n\r\n" + encoded(HIDDEN),
        "1~named",
        "encoding_syntax",
    ),
    "header lines that end at CR": (
        b"X: a\rContent-Transfer-Encoding: base64\r\n\r\n" + encoded(HIDDEN),
        "1~cr",
        "line_ends",
    ),
    "header that ends at CR CR": (b"X: a\r\r" + HIDDEN + b"\r\nY: b\r\n\r\nshown", "1~cr", "line_ends"),
    "delimiter after CR": (
        MULTI + b"\r\n--b\r\n\r\nshown\r--b\r\n\r\n" + HIDDEN + b"\r--b--\r\n",
        "~cr.2",
        "line_ends",
    ),
    "delimiter that ends at CR": (
        MULTI + b"\r\n--b\r\n\r\nshown\r\n--b\r\r\n" + HIDDEN + b"\r\n--b--\r\n",
        "~cr.2",
        "line_ends",
    ),
    "LF that is no line end": (
        b"X: a\n\nb\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(HIDDEN),
        "1~crlf",
        "line_ends",
    ),
    "delimiter after LF": (
        MULTI + b"\r\n--b\r\n\r\nthe other\n--b\r\n content\r\n--b--\r\n",
        "~crlf.1",
        "line_ends",
    ),
    "line of blanks": (
        b"X: a\r\n \r\n" + HIDDEN.replace(b" ", b":", 1) + b"\r\n\r\nshown",
        "1~blanks",
        "line_of_blanks",
    ),
    "fields after junk": (
        b"X: a\r\njunk\r\nmore\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(HIDDEN),
        "1~junk-skipped",
        "header_junk",
    ),
    "name of a field with a blank after it": (
        b"X: a\r\nContent-Transfer-Encoding\x0b: base64\r\n\r\n" + encoded(HIDDEN),
        "1~trimmed",
        "header_junk",
    ),
    "name of a field with a blank before it": (
        b"X: a\r\n\xa0Content-Transfer-Encoding: base64\r\nY: b\r\n\r\n" + encoded(HIDDEN),
        "1~trimmed",
        "header_junk",
    ),
    "body at junk": (b"X: a\r\n" + HIDDEN + b"\r\nY: b\r\n\r\nshown", "1~junk-ends", "header_junk"),
    "fields after blank lines": (
        b"\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(HIDDEN),
        "1~late",
        "late_header",
    ),
    "uuencoded before the parts": (
        MULTI + b"\r\nbegin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\n" + BODY,
        "~outside/a.txt",
        "outside_parts",
    ),
    "uuencoded after the parts": (
        MULTI + b"\r\n" + BODY + b"begin-base64 644 a.txt\r\nQ2F0\r\n====\r\n",
        "~outside/a.txt",
        "outside_parts",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_both_readings_are_parts_and_a_finding_says_why(name):
    raw, path, rule = CASES[name]
    mail = read(raw)
    found = mail.part(path)
    assert found in list(mail.walk())
    assert found.reading
    wanted = {HIDDEN, HIDDEN.replace(b" ", b":", 1), b"Cat", b"the other\n--b\r\n content"}
    assert any(content in found.content for content in wanted)
    assert rule in {finding.rule for finding in mail.defects if finding.kind is Kind.AMBIGUOUS}
    assert all("~" not in finding.part for finding in mail.defects if finding.kind is Kind.AMBIGUOUS)
    assert mail.root.reading == ""
    at = 0
    for start, end, _ in mail.spans():
        assert start == at
        at = end
    assert at == len(raw)


@pytest.mark.parametrize("name", CASES)
def test_an_edit_of_a_second_reading_is_one_of_the_part_around(name):
    raw, path, _ = CASES[name]
    mail = read(raw)
    found = mail.part(path)
    assert found.span is None
    assert found.body_span is None
    assert not found.is_rewritable
    assert all(header.span is None for header in found.headers)
    for edit in (DeletePart(path), ReplacePart(path, "gone")):
        after = Message.from_bytes(apply(raw, resolve(mail, [edit])))
        assert all(part.content != found.content or part.size == 0 for part in after.walk() if part.is_leaf)


@pytest.mark.parametrize(
    "raw",
    [
        MULTI + b"\r\n" + BODY,
        MULTI + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + BODY,
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(bytes(range(256))),
        b"Content-Transfer-Encoding: base64\r\n\r\n",
        b"Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(b"Subject: x\r\n\r\nhi"),
        b"From sender Mon Jan  1\r\nSubject: x\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"
        b"--bb\r\n\r\ninner\r\n--bb--\r\n--b--\r\n",
        b"Subject: a\r\n b\r\n\r\n begin\r\n",
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(b"cut" * 40) + b".\0\x1a\r\n",
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n-- \r\nme\r\n",
        MULTI.replace(b"\r\n", b"\n") + b"\n" + BODY.replace(b"\r\n", b"\n"),
    ],
)
def test_sound_messages_have_one_reading(raw):
    mail = read(raw)
    assert [part.path for part in mail.walk() if part.reading] == []
    assert [finding.rule for finding in mail.defects if finding.kind is Kind.AMBIGUOUS] == []


def test_a_second_reading_goes_through_the_whole_subtree():
    two = b"Content-Type: multipart/mixed; boundary=%s; boundary=%s\r\n\r\n"
    inner = two % (b"c", b"d") + b"--d\r\n\r\n" + HIDDEN + b"\r\n--d--\r\n"
    raw = two % (b"a", b"b") + b"--a\r\n\r\nshown\r\n--a--\r\n--b\r\n" + inner + b"--b--\r\n"
    mail = Message.from_bytes(raw)
    assert mail.part("~last.1.1").content == HIDDEN
    assert mail.part("~last.1.1").reading == "last"


def test_who_does_not_decode_a_message_decodes_what_is_in_it():
    inner = b"Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(HIDDEN)
    mail = Message.from_bytes(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + inner)
    assert mail.part("1~undecoded/1").content == HIDDEN


def test_walking_visits_second_readings_after_the_children():
    raw, _, _ = CASES["last boundary"]
    assert [part.path for part in Message.from_bytes(raw).walk()] == ["", "1", "~last", "~last.1"]


def test_more_readings_than_are_followed_are_unchecked():
    head = (
        b"Content-Type: multipart/mixed; boundary=a b; boundary*=''c; boundary=d\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    body = b"".join(b"--%s\r\n\r\n=41\r\n" % boundary for boundary in (b"a b", b"a", b"c", b"d", b"a bx"))
    mail = Message.from_bytes(head + body)
    assert [part.reading for part in mail.root.readings] == ["last", "extended", "token", "decoded"]
    assert ("unchecked", "readings") in {(finding.kind.value, finding.rule) for finding in mail.defects}


def test_readings_that_only_decoding_shows_are_walked_by_who_reads():
    raw, path, _ = CASES["base64 up to its junk"]
    mail = Message.from_bytes(b"Content-Type: image/png\r\n" + raw)
    others = [part.path for part in mail.walk()]
    assert path not in others
    walked = [part.path for part in mail.walk() if part.content is not None]
    assert walked == [*others, path]
    assert [part.path for part in mail.walk()] == walked


def test_large_base64_is_read_in_all_ways_in_bounded_pieces():
    data = HIDDEN * 200_000
    body = base64.b64encode(data)
    with Message.from_bytes(b"Content-Transfer-Encoding: base64\r\n\r\n" + body[:4001] + b"=" + body[4001:]) as mail:
        assert mail.part("1~unpadded").digest("sha256") == hashlib.sha256(data).hexdigest()
        assert mail.part("1~to-padding").content == data[:3000]
        assert mail.root.digest("sha256") != hashlib.sha256(data).hexdigest()


def test_damage_of_every_kind_at_once_is_bounded_and_told():
    field = b"Content-Transfer-Encoding: base64\r\n\r\n"
    mail = read(field + b"QUJD!\r\nQUJD\r\n-\r\nQQ=\r\nQUJD\r\n")
    assert len(mail.root.readings) == MOST_READINGS
    assert "readings" in {finding.rule for finding in mail.defects if finding.kind is Kind.UNCHECKED}


def test_limits_hold_for_second_readings():
    raw, _, _ = CASES["last boundary"]
    mail = Message.from_bytes(raw, Limits(max_parts=2))
    assert [part.path for part in mail.walk()] == ["", "1"]
    assert ("limit", "max_parts") in {(finding.rule, finding.name) for finding in mail.defects}


def test_nested_doubts_do_not_multiply():
    raw = HIDDEN
    for n in range(9):
        one, two = b"a%d_" % n, b"b%d_" % n
        parts = b"--" + one + b"\r\n" + raw + b"\r\n--" + two + b"\r\n\r\nx\r\n--" + one + b"--\r\n"
        raw = b"Content-Type: multipart/mixed; boundary=" + one + b"; boundary=" + two + b"\r\n\r\n" + parts
    count = sum(1 for _ in Message.from_bytes(raw).walk())
    assert count < 9 * 4 * 10


def test_a_base64_block_of_uuencode_is_a_child():
    mail = Message.from_bytes(b"A: b\n\nbegin-base64 644 =?utf-8?q?x?=.exe\nTVo=\n====\nbye\n")
    assert [(part.path, part.kind) for part in mail.walk()][1] == ("1/x.exe", PartKind.ENCODED)
    assert mail.part("1/x.exe").content == b"MZ"


@given(
    st.lists(
        st.sampled_from(
            [
                *(b"\r\n", b"\n", b"\r", b"--a", b"--b", b"--b--", b" ", b"junk", b"a", b"=", b"QUI=", b"\r\n\r\n"),
                b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n",
                b"Content-Type: multipart/mixed; boundary=b\r",
                b"Content-Type: multipart/mixed\n",
                b"Content-Type: message/rfc822\r\n",
                b"Content-Transfer-Encoding: base64\r\n",
                b"Content-Transfer-Encoding: x-base64\n",
                b"begin 644 x\n#0V%T\n`\nend\n",
            ]
        ),
        max_size=30,
    ).map(b"".join)
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_doubtful_spans_tile_and_every_part_can_be_read(raw):
    with Message.from_bytes(raw) as mail:
        assert sum(end - start for start, end, _ in mail.spans()) == len(raw)
        paths = [part.path for part in mail.walk()]
        assert len(paths) == len(set(paths))
        for part in mail.walk():
            assert part.content == b"".join(part.stream(5))
            assert (part.parent is None or part.reading == part.parent.reading) or not part.parent.reading
            assert not (part.reading and part.span)
            apply(raw, resolve(mail, [DeletePart(part.path)]))
