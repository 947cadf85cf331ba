"""The file type rule, and what it is that a part is."""

from __future__ import annotations

from typing import Any

import pytest

from mailward import ConfigError, Message
from mailward_content.file_types import DEFAULT_TYPES, types_of

PNG = b"\x89PNG\r\n\x1a\n\0"
PROGRAM = b"MZ\x90\0program"


def declared(mails: Any, kind: str, content: bytes, name: str = "a.bin") -> bytes:
    return mails.parts(mails.file("", content, f'Content-Type: {kind}; name="{name}"\r\n'))


@pytest.mark.parametrize(
    ("kind", "content", "types"),
    [
        ("image/png", PNG, ["image/png"]),
        ("application/octet-stream", PNG, ["image/png"]),
        ("text/plain", PNG, ["text/plain", "image/png"]),
        ("audio/mpeg", b"whatever", ["audio/mpeg"]),
        ("application/octet-stream", b"\0\1\2", ["application/octet-stream"]),
    ],
)
def test_a_part_has_its_declared_and_its_detected_type(mails: Any, kind: str, content: bytes, types: list[str]) -> None:
    message = Message.from_bytes(declared(mails, kind, content))
    assert types_of(message.part("2")) == types


@pytest.mark.parametrize("kind", ["application/pdf", "image/png", "application/octet-stream", "text/plain"])
def test_a_program_is_found_whatever_it_is_called(content: Any, mails: Any, delivered: Any, kind: str) -> None:
    raw = declared(mails, kind, PROGRAM, "invoice.pdf")
    copy = content(raw, "block_types = true")
    (finding,) = (one for one in copy.findings if one.plugin == "content")
    assert (finding.rule, finding.part, finding.name) == ("file_type", "2", "application/x-dosexec")
    assert b"invoice.pdf" not in delivered(raw, copy)


def test_a_declared_type_is_enough(content: Any, mails: Any) -> None:
    assert not content(declared(mails, "Video/MP4", b"no video"), 'block_types = true\ntypes = ["video/*"]').clean


def test_an_exception_lets_a_type_through(content: Any, mails: Any) -> None:
    settings = 'block_types = true\ntypes = ["image/*"]\ntypes_except = ["image/png"]'
    assert content(declared(mails, "image/png", PNG), settings).clean
    assert not content(declared(mails, "image/gif", b"GIF89a"), settings).clean


def test_a_member_of_an_archive_is_found(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.attached("a.zip", mails.zipped("readme.txt", content=PROGRAM))
    copy = content(raw, "block_types = true")
    (finding,) = copy.findings
    assert (finding.part, "2/readme.txt" in finding.detail) == ("2", True)
    assert b"a.zip" not in delivered(raw, copy)


def test_the_rule_is_off_although_its_list_is_filled(content: Any, mails: Any) -> None:
    assert "application/x-dosexec" in DEFAULT_TYPES
    assert content(declared(mails, "application/pdf", PROGRAM)).clean
    with pytest.raises(ConfigError, match="types is empty while block_types is on"):
        content(mails.plain(b""), "block_types = true\ntypes = []")


def test_members_alone_can_be_taken_out(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.attached("a.zip", mails.zipped("readme.txt", content=PROGRAM))
    copy = content(raw, 'block_types = true\nin_archives = "member"')
    after = Message.from_bytes(delivered(raw, copy))
    assert after.part("2").filename == "a.zip"
    assert PROGRAM not in after.part("2").content
    assert b"DELETED0.TXT" in after.part("2").content


def test_names_may_have_exceptions_too(content: Any, mails: Any) -> None:
    settings = 'block_names = true\nnames_except = ["setup.exe"]'
    assert content(mails.parts(mails.file("", headers='Content-Type: a/b; name="SETUP.exe"\r\n')), settings).clean
    assert not content(mails.attached("other.exe"), settings).clean
