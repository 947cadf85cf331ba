"""Failure notifications, read back with the standard library's parser."""

from __future__ import annotations

import email
import email.policy
import email.utils
from email.message import EmailMessage, Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.delivery.dsn import Report, notification
from mailward.delivery.fields import Action, Fate, date_text
from mailward.delivery.wishes import Notice, wants_all, wants_notice
from mailward.hooks.template import Template
from mailward.values.address import NULL, Address
from mailward.values.delivery import Result, Status
from mailward.values.envelope import Envelope, Recipient, Sender
from mailward.values.reply import Reply

AT = 1_700_000_000.0
HEAD = b"Subject: original\r\nFrom: alice@example.com\r\n"


def _envelope(*parameters: tuple[str, str], sender: str = "alice@example.com") -> Envelope:
    return Envelope(sender=Sender(Address.parse(sender), parameters), id="m1", received_at=AT - 60)


def _failure(
    address: str = "bob@example.org",
    reply: Reply | None = Reply(550, "5.1.1", "No such user"),  # noqa: B008 - frozen
    *parameters: tuple[str, str],
    status: Status = Status.FAILED,
    next_hop: str = "smtp:mx.example.org:25",
) -> Result:
    recipient = Recipient(Address.parse(address), parameters)
    return Result(recipient, status, reply, "secret detail of ours", next_hop)


def _notice(
    envelope: Envelope,
    *results: Result,
    original: bytes = HEAD,
    whole: bool = False,
    reason: str = "",
    template: str = "",
) -> bytes:
    fates = tuple(Fate(Action.FAILED, result, AT) for result in results)
    report = Report(Notice.FAILURE, "gate.example.net", envelope, fates, AT, reason, Template(template))
    return notification("n1", report, "=_b0undary", whole).around(original)


def _read(notice: bytes) -> tuple[EmailMessage, list[Message], EmailMessage]:
    """The message, the groups of delivery-status fields, the original's part."""
    message = email.message_from_bytes(notice, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    parts = list(message.iter_parts())
    assert len(parts) == 3
    assert not any(part.defects for part in parts)
    payload = parts[1].get_payload()
    assert isinstance(payload, list)
    groups = [group for group in payload if isinstance(group, Message)]
    assert len(groups) == len(payload)
    returned = parts[2]
    assert isinstance(returned, EmailMessage)
    return message, groups, returned


def test_a_notice_is_a_report_with_three_parts() -> None:
    notice = _notice(_envelope(), _failure())
    message, groups, returned = _read(notice)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["From"] == "Mail Delivery System <postmaster@gate.example.net>"
    assert message["To"] == "alice@example.com"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Message-ID"] == "<n1@gate.example.net>"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert dict(groups[0].items()) == {
        "Reporting-MTA": "dns; gate.example.net",
        "Arrival-Date": "Tue, 14 Nov 2023 22:12:20 +0000",
    }
    assert dict(groups[1].items()) == {
        "Final-Recipient": "rfc822; bob@example.org",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.example.org",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
        "Last-Attempt-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
    }
    assert "Subject: original" in str(returned.get_payload())
    assert b"secret" not in notice


def test_the_senders_own_names_come_back() -> None:
    envelope = _envelope(("ENVID", "QQ+2B314159"))
    failure = _failure("bob@example.org", Reply(550), ("ORCPT", "rfc822;Bob+40home@example.com"))
    _, groups, _ = _read(_notice(envelope, failure))
    assert groups[0]["Original-Envelope-Id"] == "QQ+314159"
    assert groups[1]["Original-Recipient"] == "rfc822; Bob@home@example.com"
    assert groups[1]["Status"] == "5.0.0"


def test_every_recipient_has_its_group() -> None:
    failures = [_failure(f"user{number}@example.org") for number in range(5)]
    _, groups, _ = _read(_notice(_envelope(), *failures))
    assert [group["Final-Recipient"] for group in groups[1:]] == [f"rfc822; user{n}@example.org" for n in range(5)]


def test_too_old_is_4_4_7() -> None:
    failure = _failure(reply=None, status=Status.UNREACHABLE)
    message, groups, _ = _read(_notice(_envelope(), failure))
    assert groups[1]["Status"] == "4.4.7"
    assert groups[1]["Diagnostic-Code"] is None
    assert groups[1]["Remote-MTA"] is None
    body = message.get_body()
    assert body is not None
    assert "in time" in body.get_content()


def test_addresses_beyond_ascii_are_escaped_in_the_status_and_plain_in_the_header() -> None:
    notice = _notice(_envelope(sender="jürgen@example.com"), _failure("françois@example.org"))
    assert "To: <jürgen@example.com>\r\n".encode() in notice
    assert b"Final-Recipient: utf-8; fran\\x{E7}ois@example.org\r\n" in notice


@pytest.mark.parametrize(
    ("next_hop", "remote"),
    [
        ("smtp:[2001:db8::1]:25", "dns; [2001:db8::1]"),
        ("lmtp:192.0.2.1", "dns; [192.0.2.1]"),
        ("maildir:/var/mail/x", None),
        ("", None),
        ("a\r\nb", None),
    ],
)
def test_the_remote_server_is_named_where_there_is_one(next_hop: str, remote: str | None) -> None:
    _, groups, _ = _read(_notice(_envelope(), _failure(next_hop=next_hop)))
    assert groups[1]["Remote-MTA"] == remote


def test_the_whole_message_goes_back_between_the_halves() -> None:
    original = HEAD + b"\r\n8-bit \xe4\xf6\r\n"
    notice = _notice(_envelope(), _failure(), original=original, whole=True)
    assert b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + original in notice
    _, _, returned = _read(notice)
    assert returned.get_content_type() == "message/rfc822"


hostile = st.text(st.characters() | st.sampled_from("\r\n:;- "), max_size=120)


@given(hostile, hostile, hostile, hostile, st.integers(400, 599))
def test_nothing_from_outside_adds_a_line(text: str, envid: str, orcpt: str, local: str, code: int) -> None:
    recipient = Recipient(Address(local, "example.org"), (("ORCPT", "rfc822;" + orcpt),))
    failure = Result(recipient, Status.FAILED, Reply(code, "", text), text, "smtp:mx:25")
    envelope = Envelope(sender=Sender(Address(local or "x", "example.com"), (("ENVID", envid),)), id="m1")
    notice = _notice(envelope, failure, reason=text)
    head, _, rest = notice.partition(b"\r\n\r\n")
    names = [line.split(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert names == [
        b"Date",
        b"From",
        b"To",
        b"Subject",
        b"Message-ID",
        b"Auto-Submitted",
        b"MIME-Version",
        b"Content-Type",
    ]
    assert rest.count(b"--=_b0undary") == 4
    assert b"\n" not in notice.replace(b"\r\n", b"")
    assert b"\r" not in notice.replace(b"\r\n", b"")
    assert max(map(len, notice.split(b"\r\n"))) <= 998
    status = notice.split(b"message/delivery-status\r\n\r\n")[1].split(b"\r\n--=_b0undary")[0]
    known = {b"Original-Envelope-Id", b"Reporting-MTA", b"Arrival-Date", b"Original-Recipient", b"Final-Recipient"}
    known |= {b"Action", b"Status", b"Remote-MTA", b"Diagnostic-Code", b"Last-Attempt-Date"}
    lines = [line for line in status.split(b"\r\n") if line and not line.startswith(b" ")]
    assert {line.split(b":")[0] for line in lines} <= known
    assert status.isascii()
    assert len(status.split(b"\r\n\r\n")) == 2


@pytest.mark.parametrize(
    ("notify", "wanted"),
    [
        (None, True),
        ("", True),
        ("NEVER", False),
        ("FAILURE", True),
        ("success,failure", True),
        ("SUCCESS,DELAY", False),
    ],
)
def test_notify_is_respected(notify: str | None, wanted: bool) -> None:
    parameters = () if notify is None else (("NOTIFY", notify),)
    assert wants_notice(_envelope(), Recipient(Address("bob", "example.org"), parameters)) is wanted


def test_a_null_sender_never_gets_a_notice() -> None:
    assert not wants_notice(Envelope(sender=Sender(NULL)), Recipient(Address("b", "c"), (("NOTIFY", "FAILURE"),)))


@pytest.mark.parametrize(
    ("ret", "setting", "whole"),
    [(None, False, False), (None, True, True), ("FULL", False, True), ("full", False, True), ("HDRS", True, False)],
)
def test_ret_goes_before_the_setting(ret: str | None, setting: bool, whole: bool) -> None:
    parameters = () if ret is None else (("RET", ret),)
    assert wants_all(_envelope(*parameters), setting) is whole


@given(st.floats(0, 4e9))
def test_dates_are_read_back_by_the_library(at: float) -> None:
    parsed = email.utils.parsedate_to_datetime(date_text(at))
    assert parsed.timestamp() == int(at)


def _told(kind: Notice, *fates: Fate, template: str = "") -> tuple[EmailMessage, list[Message], EmailMessage]:
    report = Report(kind, "gate.example.net", _envelope(), fates, AT, "", Template(template))
    return _read(notification("n1", report, "=_b0undary").around(HEAD))


def test_sms_flow_03_a_delay_says_until_when_attempts_go_on() -> None:
    result = _failure(reply=Reply(451, "4.2.0", "Later"), status=Status.DEFERRED)
    message, groups, _ = _told(Notice.DELAY, Fate(Action.DELAYED, result, AT - 5, AT + 86_400))
    assert message["Subject"] == "Delayed: your message has not been delivered yet"
    assert groups[1]["Action"] == "delayed"
    assert groups[1]["Status"] == "4.2.0"
    assert groups[1]["Will-Retry-Until"] == "Wed, 15 Nov 2023 22:13:20 +0000"
    assert groups[1]["Last-Attempt-Date"] == "Tue, 14 Nov 2023 22:13:15 +0000"
    body = message.get_body()
    assert body is not None
    assert "Attempts go on until Wed, 15 Nov 2023" in body.get_content()


@pytest.mark.parametrize(
    ("action", "reply", "status"),
    [
        (Action.DELIVERED, None, "2.0.0"),
        (Action.DELIVERED, Reply(250, "2.1.5", "Stored"), "2.1.5"),
        (Action.RELAYED, Reply(250, "", "OK"), "2.0.0"),
        (Action.RELAYED, Reply(250, "5.1.1", "odd"), "2.0.0"),
        (Action.DELAYED, Reply(550, "5.1.1", "odd"), "4.0.0"),
    ],
)
def test_kav_dsn_01_the_status_fits_the_action(action: Action, reply: Reply | None, status: str) -> None:
    kind = Notice.DELAY if action is Action.DELAYED else Notice.SUCCESS
    _, groups, _ = _told(kind, Fate(action, _failure(reply=reply, status=Status.DELIVERED), AT))
    assert groups[1]["Action"] == action
    assert groups[1]["Status"] == status


def test_a_template_writes_the_text_for_people() -> None:
    text = "Dear %SENDER%,\n{% for r in recipients %}{{ r.address }}: {{ r.said }}\n{% endfor %}-- %POSTMASTER% 100%%"
    message, _, _ = _read(_notice(_envelope(), _failure(), template=text))
    body = message.get_body()
    assert body is not None
    assert body.get_content().splitlines() == [
        "Dear alice@example.com,",
        "bob@example.org: 550 5.1.1 No such user",
        "-- postmaster@gate.example.net 100%",
    ]


@pytest.mark.parametrize("template", ["{{ 1 / 0 }}", "{{ kind.nothing.there }}", "{{ ().__class__.__bases__ }}"])
def test_a_template_that_fails_does_not_keep_the_sender_in_the_dark(template: str) -> None:
    message, _, _ = _read(_notice(_envelope(), _failure(), template=template))
    body = message.get_body()
    assert body is not None
    assert "could not be delivered" in body.get_content()


@pytest.mark.parametrize(
    ("notify", "delay", "success"),
    [
        (None, True, False),
        ("FAILURE", False, False),
        ("DELAY", True, False),
        ("SUCCESS,FAILURE", False, True),
        ("NEVER", False, False),
    ],
)
def test_kav_dsn_01_delay_and_success_are_told_as_asked(notify: str | None, delay: bool, success: bool) -> None:
    recipient = Recipient(Address("bob", "example.org"), () if notify is None else (("NOTIFY", notify),))
    assert wants_notice(_envelope(), recipient, Notice.DELAY) is delay
    assert wants_notice(_envelope(), recipient, Notice.SUCCESS) is success


@pytest.mark.parametrize(
    ("postmaster", "shown"),
    [
        (NULL, "postmaster@gate.example.net"),
        (Address("post", "example.net"), "post@example.net"),
        (Address("p\u00f6st", "example.net"), "postmaster@gate.example.net"),
    ],
)
def test_kav_acc_05_a_notification_is_from_the_postmaster_of_the_settings(postmaster: Address, shown: str) -> None:
    fates = (Fate(Action.FAILED, _failure(), AT),)
    template = Template("write to {{ POSTMASTER }}")
    report = Report(Notice.FAILURE, "gate.example.net", _envelope(), fates, AT, "", template, postmaster)
    message, _, _ = _read(notification("n1", report, "=_b0undary").around(HEAD))
    assert message["From"] == f"Mail Delivery System <{shown}>"
    assert report.human() == f"write to {shown}\r\n"
