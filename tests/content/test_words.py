"""What placeholders may say: names of our own, and the tags of older products (SAV-NTF-03, SMS-NOTE-02)."""

from __future__ import annotations

from typing import Any

import pytest

from mailward import Address, Envelope, Message, Sender, Template
from mailward.hooks.template import TAGS
from mailward_content import words
from mailward_content.settings import ContentSettings

SENDER = Envelope(sender=Sender(Address.parse("ann@example.com")))
NOT_FOR_RECIPIENTS = {
    *("DISPOSITION", "VIRUSINFO", "SPAMINFO", "VIRUS_NAMES"),  # of administrators, or of other plugins
    *("ENVELOPE_ID", "SRCID", "CLIENT_IP", "HELO", "GROUP", "POSTMASTER"),  # nothing that a recipient should see
    *("NEW_MESSAGE_COUNT", "NEW_QUARANTINE_MESSAGES", "QUARANTINE_DAYS", "QUARANTINE_URL", "USER_NAME"),
}


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("{$FILE}", "Report.EXE (*.exe)"),
        ("${FILE}", "Report.EXE (*.exe)"),
        ("{$CONTENTINFO}", "'Report.EXE' matches *.exe"),
        ("{$MSGINFO}", "From: a@example.com\nTo: b@example.org"),
        ("%OBJECT_NAME% %OBJECT_TYPE%", "Report.EXE application/x"),
        ("%SUBJECT% %SENDER% %RECIPIENTS%", "hello ann@example.com b@example.org"),
        ("%HOSTNAME% %PRODUCT% %STATUS% %ACTION%", "mx.example.org Mailward content placeholder"),
        ("%SIZE%", None),
        ("{$DISPOSITION}{$VIRUSINFO}", ""),
        ("{{ filename }} {{ mask }} {{ part }} {{ rule }} {{ subject }}", "Report.EXE *.exe 2 file_name hello"),
        ("{{ reason }} {{ hostname }}", "'Report.EXE' matches *.exe mx.example.org"),
    ],
)
def test_sav_ntf_03_what_a_tag_says(content: Any, mails: Any, delivered: Any, tag: str, said: str | None) -> None:
    raw = mails.attached("Report.EXE")
    settings = f"block_names = true\non_name = 'placeholder'\nname_text = '''{tag}|'''"
    text = Message.from_bytes(delivered(raw, content(raw, settings, SENDER))).part("2").text
    assert text.replace("\r\n", "\n").partition("|")[0] == (str(len(raw)) if said is None else said)


def test_date_and_time_are_those_of_the_gateway(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.attached("a.exe")
    settings = 'block_names = true\non_name = { action = "placeholder", text = "%DATE% %TIME%" }'
    text = Message.from_bytes(delivered(raw, content(raw, settings))).part("2").text
    date, time = text.split()
    assert [len(piece) for piece in (*date.split("-"), *time.split(":"))] == [4, 2, 2, 2, 2, 2]


def test_every_tag_is_worked_out_or_left_out_on_purpose() -> None:
    assert words.NAMES >= TAGS - NOT_FOR_RECIPIENTS
    assert not words.NAMES & NOT_FOR_RECIPIENTS


def test_texts_of_the_settings_use_known_names_alone() -> None:
    texts = [value for value in vars_of(ContentSettings()) if isinstance(value, Template)]
    assert len(texts) >= 8
    assert all(text.names <= words.NAMES for text in texts)


def vars_of(settings: Any) -> list[Any]:
    import attrs

    return [getattr(settings, field.name) for field in attrs.fields(type(settings))]


def test_names_from_the_message_cannot_break_a_line_or_a_template(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.parts(
        mails.file("", headers="Content-Type: a/b; name*=utf-8''a%0D%0A{{%20hostname%20}}%E2%80%AE.exe\r\n")
    )
    settings = "block_names = true\non_name = 'placeholder'\nname_text = '<{$FILE}>'"
    text = Message.from_bytes(delivered(raw, content(raw, settings))).part("2").text
    assert "\n" not in text.strip()
    assert "{{ hostname }}" in text
    assert "\u202e" not in text
