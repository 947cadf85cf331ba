"""Container limits and their dispositions (SAV-BLK-05, SMS-CONT-04)."""

from __future__ import annotations

from typing import Any

import pytest

from mailward import ConfigError, Limits


def rules(copy: Any) -> list[tuple[str, str]]:
    return [(finding.plugin, finding.name) for finding in copy.findings if finding.kind == "limit"]


@pytest.mark.parametrize(
    ("limit", "over", "under"),
    [
        ("max_depth", 1, 2),  # the message, its attachment, the member
        ("max_files", 7, 8),  # text, attachment, three members; and three headers, that of the message too
        ("max_file_bytes", 4999, 5000),
        ("max_files_bytes", 15_007, 15_008),  # what is opened is not counted beside what is in it
    ],
)
def test_sms_cont_04_each_limit_has_its_own_maximum(
    content: Any, mails: Any, limit: str, over: int, under: int
) -> None:
    raw = mails.attached("a.zip", mails.zipped("1.txt", "2.txt", "3.txt", content=b"x" * 5000))
    copy = content(raw, f"limits = {{ {limit} = {over} }}")
    assert rules(copy) == [("content", limit)]
    assert copy.action.name == "drop"
    assert content(raw, f"limits = {{ {limit} = {under} }}").clean


def test_sms_cont_04_limits_are_of_the_message_not_of_each_attachment(content: Any, mails: Any) -> None:
    one = mails.file("a.zip", mails.zipped("1.txt", "2.txt"))
    assert content(mails.parts(one), "limits = { max_files = 8 }").clean
    assert not content(mails.parts(one, one), "limits = { max_files = 8 }").clean


@pytest.mark.parametrize("limit", ["max_depth", "max_files", "max_file_bytes", "max_files_bytes"])
def test_sms_cont_04_zero_is_invalid(content: Any, mails: Any, limit: str) -> None:
    with pytest.raises(ConfigError, match=rf"limits.*{limit}.*out of range"):
        content(mails.plain(b""), f"limits = {{ {limit} = 0 }}")


def test_sav_blk_05_limits_are_on_and_drop(content: Any, mails: Any) -> None:
    assert (Limits().max_depth, Limits().max_parts) == (10, 5000)
    raw = mails.attached("a.zip", mails.zipped(*(f"{number}.txt" for number in range(20))))
    copy = content(raw, more="[limits]\nmax_parts = 10")
    assert rules(copy) == [("core", "max_parts")]
    assert copy.action.name == "drop"


@pytest.mark.parametrize(
    ("settings", "action"),
    [
        ("", "drop"),
        ('on_limit = "hold"', "hold"),
        ('on_limits = { max_parts = "bounce" }', "bounce"),
        ('on_limit = "hold"\non_limits = { max_parts = "reject", max_depth = "defer" }', "reject"),
        ('on_limits = { max_depth = "reject" }', "drop"),
        ('on_limits = { max_parts = "deliver" }', "deliver"),
    ],
)
def test_each_limit_has_its_own_disposition(content: Any, mails: Any, settings: str, action: str) -> None:
    raw = mails.attached("a.zip", mails.zipped(*(f"{number}.txt" for number in range(20))))
    assert content(raw, settings, more="[limits]\nmax_parts = 10").action.name == action


def test_own_limits_obey_the_same_table(content: Any, mails: Any) -> None:
    raw = mails.attached("a.bin", b"x" * 5000)
    settings = 'limits = { max_file_bytes = 100 }\non_limits = { max_file_bytes = "delete" }'
    copy = content(raw, settings)
    assert (copy.action.name, len(copy.splices)) == ("deliver", 1)


def test_a_placeholder_says_which_limit(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.attached("a.bin", b"x" * 5000)
    copy = content(raw, 'limits = { max_file_bytes = 100 }\non_limit = "placeholder"')
    assert b"a.bin was removed by mx.example.org: max_file_bytes =3D 100 exceeded" in delivered(
        raw, copy
    ) or b"max_file_bytes = 100 exceeded: 5000" in delivered(raw, copy)


def test_a_limit_that_there_is_not_is_refused(content: Any, mails: Any) -> None:
    with pytest.raises(ConfigError, match="'max_deep' is no limit; allowed: max_depth"):
        content(mails.plain(b""), 'on_limits = { max_deep = "drop" }')
