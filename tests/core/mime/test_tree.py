"""The tree: kinds, paths, types, spans and defects of MIME structure."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.mime import Message, PartKind, What
from mailward.mime.checks import _bare
from mailward.values.finding import Kind

CRLF = b"\r\n"


def message(*lines: str, end: bytes = CRLF) -> Message:
    return Message.from_bytes(end.join(line.encode("latin-1") for line in lines))


def shape(mail: Message) -> list[tuple[str, str, str]]:
    return [(part.path, part.kind.value, part.declared_type) for part in mail.walk()]


def rules(mail: Message) -> set[tuple[str, str, str]]:
    for part in mail.walk():
        _ = part.content, part.text
    return {(finding.kind.value, finding.rule, finding.part) for finding in mail.defects}


NESTED = (
    "Subject: outer",
    'Content-Type: multipart/mixed; boundary="o"',
    "",
    "preamble",
    "--o",
    "Content-Type: multipart/alternative; boundary=i",
    "",
    "--i",
    "",
    "text",
    "--i",
    "Content-Type: text/html",
    "",
    "<p>",
    "--i--",
    "",
    "--o",
    "Content-Type: message/rfc822",
    "",
    "Subject: inner",
    "Content-Type: multipart/mixed; boundary=x",
    "",
    "--x",
    "",
    "deep",
    "--x--",
    "--o",
    "Content-Type: message/rfc822",
    "",
    "Subject: single",
    "",
    "body",
    "--o--",
    "epilogue",
)


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_paths_number_mime_parts_and_name_what_is_inside(end):
    mail = message(*NESTED, end=end)
    assert shape(mail) == [
        ("", "multipart", "multipart/mixed"),
        ("1", "multipart", "multipart/alternative"),
        ("1.1", "leaf", "text/plain"),
        ("1.2", "leaf", "text/html"),
        ("2", "message", "message/rfc822"),
        ("2/", "multipart", "multipart/mixed"),
        ("2/1", "leaf", "text/plain"),
        ("3", "message", "message/rfc822"),
        ("3/1", "leaf", "text/plain"),
    ]
    assert mail.part("2/").headers.get("subject") == "inner"
    assert mail.part("2/1").content == b"deep"
    assert mail.part("3/1").content == b"body"
    assert [part.depth for part in mail.walk()] == [0, 1, 2, 2, 1, 1, 2, 1, 2]
    assert mail.part("1.2").parent is mail.part("1")
    assert rules(mail) == set()


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_spans_tile_and_name_every_stretch(end):
    mail = message(*NESTED, end=end)
    at, seen = 0, []
    for start, stop, what in mail.spans():
        assert start == at
        at = stop
        seen.append(what)
    assert at == mail.size
    assert seen[:4] == [What.HEADER, What.PREAMBLE, What.DELIMITER, What.HEADER]
    assert seen[-1] == What.EPILOGUE
    for part in mail.walk():
        start, stop = part.span
        body_start, body_stop = part.body_span
        assert start <= body_start <= body_stop == stop
        assert bytes(mail.raw[body_start:body_stop]) == part.content


def test_a_message_without_multipart_is_part_1():
    mail = message("Subject: x", "", "hello", "")
    assert shape(mail) == [("1", "leaf", "text/plain")]
    assert mail.root is mail.part("1")
    assert mail.subject == "x"
    assert mail.root.content == b"hello\r\n"
    assert mail.root.is_leaf


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n", b"\n", b"a", b":", b"A:", b"A: b", b"A: b\r\n", b"\r\n\r\nx", b"\0", b"\r"]
)
def test_tiny_messages_have_a_root(raw):
    mail = Message.from_bytes(raw)
    assert mail.root.path == "1"
    assert sum(end - start for start, end, _ in mail.spans()) == len(raw)


def test_unknown_path_names_the_nearest():
    with pytest.raises(KeyError, match=r"no part '1\.9': the nearest are .*'1\.1'"):
        message(*NESTED).part("1.9")


def test_digest_children_are_messages_by_default():
    mail = message("Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: one", "", "1", "--b--")
    assert shape(mail) == [
        ("", "multipart", "multipart/digest"),
        ("1", "message", "message/rfc822"),
        ("1/1", "leaf", "text/plain"),
    ]
    assert mail.part("1/1").headers.get("subject") == "one"


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_an_encoded_message_is_opened(encoding):
    inner = "Subject: inner\r\nContent-Type: text/plain\r\n\r\nhello"
    body = base64.encodebytes(inner.encode()).decode() if encoding == "base64" else inner
    mail = message("Content-Type: message/rfc822", f"Content-Transfer-Encoding: {encoding}", "", body)
    assert mail.part("1/1").content == b"hello"
    assert mail.part("1/1").span is None
    assert mail.part("1/1").headers.fields[0].span is None
    assert [what for *_, what in mail.spans()] == [What.HEADER, What.BODY]


def test_an_attached_eml_is_opened_whatever_its_type():
    inner = base64.encodebytes(b"Subject: inner\r\n\r\nhello").decode()
    mail = message("Content-Type: application/octet-stream; name=a.EML", "Content-Transfer-Encoding: base64", "", inner)
    assert mail.root.kind is PartKind.MESSAGE
    assert mail.part("1/1").content == b"hello"


def test_an_outer_delimiter_ends_inner_multiparts():
    mail = message(
        "Content-Type: multipart/mixed; boundary=o",
        "",
        "--o",
        "Content-Type: multipart/mixed; boundary=i",
        "",
        "--i",
        "",
        "one",
        "--o",
        "",
        "two",
        "--o--",
    )
    assert [part.path for part in mail.walk()] == ["", "1", "1.1", "2"]
    assert mail.part("1.1").content == b"one"
    assert rules(mail) == {("malformed", "unclosed", "1")}


def test_a_longer_line_is_no_delimiter():
    mail = message(
        "Content-Type: multipart/mixed; boundary=b", "", "--b", "", "--bc", "--b- ", "x--b", "--b-- \t", "end"
    )
    assert mail.part("1").content == b"--bc\r\n--b- \r\nx--b"
    assert rules(mail) == {("ambiguous", "boundary_tail", "")}


def test_a_delimiter_in_the_first_line_of_the_body_and_empty_parts():
    mail = message("Content-Type: multipart/mixed; boundary=b", "", "--b", "--b", "--b--")
    assert [part.content for part in mail.walk() if part.is_leaf] == [b"", b""]


def test_what_follows_the_end_delimiter_is_still_read():
    mail = message(
        "Content-Type: multipart/mixed; boundary=b", "", "--b", "", "1", "--b--", "x", "--b", "", "2", "--b--"
    )
    assert mail.part("2").content == b"2"
    assert rules(mail) == {("ambiguous", "parts_after_end", "")}


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (
            ["Content-Type: multipart/mixed"],
            {("malformed", "boundary_missing", "1"), ("ambiguous", "boundary_guessed", "1")},
        ),
        (
            ['Content-Type: multipart/mixed; boundary=""'],
            {("malformed", "boundary_missing", "1"), ("ambiguous", "boundary_guessed", "1")},
        ),
        (
            ["Content-Type: multipart/mixed; boundary=zz"],
            {("malformed", "boundary_unused", "1"), ("ambiguous", "boundary_guessed", "1")},
        ),
        (
            ["Content-Type: multipart/mixed; boundary=b; boundary=c"],
            {("ambiguous", "boundary_repeated", ""), ("malformed", "unclosed", "")},
        ),
        (
            ["Content-Type: multipart/mixed; boundary=b", "Content-Type: text/plain"],
            {("ambiguous", "duplicate_header", ""), ("malformed", "unclosed", "")},
        ),
        (
            ["Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: base64"],
            {("ambiguous", "multipart_encoding", ""), ("malformed", "unclosed", "")},
        ),
        (["Content-Type: text/plain", "Content-Type: text/plain"], set()),
        (
            ["Content-Transfer-Encoding: 7bit", "content-transfer-encoding: base64"],
            {("ambiguous", "duplicate_header", "1")},
        ),
        (["Content-Transfer-Encoding: x-zip"], {("unchecked", "encoding_unknown", "1")}),
        (["Content-Type: message/partial; id=x; number=1"], {("unchecked", "partial", "1")}),
        (["Content-Type: text/plain; charset=klingon"], {("note", "charset_unknown", "1")}),
        (["X: \xe9"], {("note", "header_8bit", "1")}),
        (["X: a\0b"], {("malformed", "nul", "1")}),
        (["X: a\nY: b"], {("malformed", "bare_line_end", "1")}),
        (["X: a\rY: b"], {("malformed", "bare_line_end", "1")}),
        (["X: a", "no field", "Y: b"], {("malformed", "header_line", "1"), ("ambiguous", "header_junk", "1")}),
        (["X: a", "no field", "none either", "Y: b"], {("malformed", "header_end", "1")}),
        ([">From a@b"], {("malformed", "header_end", "1")}),
    ],
)
def test_malformed_and_ambiguous_headers_are_defects(head, found):
    assert rules(message(*head, "", "--b", "", "text", "")) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("a\0b", {("malformed", "nul", "1")}),
        ("a\rb", {("malformed", "bare_line_end", "1")}),
        ("a\nb", {("malformed", "bare_line_end", "1")}),
        ("a\r\nb", set()),
    ],
)
def test_control_bytes_in_a_body_are_defects(body, found):
    assert rules(message("Subject: x", "", body, "end")) == found


def test_each_class_is_found_once_a_part():
    mail = message("Subject: x", *["junk\0\r", "A: \xe9"] * 50, "", "b\0\r" * 50)
    assert len(rules(mail)) == len(mail.defects)
    assert all(finding.plugin == "core" and finding.detail for finding in mail.defects)


def test_a_bare_lf_before_a_delimiter_is_seen():
    mail = Message.from_bytes(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\n")
    assert rules(mail) == {("malformed", "bare_line_end", ""), ("ambiguous", "line_ends", "")}


def test_lf_messages_may_have_lf():
    assert rules(message("Subject: x", "", "a", "b", end=b"\n")) == set()
    assert rules(message("Subject: x", "", "a\rb", end=b"\n")) == {("malformed", "bare_line_end", "1")}


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        ("TEXT/HTML; charset=x", "text/html"),
        ("text/html charset=x", "text/html"),
        ("text", "text/plain"),
        ("", "text/plain"),
        (" application/pdf(comment)", "application/pdf"),
        ("/", "text/plain"),
    ],
)
def test_declared_type_follows_the_header_or_is_plain_text(value, declared):
    assert message(f"Content-Type: {value}", "", "x").root.declared_type == declared


def test_an_rfc_2231_boundary_is_read():
    mail = message("Content-Type: multipart/mixed; boundary*0=a; boundary*1=b", "", "--ab", "", "x", "--ab--")
    assert mail.part("1").content == b"x"


def test_findings_name_kinds():
    mail = message("Content-Type: multipart/mixed", "", "x")
    assert mail.defects[0].kind is Kind.MALFORMED


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"x"]), max_size=12).map(b"".join))
def test_breaks_that_stand_alone_are_found_wherever_they_stand(data):
    assert _bare(data, False) == (re.search(rb"\r(?!\n)", data) is not None)
    assert _bare(data, True) == (re.search(rb"\r(?!\n)|(?<!\r)\n", data) is not None)
