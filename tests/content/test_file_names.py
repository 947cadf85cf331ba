"""The file name rule (SAV-BLK-03, SAV-BLK-04, SMS-CONT-03)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import ConfigError, Kind, Masks, Message
from mailward_content.file_names import DEFAULT_NAMES, check_masks, shapes

HEAD = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
MESSAGE_ACTIONS = ("drop", "reject", "hold", "quarantine", "bounce", "defer")


def hits(copy: Any) -> list[tuple[str, str]]:
    found = [f for f in copy.findings if f.plugin == "content"]
    assert all((f.kind, f.rule) == (Kind.CONTENT, "file_name") for f in found)
    return [(f.part, f.name) for f in found]


def test_sav_blk_03_the_rule_is_off_although_the_list_is_filled(mails: Any, judge: Any) -> None:
    assert judge(mails.attached("x.exe"), on=False).clean
    assert hits(judge(mails.attached("x.exe"))) == [("2", "*.exe")]


def test_sav_blk_04_the_default_list_has_the_45_entries_of_the_specification(mails: Any, judge: Any) -> None:
    assert len(set(DEFAULT_NAMES)) == len(DEFAULT_NAMES) == 45
    names = [mask.replace("*", "some name") for mask in DEFAULT_NAMES]
    copy = judge(mails.parts(*(mails.file(name) for name in names)))
    assert [name for _, name in hits(copy)] == list(DEFAULT_NAMES)


def test_sms_cont_03_the_attachment_goes_and_the_message_is_delivered(mails: Any, judge: Any, delivered: Any) -> None:
    kept = mails.file("kept.txt", bytes(range(256)) * 9)
    raw = mails.parts(mails.file("Bad.EXE"), kept)
    copy = judge(raw)
    assert copy.action.name == "deliver"
    rest = delivered(raw, copy)
    assert kept in rest
    assert b"good day" in rest
    assert b"Bad.EXE" not in rest
    assert judge(rest).clean


@pytest.mark.parametrize(
    "headers",
    [
        'Content-Type: application/x; name="x.exe"\r\n',
        'Content-Type: application/x; name="x.txt"\r\nContent-Disposition: attachment; filename="x.exe"\r\n',
        'Content-Type: application/x; name="x.exe"\r\nContent-Disposition: attachment; filename="x.txt"\r\n',
        "Content-Type: application/x\r\nContent-Disposition: attachment; filename*=utf-8''x%2Eexe\r\n",
        'Content-Type: application/x\r\nContent-Disposition: attachment; filename*0="x.e"; filename*1="xe"\r\n',
        'Content-Type: application/x; name="=?utf-8?B?eC5leGU=?="\r\n',
        'Content-Type: application/x; name="x.exe."\r\n',
        'Content-Type: application/x; name="x.exe  "\r\n',
        'Content-Type: application/x; name="C:\\\\temp\\\\x.exe"\r\n',
        'Content-Type: application/x; name="x.exe::$DATA"\r\n',
        "Content-Type: application/x\r\nContent-Disposition: attachment; filename=x.exe\r\n",
        "Content-Type: application/x\r\nContent-Disposition: attachment; filename*=utf-8''txt.%E2%80%AEx.exe\r\n",
    ],
)
def test_every_name_that_a_client_may_show_counts(mails: Any, judge: Any, headers: str) -> None:
    assert hits(judge(mails.parts(mails.file("", headers=headers)))) == [("2", "*.exe")]


@pytest.mark.parametrize("name", ["x.exe.txt", "exe", "x.exé", "readme", "x.ex", "my.exe.d/notes.txt"])
def test_other_names_pass(mails: Any, judge: Any, name: str) -> None:
    assert judge(mails.attached(name)).clean


def test_sms_cont_03_a_hit_in_an_archive_takes_the_whole_attachment_and_names_the_member(
    mails: Any, judge: Any, delivered: Any
) -> None:
    inner = mails.zipped("deep.scr")
    raw = mails.parts(
        mails.file("a.zip", mails.zipped("ok.txt", "folder/x.exe")),
        mails.file("b.zip", mails.zipped("in.zip", content=inner)),
    )
    copy = judge(raw)
    assert hits(copy) == [("2", "*.exe"), ("3", "*.scr")]
    first, second = (f.detail for f in copy.findings if f.plugin == "content")
    assert "x.exe" in first
    assert "2/folder%2Fx.exe" in first or "2/folder/x.exe" in first
    assert "3/in.zip/deep.scr" in second
    rest = delivered(raw, copy)
    assert b"a.zip" not in rest
    assert b"b.zip" not in rest


def test_many_hits_in_one_archive_are_one_finding(mails: Any, judge: Any) -> None:
    copy = judge(mails.attached("a.zip", mails.zipped(*(f"{number}.exe" for number in range(100)))))
    assert hits(copy) == [("2", "*.exe")]
    (detail,) = (f.detail for f in copy.findings if f.plugin == "content")
    assert detail.endswith(", and 95 more")


def test_an_attachment_of_a_forwarded_message_is_an_attachment(mails: Any, judge: Any, delivered: Any) -> None:
    raw = mails.forwarded(mails.parts(mails.file("x.exe"), mails.file("kept.txt", b"kept content")))
    copy = judge(raw)
    assert len(hits(copy)) == 1
    rest = delivered(raw, copy)
    assert b"kept.txt" in rest
    assert b"x.exe" not in rest


def test_a_uuencoded_file_in_a_body_is_an_attachment(mails: Any, judge: Any, delivered: Any) -> None:
    raw = mails.plain(b"good day\r\nbegin 644 x.exe\r\n#0V%T\r\n`\r\nend\r\nbye")
    copy = judge(raw)
    assert [name for _, name in hits(copy)] == ["*.exe"]
    rest = delivered(raw, copy)
    assert b"begin 644" not in rest
    assert b"good day" in rest
    assert b"bye" in rest


@pytest.mark.parametrize("action", MESSAGE_ACTIONS)
def test_actions_on_the_message(mails: Any, judge: Any, action: str) -> None:
    for raw in (mails.attached("x.exe"), mails.attached("a.zip", mails.zipped("x.exe"))):
        assert judge(raw, f'on_name = "{action}"').action.name == action


def test_deliver_records_and_changes_nothing(mails: Any, judge: Any) -> None:
    copy = judge(mails.attached("x.exe"), 'on_name = "deliver"')
    assert (copy.action.name, copy.splices) == ("deliver", ())
    assert hits(copy) == [("2", "*.exe")]
    assert not copy.clean


def test_forward_names_another_recipient(mails: Any, judge: Any) -> None:
    copy = judge(mails.attached("x.exe"), 'on_name = { action = "forward", to = "lab@example.org" }')
    assert str(copy.action.to) == "lab@example.org"


def test_sav_blk_03_placeholder_leaves_the_text_of_the_settings(mails: Any, judge: Any, delivered: Any) -> None:
    raw = mails.attached("{{ mask }}.exe")
    for settings, expected in (
        (
            'on_name = "placeholder"',
            b"{{ mask }}.exe was removed by mx.example.org: files named *.exe are not allowed.",
        ),
        ('on_name = "placeholder"\nname_text = "no {{ filename }}"', b"no {{ mask }}.exe"),
        ("on_name = { action = 'placeholder', text = 'own {{ part }}' }", b"own 2"),
    ):
        rest = delivered(raw, judge(raw, settings))
        with Message.from_bytes(rest) as message:
            assert any(expected in part.content for part in message.walk() if part.kind == "leaf")
        assert judge(rest).clean


def test_own_masks_replace_the_list(mails: Any, judge: Any) -> None:
    settings = 'names = ["badnews.doc", "virus.*", "*.[x]"]'
    for name, mask in (("BadNews.doc", "badnews.doc"), ("virus.txt", "virus.*"), ("a.[X]", "*.[x]")):
        assert hits(judge(mails.attached(name), settings)) == [("2", mask)]
    assert judge(mails.attached("x.exe"), settings).clean


def test_a_message_without_attachments_is_clean(mails: Any, judge: Any) -> None:
    assert judge(mails.plain(b"x.exe")).clean


@pytest.mark.parametrize("mask", ["*", "*.*", "", ".", "**", "?", "*.?*", " "])
def test_sav_blk_03_a_mask_that_matches_everything_is_refused(mails: Any, judge: Any, mask: str) -> None:
    with pytest.raises(ConfigError, match="matches every file name; allowed: as in") as caught:
        judge(mails.plain(b"hello"), f'names = ["*.exe", "{mask}"]', on=False)
    assert "content" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("names = []", "names is empty while block_names is on"),
        ('on_name = "repair"', "repair is for infected parts alone"),
        ('on_name = { action = "placeholder", text = "{% if %}" }', "text of placeholder, line 1"),
        ('name_text = "{{"', "is not a template"),
    ],
)
def test_settings_that_make_no_sense_are_refused(mails: Any, judge: Any, settings: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        judge(mails.plain(b"hello"), settings)


@given(st.text("*?. \t"))
def test_masks_of_wildcards_alone_are_always_refused(mask: str) -> None:
    with pytest.raises(ValueError, match="matches every file name"):
        check_masks(Masks((mask,)))


@given(st.text(max_size=30), st.text(max_size=30))
def test_shapes_never_fail_and_begin_with_the_name_itself(text: str, raw: str) -> None:
    assert next(iter(shapes(text, raw))) == text
    assert all(isinstance(shape, str) for shape in shapes(text, raw))


def test_shapes_are_what_other_systems_make_of_a_name() -> None:
    assert list(shapes("a.exe:b.txt", "a.exe:b.txt")) == ["a.exe:b.txt", "a.exe"]
    assert list(shapes("a.exe.txt", "c\\a.exe. \0.txt")) == ["a.exe.txt", "a.exe"]


def test_a_message_that_is_itself_the_file_is_delivered_without_it(mails: Any, judge: Any, delivered: Any) -> None:
    raw = HEAD + mails.file("x.exe")
    copy = judge(raw)
    assert (copy.action.name, hits(copy)) == ("deliver", [("1", "*.exe")])
    rest = delivered(raw, copy)
    assert b"x.exe" not in rest
    assert b"Subject: hello\r\n" in rest
    assert judge(rest).clean
