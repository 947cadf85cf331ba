"""Marks by direction: disclaimer, header fields, subject tag (SMS-SET-05)."""

from __future__ import annotations

from typing import Any

import pytest

from mailward import Address, ConfigError, Envelope, Message, Recipient, Sender, Session
from mailward_content.direction import Direction, direction_of, network

DISCLAIMER = 'outbound.disclaimer = "Confidential."'


def envelope(*recipients: tuple[str, bool | None], client: str = "192.0.2.1", user: str = "") -> Envelope:
    to = tuple(Recipient(Address.parse(text), local=local) for text, local in recipients)
    sender = Sender(Address.parse("ann@example.com"))
    return Envelope(Session(client_ip=client, user=user), sender, to)


OUT, HOME = ("bob@other.example", False), ("eve@example.com", True)


@pytest.mark.parametrize(
    ("recipients", "client", "user", "direction"),
    [
        ((OUT,), "192.0.2.1", "", "outbound"),
        ((("x@unknown.example", None),), "192.0.2.1", "", "outbound"),
        ((HOME,), "192.0.2.1", "", "inbound"),
        ((HOME,), "10.1.2.3", "", "internal"),
        ((HOME,), "::ffff:10.1.2.3", "", "internal"),
        ((HOME,), "2001:db8::5", "", "internal"),
        ((HOME,), "2001:db9::5", "", "inbound"),
        ((HOME,), "192.0.2.1", "ann", "internal"),
        ((HOME,), "", "", "inbound"),
        ((HOME,), "unknown", "", "inbound"),
        ((), "192.0.2.1", "", "inbound"),
        ((OUT, HOME), "10.1.2.3", "", "outbound"),
    ],
)
def test_the_direction_follows_recipients_and_client_not_the_senders_address(
    recipients: tuple[Any, ...], client: str, user: str, direction: str
) -> None:
    inside = (network("10.0.0.0/8"), network("2001:db8::/32"))
    assert direction_of(envelope(*recipients, client=client, user=user), inside) is Direction(direction)


def test_sms_set_05_a_disclaimer_goes_under_what_leaves_the_house(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.parts(mails.file("a.txt"))
    copy = content(raw, DISCLAIMER, envelope(OUT))
    assert copy.action.name == "deliver"
    after = Message.from_bytes(delivered(raw, copy))
    assert after.part("1").text.split() == ["good", "day", "Confidential."]
    assert content(raw, DISCLAIMER, envelope(HOME)).clean


def test_sms_set_05_it_is_decided_for_each_recipient(copies: Any, mails: Any) -> None:
    found = copies(mails.plain(b"text"), DISCLAIMER, envelope(OUT, HOME, ("third@other.example", False)))
    assert [([str(one.address) for one in copy.recipients], len(copy.splices)) for copy in found] == [
        (["bob@other.example", "third@other.example"], 1),
        (["eve@example.com"], 0),
    ]


def test_without_marks_a_message_has_one_copy(copies: Any, mails: Any) -> None:
    assert len(copies(mails.plain(b"text"), "", envelope(OUT, HOME))) == 1


@pytest.mark.parametrize("way", ["inbound", "outbound", "internal"])
def test_each_direction_has_its_own(content: Any, mails: Any, delivered: Any, way: str) -> None:
    settings = 'inside = ["10.0.0.0/8"]\n' + "\n".join(f'{one}.disclaimer = "Text of {one}."' for one in Direction)
    to, client = (OUT if way == "outbound" else HOME), ("10.0.0.1" if way == "internal" else "192.0.2.1")
    raw = mails.plain(b"text")
    after = delivered(raw, content(raw, settings, envelope(to, client=client)))
    assert after.count(b"Text of ") == 1
    assert f"Text of {way}.".encode() in after


def test_an_html_body_gets_the_html(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.html("<html><body><p>text</p></body></html>")
    settings = 'outbound = { disclaimer = "Plain.", disclaimer_html = "<p>Marked <b>up</b>.</p>" }'
    after = delivered(raw, content(raw, settings, envelope(OUT)))
    assert b"<p>Marked <b>up</b>.</p></body>" in after.replace(b"\r\n", b"").replace(b"=\r\n", b"")
    assert b"Plain." not in after


def test_html_alone_gives_a_text_for_plain_bodies(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.plain(b"text")
    after = delivered(raw, content(raw, 'outbound.disclaimer_html = "<p>Marked <b>up</b>.</p>"', envelope(OUT)))
    assert b"Marked up." in after


def test_a_disclaimer_is_a_template(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.plain(b"text")
    settings = 'outbound.disclaimer = "{{ direction }} mail of {{ sender }}, checked by {{ hostname }}"'
    after = delivered(raw, content(raw, settings, envelope(OUT)))
    assert b"outbound mail of ann@example.com, checked by mx.example.org" in after


def test_header_fields_are_added_changed_and_removed(content: Any, mails: Any, delivered: Any) -> None:
    raw = b"X-Internal-Id: 5\r\nX-Internal-Host: ws7\r\nX-Mailer: old\r\n" + mails.plain(b"text")
    settings = """
    [content.outbound]
    add_headers = { "X-Checked-By" = "{{ hostname }}" }
    change_headers = { "X-Mailer" = "none", "Organization" = "Example" }
    remove_headers = ["x-internal-*"]
    subject_tag = "[ext]"
    """
    after = Message.from_bytes(delivered(raw, content(raw, settings, envelope(OUT))))
    assert after.headers.get("x-checked-by") == "mx.example.org"
    assert after.headers.all("x-mailer") == ["none"]
    assert after.headers.get("organization") == "Example"
    assert not [name for name in after.headers.names if name.startswith("x-internal")]
    assert after.subject == "[ext] hello"
    assert after.part("1").content == Message.from_bytes(raw).part("1").content


def test_a_value_cannot_leave_its_field(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.plain(b"text")
    mail = Envelope(
        sender=Sender(Address("a\r\nBcc: x", "example.com")), recipients=(Recipient(Address.parse("a@b.c")),)
    )
    after = delivered(raw, content(raw, 'outbound.add_headers = { "X-From" = "{{ sender }}" }', mail))
    assert Message.from_bytes(after).headers.get("bcc") is None


def test_a_value_cannot_leave_its_place_in_html(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.html("<p>text</p>")
    mail = Envelope(sender=Sender(Address("<b>x", "example.com")), recipients=(Recipient(Address.parse("a@b.c")),))
    after = delivered(raw, content(raw, 'outbound.disclaimer_html = "<i>{{ sender }}</i>"', mail))
    assert b"<b>" not in after
    assert b"&lt;b&gt;x" in after


def test_a_direction_that_is_switched_off_marks_nothing(content: Any, mails: Any) -> None:
    assert content(mails.plain(b"x"), DISCLAIMER + "\noutbound.enabled = false", envelope(OUT)).clean


def test_a_policy_has_a_disclaimer_of_its_own(copies: Any, mails: Any, delivered: Any) -> None:
    raw = mails.plain(b"text")
    policy = '[policy.legal]\nrecipients = ["*@court.example"]\ncontent.outbound = { disclaimer = "Privileged." }'
    to = (OUT, ("judge@court.example", False), HOME)
    found = copies(raw, DISCLAIMER, envelope(*to), more=policy)
    assert [copy.policy for copy in found] == ["default", "legal", "default"]
    texts = [delivered(raw, copy) for copy in found]
    assert [b"Confidential." in text for text in texts] == [True, False, False]
    assert [b"Privileged." in text for text in texts] == [False, True, False]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (f'outbound.disclaimer = "{"x" * 1001}"', "has 1001 characters; allowed: at most 1000"),
        ('outbound.disclaimer = "{{"', "is not a template"),
        ('outbound.add_headers = { "X Y" = "z" }', "'X Y' is not the name of a header field"),
        ('outbound.add_headers = { "X:" = "z" }', "is not the name of a header field"),
        ('outbound.change_headers = { "Content-Type" = "z" }', "says how the body is to be read"),
        ('outbound.remove_headers = ["mime*"]', "'mime*' says how the body is to be read"),
        ('outbound.remove_headers = ["*"]', "says how the body is to be read"),
        ('inside = ["10.0.0.0/40"]', "is no address and no network"),
        ('inside = ["example.com"]', "is no address and no network"),
    ],
)
def test_marks_that_make_no_sense_are_refused(content: Any, mails: Any, settings: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        content(mails.plain(b""), settings)
    assert problem in str(caught.value)


def test_sms_set_05_a_disclaimer_of_1000_characters_is_allowed(content: Any, mails: Any) -> None:
    assert content(mails.plain(b"x"), f'outbound.disclaimer = "{"x" * 1000}"', envelope(OUT)).splices
