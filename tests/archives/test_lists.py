"""Lists of numbers and strings of codes in pages and scripts: the shortest that count as a file."""

from __future__ import annotations

import pytest

from mailward_archives.blobs import lists, literals

WRITTEN = {
    "numbers": lambda data: b"x=[" + b",".join(b"%d" % byte for byte in data) + b"]",
    "hexadecimal numbers": lambda data: b"[" + b" , ".join(b"0X%X" % byte for byte in data) + b"]",
    "codes": lambda data: b"'" + b"".join(b"\\x%02x" % byte for byte in data) + b"'",
    "codes in capitals": lambda data: b"'" + b"".join(b"\\X%02X" % byte for byte in data) + b"'",
    "Unicode codes": lambda data: b"'" + b"".join(b"\\u00%02x" % byte for byte in data) + b"'",
    "percent codes": lambda data: b"'" + b"".join(b"%%%02x" % byte for byte in data) + b"'",
}


@pytest.mark.parametrize("form", WRITTEN)
def test_a_list_of_256_bytes_is_a_file_and_one_of_255_is_none(form: str) -> None:
    content = bytes(range(256))
    assert [blob.content for blob in lists(WRITTEN[form](content))] == [content]
    assert [*lists(WRITTEN[form](content[:255]))] == []


@pytest.mark.parametrize("text", [b"0123456789abcdef" * 64, b"5a4d" * 255 + b"zz", b"fe" * 400])
def test_digits_that_do_not_begin_as_a_file_are_read_as_base64_alone(text: bytes) -> None:
    assert len([*literals(b"'" + text + b"'")]) == 1
