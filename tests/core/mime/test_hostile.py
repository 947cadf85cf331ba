"""Hostile input: linear time, bounded work, no recursion."""

import time
from collections.abc import Callable

import pytest

from mailward.mime import Limits, Message, apply, decode_header, resolve
from mailward.mime.parameters import parse_parameters
from mailward.mime.source import Source
from mailward.mime.uuencode import blocks, uudecode
from mailward.values.edit import AddHeader, DeletePart

SLOW = Limits(max_depth=10_000, max_parts=1_000_000, max_headers=1_000_000, max_header_bytes=1 << 30, max_time_s=1e9)


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Twice the input costs less than three times the time, in the best of three tries."""
    for _ in range(3):
        times = []
        for n in (size, 2 * size):
            start = time.process_time()
            work(n)
            times.append(time.process_time() - start)
        if times[1] < 3 * times[0] + 0.05:
            return
    pytest.fail(f"{size}: {times[0]:.3f} s, twice that: {times[1]:.3f} s")


def parse(raw: bytes) -> Message:
    mail = Message.from_bytes(raw, SLOW)
    for part in mail.walk():
        _ = part.names, part.content, part.text, mail.subject
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
    "broken uu lines": lambda n: b"A: b\n\nbegin 644 x\n" + b"#!\n" * n + b"end\n",
}


@pytest.mark.parametrize("name", INPUTS)
def test_twice_the_input_is_about_twice_the_work(name):
    assert_linear(lambda n: parse(INPUTS[name](n)), 10_000)


@pytest.mark.parametrize(
    "value", [b"=?utf-8?q?", b"=?", b"=?a?q?b?= ", b"=?utf-8?b?=?=", b"?=", b"\r\n ", b"=?x?q?\xff"], ids=repr
)
def test_header_values_are_decoded_in_linear_time(value):
    assert_linear(lambda n: decode_header(value * n), 50_000)


def test_parameters_and_uuencode_take_linear_time():
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


def test_a_boundary_made_to_match_nearly_everywhere_is_found_in_linear_time(tmp_path):
    boundary = b"-" * 70

    def work(n: int) -> None:
        path = tmp_path / "mail"
        path.write_bytes(b"Content-Type: multipart/mixed; boundary=" + boundary + b"\n\n" + b"-" * n + b"\n")
        with Message.from_file(path, SLOW) as mail:
            assert mail.root.kind == "leaf"

    assert_linear(work, 4_000_000)
