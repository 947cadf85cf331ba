"""Hostile input: linear time, bounded work, no recursion."""

import base64

import pytest

from mailward.mime import Limits, Message, apply, decode_header, resolve
from mailward.mime.parameters import parse_parameters
from mailward.mime.source import Source
from mailward.mime.uuencode import blocks, uudecode
from mailward.values.edit import AddHeader, DeletePart

SLOW = Limits(max_depth=10_000, max_parts=1_000_000, max_headers=1_000_000, max_header_bytes=1 << 30, max_time_s=1e9)


def parse(raw: bytes) -> Message:
    mail = Message.from_bytes(raw, SLOW)
    for part in mail.walk():
        _ = part.names, part.filename, part.content, part.text, mail.subject
    assert sum(end - start for start, end, _ in mail.spans()) == len(raw)
    return mail


HEAD = b"Content-Type: multipart/mixed; boundary=b\n\n"
INPUTS = {
    "empty parts": lambda n: HEAD + b"--b\n" * n,
    "closed again and again": lambda n: HEAD + b"--b\n\n" + b"--b--\n" * n,
    "nearly delimiters": lambda n: HEAD + b"--bx\n" * n,
    "long tails": lambda n: HEAD + b"--b" + b" " * n + b"x\n--b" + b" " * n,
    "headers": lambda n: b"X: y\n" * n + b"\nbody",
    "same header": lambda n: b"Content-Type: text/plain; name=a\n" * n + b"\n",
    "one header": lambda n: b"X: " + b"a " * n + b"\n\n",
    "continuations": lambda n: b"X: y\n" + b" z\n" * n + b"\n",
    "no colon": lambda n: b"a" * n + b"\n\n",
    "junk lines": lambda n: b"X: y\njunk\n" * n + b"\n",
    "boundaries in one header": lambda n: b"Content-Type: multipart/mixed" + b"; boundary=b" * n + b"\n\n--b\n",
    "segments": lambda n: b"Content-Type: a/b; " + b";".join(b"name*%d=x" % (i % 90_000) for i in range(n)) + b"\n\n",
    "quotes": lambda n: b'Content-Type: a/b; name="' + b"\\" * n + b"\n\n",
    "open quotes": lambda n: b"Content-Type: a/b" + b';a="' * n + b"\n\n",
    "semicolons": lambda n: b"Content-Type: a/b" + b"; " * n + b"\n\n",
    "open words": lambda n: b"Content-Type: a/b; name=" + b"=?" * n + b"\n\n",
    "begin lines": lambda n: b"A: b\n\n" + b"begin 644 x\n#0V%T\n" * n,
    "begin without data": lambda n: b"A: b\n\n" + b"begin 644 x\nlower case\n" * n,
    "blank lines": lambda n: b"\n" * n,
    "returns": lambda n: b"A: b\r\n\r\n" + b"\r" * n,
    "padding": lambda n: b"Content-Transfer-Encoding: base64\n\n" + b"QQ==" * n,
    "equals": lambda n: b"Content-Transfer-Encoding: quoted-printable\n\n" + b"= " * n,
    "blanks in a fold": lambda n: b"Subject: a\n b" + b" " * n + b"c\nContent-Type: a/b;\n name=" + b" " * n + b"c\n\n",
    "blanks after begin": lambda n: b"A: b\n\nbegin 644" + b" " * n + b"\rx",
    "combining names": lambda n: b"Content-Type: a/b; name=" + "\u0301\u0323".encode() * n + b"\n\n",
    "delimiters after CR": lambda n: HEAD + b"\r--b\r\r" * n,
    "lines of blanks": lambda n: b"X: y\n \n" * n + b"\n",
    "junk and fields": lambda n: b"X: y\njunk\njunk\nContent-Type: a/b\n" * n + b"\n",
    "bare LF": lambda n: b"X: y\r\n" + b"X: y\n\n" * n + b"\r\n\r\n",
    "blank lines and fields": lambda n: b"\n" * n + b"Content-Type: a/b\n" * n,
    "tails": lambda n: HEAD + b"".join(b"--b%d\n" % i for i in range(n)) + b"--b\n",
    "padding in lines": lambda n: b"Content-Transfer-Encoding: base64\n\n" + b"QQ=\n" * n,
    "short uu lines": lambda n: b"A: b\n\nbegin 644 x\n" + b'#0V%T\n"!!!!\n' * n + b"end\n",
    "base64 blocks": lambda n: b"A: b\n\n" + b"begin-base64 644 x\nQUJD\n" * n,
    "begin within lines": lambda n: b"A: b\n\n" + b"begin" * n,
    "PGP": lambda n: b"A: b\n\n" + b"x-----BEGIN PGP MESSAGE" * n,
    "guesses": lambda n: b"Content-Type: multipart/mixed\n\n" + b"--a " * n + b"\n" + b"--x   \n" * n,
    "percent signs": lambda n: b"Content-Type: a/b; name=" + b"%41" * n + b"\n\n",
    "same segments": lambda n: b"Content-Type: a/b; " + b";".join([b"name*1=x", b"name*0=y"] * n) + b"\n\n",
    "lenient type": lambda n: b"Content-Type: " + b"(" * n + b'"' * n + b"multipart\n\n",
    "broken uu lines": lambda n: b"A: b\n\nbegin 644 x\n" + b"#!\n" * n + b"end\n",
}


@pytest.mark.parametrize("name", INPUTS)
def test_twice_the_input_is_about_twice_the_work(name, assert_linear):
    assert_linear(lambda n: parse(INPUTS[name](n)), 10_000)


@pytest.mark.parametrize(
    "value", [b"=?utf-8?q?", b"=?", b"=?a?q?b?= ", b"=?utf-8?b?=?=", b"?=", b"\r\n ", b"=?x?q?\xff"], ids=repr
)
def test_header_values_are_decoded_in_linear_time(value, assert_linear):
    assert_linear(lambda n: decode_header(value * n), 50_000)


def test_parameters_and_uuencode_take_linear_time(assert_linear):
    assert_linear(lambda n: parse_parameters(b'a;b="\\"' * n), 30_000)
    assert_linear(lambda n: uudecode(b"M" + b"!" * 60 + b"\n" + b"#!!!!\n" * n), 20_000)
    text = (b"begin 644 x\n" + b"#!!!!\n") * 20_000
    assert len(list(blocks(Source(text, 0, len(text)), 0, len(text)))) == 1


def test_a_million_empty_parts_stop_at_the_limit():
    mail = Message.from_bytes(HEAD + b"--b\n\n" * 1_000_000)
    assert sum(1 for _ in mail.walk()) == 5000
    assert [finding.name for finding in mail.defects] == ["max_parts"]
    assert list(mail.spans())[-1][2] == "unread"


def test_nesting_stops_at_the_limit():
    levels = 5000
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d_\n\n--b%d_\n" % (n, n) for n in range(levels))
    mail = Message.from_bytes(raw)
    assert max(part.depth for part in mail.walk()) == 10
    assert "max_depth" in {finding.name for finding in mail.defects}


def test_nesting_without_limit_does_not_recurse():
    levels = 1500
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d_\n\n--b%d_\n" % (n, n) for n in range(levels))
    mail = Message.from_bytes(raw, SLOW)
    assert sum(1 for _ in mail.walk()) == levels + 1
    assert sum(end - start for start, end, _ in mail.spans()) == len(raw)
    deepest = max(mail.walk(), key=lambda part: part.depth)
    again = apply(raw, resolve(mail, [DeletePart(deepest.path), AddHeader("X", "y")]))
    assert Message.from_bytes(again, SLOW).headers.get("x") == "y"


def test_nested_messages_stop_at_the_limit():
    mail = Message.from_bytes(b"Content-Type: message/rfc822\n\n" * 5000)
    assert max(part.depth for part in mail.walk()) == 10
    assert [finding.name for finding in mail.defects] == ["max_depth"]


def test_nine_forwards_of_forwards_are_within_the_limit():
    raw = b"A: b\n\nfirst"
    for n in range(9):
        head = b"Content-Type: multipart/mixed; boundary=b%d_\n\n--b%d_\n\nsee below\n" % (n, n)
        raw = head + b"--b%d_\nContent-Type: message/rfc822\n\n" % n + raw + b"\n--b%d_--\n" % n
    mail = Message.from_bytes(raw)
    assert mail.defects == []
    assert [part.content for part in mail.walk()][-1] == b"first"


def test_headers_stop_at_the_limits():
    many = Message.from_bytes(b"X: y\n" * 200_000 + b"\nbody", Limits(max_header_bytes=1 << 22))
    assert len(many.headers) == 100_000
    assert many.root.content == b"body"
    assert [finding.name for finding in many.defects] == ["max_headers"]
    long = Message.from_bytes(b"X: " + b"a" * 2_000_000 + b"\n\nbody")
    assert len(long.headers.raw("x")) < 1 << 20
    assert [finding.name for finding in long.defects if finding.rule == "limit"] == ["max_header_bytes"]
    assert sum(end - start for start, end, _ in long.spans()) == long.size


def test_headers_of_all_parts_count_together():
    part = b"--b\n" + b"X: y\n" * 60 + b"\n\n"
    mail = Message.from_bytes(HEAD + part * 3, Limits(max_headers=100))
    assert sum(len(part.headers) for part in mail.walk()) == 100


def test_sizes_are_limited_while_building():
    mail = Message.from_bytes(b"A: b\n\n" + b"x" * 2000, Limits(max_part_bytes=1000, max_total_bytes=1500))
    assert [finding.name for finding in mail.defects] == ["max_part_bytes", "max_total_bytes"]


def test_time_is_limited_while_building():
    mail = Message.from_bytes(HEAD + b"--b\n\n" * 100, Limits(max_time_s=0))
    assert [finding.name for finding in mail.defects if finding.rule == "limit"] == ["max_time_s"]


def test_a_boundary_made_to_match_nearly_everywhere_is_found_in_linear_time(tmp_path, assert_linear):
    boundary = b"-" * 70

    def work(n: int) -> None:
        path = tmp_path / "mail"
        path.write_bytes(b"Content-Type: multipart/mixed; boundary=" + boundary + b"\n\n" + b"-" * n + b"\n")
        with Message.from_file(path, SLOW) as mail:
            assert mail.root.kind == "leaf"

    assert_linear(work, 4_000_000)


def attachment(encoding: bytes, body: bytes) -> bytes:
    head = b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: " + encoding
    return head + b"\n\n" + body


@pytest.mark.parametrize(
    "raw",
    [
        attachment(b"base64", b"QQ==" * 1_000_000),
        attachment(b"base64", b"QQ=" * 1_000_000),
        attachment(b"base64", b"QUJD\n" * 1_000_000),
        attachment(b"x-uuencode", b"begin 644 x\n" + b"#0V%T\n" * 1_000_000 + b"`\nend\n"),
        attachment(b"quoted-printable", b"=41" * 1_000_000),
    ],
    ids=["padded", "half padded", "short lines", "uuencode", "quoted-printable"],
)
def test_time_is_limited_while_decoding(raw):
    mail = Message.from_bytes(raw, Limits(max_time_s=0))
    assert mail.root.content == b""
    assert b"".join(mail.root.stream()) == b""
    assert ("limit", "max_time_s") in {(finding.rule, finding.name) for finding in mail.defects}


def test_millions_of_paddings_and_short_lines_are_decoded_in_bulk():
    assert Message.from_bytes(attachment(b"base64", b"QQ==" * 1_000_000)).root.content == b"A" * 1_000_000
    short = Message.from_bytes(attachment(b"x-uuencode", b"begin 644 x\n" + b"#0V%T\n" * 500_000 + b"`\nend\n"))
    assert short.root.content == b"Cat" * 500_000


def test_ten_thousand_boundaries_are_read_in_linear_time(assert_linear):
    def work(n: int) -> None:
        params = b"".join(b"; boundary=b%d" % number for number in range(n))
        body = b"".join(b"--b%d\n\nx\n" % number for number in range(n))
        mail = parse(b"Content-Type: multipart/mixed" + params + b"\n\n" + body)
        assert len(mail.root.readings) == 1

    assert_linear(work, 10_000)


def test_doubts_at_every_level_and_in_every_part_cost_linear_time(assert_linear):
    def work(n: int) -> None:
        part = b"--b\nContent-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\n"
        mail = parse(HEAD + (part + base64.b64encode(b"content") + b"\n") * n)
        assert len(list(mail.walk())) == 2 * n + 1

    assert_linear(work, 2_000)


def test_a_mapped_file_of_near_delimiters_is_read_in_linear_time(tmp_path, assert_linear):
    def work(n: int) -> None:
        path = tmp_path / "mail"
        path.write_bytes(HEAD + b"x--b\n" * n + b"begin" * n)
        with Message.from_file(path, SLOW) as mail:
            assert mail.root.kind == "leaf"

    assert_linear(work, 300_000)
