"""What cannot be looked into: encrypted, unprocessable, malformed (SAV-BLK-06, SMS-CONT-05, SAV-AV-08, SMS-SCAN-02)."""

from __future__ import annotations

from typing import Any

import pytest

from mailward import Message
from mailward_content import ContentSettings

SMIME = b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n\r\nsealed"
RAR = b"Rar!\x1a\x07\x01\0"


def test_sms_cont_05_an_encrypted_container_goes_and_the_message_is_delivered(
    content: Any, mails: Any, delivered: Any
) -> None:
    kept = mails.file("kept.txt", b"kept")
    raw = mails.parts(mails.file("secret.zip", mails.locked("a.txt", "b.txt")), kept)
    copy = content(raw)
    assert copy.action.name == "deliver"
    after = delivered(raw, copy)
    assert b"secret.zip" not in after
    assert kept in after
    assert [finding.kind for finding in copy.findings] == ["encrypted", "encrypted"]
    assert not copy.clean


@pytest.mark.parametrize(
    ("setting", "action"),
    [
        ("", "deliver"),  # delete the container and deliver the message: the default
        ('on_encrypted = "drop"', "drop"),
        ('on_encrypted = "deliver"', "deliver"),  # log only
        ('on_encrypted = { action = "forward", to = "a@b.example", subject = "locked" }', "forward"),
    ],
)
def test_sav_blk_06_the_four_dispositions(content: Any, mails: Any, delivered: Any, setting: str, action: str) -> None:
    raw = mails.attached("secret.zip", mails.locked("a.txt"))
    copy = content(raw, setting)
    assert copy.action.name == action
    after = delivered(raw, copy)
    assert (b"secret.zip" in after) is (setting != "")  # forwarded with its container
    if action == "forward":
        assert Message.from_bytes(after).subject == "locked"


def test_sav_blk_06_a_replacement_can_be_written(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.attached("secret.zip", mails.locked("a.txt", "b.txt"))
    settings = 'on_encrypted = "placeholder"\nencrypted_text = "No: {$FILE} / {$ENCRYPTINFO} / ${MSGINFO}"'
    after = Message.from_bytes(delivered(raw, content(raw, settings)))
    text = after.part("2").text
    assert text.startswith("No: secret.zip (encrypted) / secret.zip (encrypted) is encrypted / From: a@example.com")
    assert text.count("No:") == 1  # one text for one container, however many members


def test_a_container_in_a_container_takes_the_attachment(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.attached("outer.zip", mails.zipped("inner.zip", content=mails.locked("a.txt")))
    copy = content(raw)
    assert b"outer.zip" not in delivered(raw, copy)


def test_not_set_leaves_it_to_the_core(content: Any, mails: Any) -> None:
    raw = mails.parts(SMIME)
    assert content(raw).action.name == "hold"
    assert content(raw, more='[disposition]\nunchecked = "bounce"').action.name == "bounce"
    assert content(raw, 'on_encrypted_mail = "deliver"').action.name == "deliver"


def test_encrypted_mail_is_no_encrypted_container(content: Any, mails: Any) -> None:
    settings = 'on_encrypted = "drop"\non_encrypted_mail = "deliver"'
    assert content(mails.parts(SMIME), settings).action.name == "deliver"
    both = mails.parts(SMIME, mails.file("secret.zip", mails.locked("a.txt")))
    assert content(both, settings).action.name == "drop"


def test_a_policy_may_let_encrypted_content_through(copies: Any, mails: Any) -> None:
    from mailward import Address, Envelope, Recipient

    to = tuple(Recipient(Address.parse(text)) for text in ("a@x.example", "b@bank.example"))
    policy = '[policy.bank]\nrecipients = ["*@bank.example"]\ncontent.on_encrypted = "deliver"'
    raw = mails.attached("secret.zip", mails.locked("a.txt"))
    first, second = copies(raw, "", Envelope(recipients=to), more=policy)
    assert (len(first.splices), len(second.splices)) == (1, 0)


@pytest.mark.parametrize("action", ["deliver", "drop", "bounce", "hold"])
def test_sav_av_08_what_cannot_be_processed(content: Any, mails: Any, action: str) -> None:
    copy = content(mails.attached("a.rar", RAR), f'on_unprocessable = "{action}"')
    assert copy.action.name == action
    assert [finding.kind for finding in copy.findings] == ["unchecked"]


def test_sms_scan_02_an_encrypted_container_is_not_unprocessable(content: Any, mails: Any) -> None:
    raw = mails.attached("secret.zip", mails.locked("a.txt"))
    assert content(raw, 'on_unprocessable = "drop"\non_encrypted = "deliver"').action.name == "deliver"


def test_malformed_mime_that_can_be_read_is_delivered_unless_said_otherwise(content: Any, mails: Any) -> None:
    raw = mails.parts(b"Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n\r\nunclosed\r\n")
    copy = content(raw)
    assert (copy.action.name, [finding.kind for finding in copy.findings]) == ("deliver", ["malformed"])
    assert content(raw, 'on_malformed = "drop"').action.name == "drop"


def test_the_defaults_are_those_of_the_specification() -> None:
    settings = ContentSettings()
    assert str(settings.on_encrypted) == "delete"
    assert settings.on_unprocessable is settings.on_malformed is settings.on_limit is settings.on_encrypted_mail is None
