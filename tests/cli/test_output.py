"""What came out of mail cannot speak to the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.cli.output import shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain.txt", "plain.txt"),
        ("bücher ✓.txt", "bücher ✓.txt"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("cod\u202eexe.", "cod\\u202eexe."),
        ("two\r\nlines\tand\x85more", "two\\r\\nlines\\tand\\x85more"),
        ("half \ud83d", "half \\ud83d"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
    ],
)
def test_what_is_not_printable_is_spelt_out(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text(st.characters()))
def test_any_text_can_be_printed_on_one_line(text: str) -> None:
    made = shown(text)
    assert len(made.splitlines()) <= 1
    made.encode()
