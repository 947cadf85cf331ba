"""SMTP replies: read, written, and never more lines than said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Reply


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("550 5.7.1 No", Reply(550, "5.7.1", "No")),
        ("550-5.7.1 No", Reply(550, "5.7.1", "No")),
        ("250 OK", Reply(250, "", "OK")),
        ("421", Reply(421)),
        ("450 4.7.1", Reply(450, "4.7.1", "")),
        ("550 5.7 is no code", Reply(550, "", "5.7 is no code")),
        (" 554 5.7.1 Virus \r\n", Reply(554, "5.7.1", "Virus")),
    ],
)
def test_a_line_is_read(line: str, reply: Reply) -> None:
    assert Reply.parse(line) == reply


@pytest.mark.parametrize("line", ["", "No", "55 x", "-550 x", "199 x", "600 x", "999 x"])
def test_what_is_no_reply_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"reply|code"):
        Reply.parse(line)


@pytest.mark.parametrize("code", [199, 600, 0, -1])
def test_a_code_that_smtp_does_not_have_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match="code"):
        Reply(code)


@pytest.mark.parametrize(
    ("code", "refuses", "temporary"),
    [(250, False, False), (354, False, False), (421, True, True), (450, True, True), (550, True, False)],
)
def test_classes_of_codes(code: int, refuses: bool, temporary: bool) -> None:
    assert (Reply(code).refuses, Reply(code).temporary) == (refuses, temporary)


def test_several_lines_are_written_with_hyphens() -> None:
    assert str(Reply(550, "5.7.1", "first\nsecond")) == "550-5.7.1 first\r\n550 5.7.1 second"
    assert str(Reply(250)) == "250"


LINE = re.compile(r"[2-5]\d\d[ -][^\x00-\x1f\x7f]*|[2-5]\d\d")


@given(st.integers(200, 599), st.text(max_size=60))
def test_no_text_breaks_out_of_its_lines(code: int, text: str) -> None:
    lines = str(Reply(code, "5.7.1" if code >= 500 else "", text)).split("\r\n")
    assert all(LINE.fullmatch(line) and line.startswith(str(code)) for line in lines)
    assert all(line[3:4] == "-" for line in lines[:-1])
    assert lines[-1][3:4] in ("", " ")
