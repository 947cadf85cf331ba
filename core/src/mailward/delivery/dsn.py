"""Delivery status notifications: multipart/report by RFC 3461, RFC 3464 and RFC 6522.

Written by our own code to bytes; see `fields` for what comes from outside.
"""

from __future__ import annotations

from attrs import frozen

from mailward.delivery.fields import Action, Fate, ascii_text, clean, date_text, delivery_status, field_text, line_text
from mailward.delivery.wishes import Notice
from mailward.hooks.log import get_logger
from mailward.hooks.template import Template
from mailward.values.address import NULL, Address
from mailward.values.envelope import Envelope

_log = get_logger("mailward.delivery")
_MAX_TEXT = 20_000
_SUBJECTS = {
    Notice.FAILURE: "Undeliverable: your message was returned",
    Notice.DELAY: "Delayed: your message has not been delivered yet",
    Notice.SUCCESS: "Delivered: your message has arrived",
}
_SENTENCES = {
    Notice.FAILURE: "Your message could not be delivered to the recipients below; no more attempts are made.",
    Notice.DELAY: "Your message has not been delivered yet to the recipients below. You need not do anything.",
    Notice.SUCCESS: "Your message was delivered to the recipients below, as you asked to be told.",
}


@frozen
class Notification:
    """A notification in the making: the original's header (or all of it) goes between the two halves."""

    before: bytes
    after: bytes
    utf8: bool

    def around(self, original: bytes) -> bytes:
        """The notification with ``original`` in its place."""
        return b"".join((self.before, original, self.after))


@frozen
class Report:
    """What a notification says: ``kind`` of what happened to a message, recipient by recipient.

    ``at`` is now, in Unix seconds; ``reason`` one sentence for people; ``template`` the text for people
    (empty: the built-in one); ``postmaster`` whom it is from and answers go to (null: at ``hostname``). Only
    replies are quoted: details of results are the operator's.
    """

    kind: Notice
    hostname: str
    envelope: Envelope
    fates: tuple[Fate, ...]
    at: float
    reason: str = ""
    template: Template = Template()
    postmaster: Address = NULL

    @property
    def answers_to(self) -> str:
        """The address of the postmaster (KAV-ACC-05); one beyond ASCII, which not every peer takes, is not used."""
        address = str(self.postmaster)
        return clean(address) if address and address.isascii() else f"postmaster@{ascii_text(self.hostname)}"

    def human(self) -> str:
        """The part for people."""
        if not self.template:
            return _built_in(self)
        try:
            text = self.template.render(**_names(self))[:_MAX_TEXT]
        except Exception as error:  # a template of the operator's own: whatever it does, the sender is told
            _log.error(
                "dsn_template cannot be rendered, built-in text used", problem=f"{type(error).__name__}: {error}"
            )
            return _built_in(self)
        return "".join([f"{clean(line)}\r\n" for line in text.splitlines()])


def _said(fate: Fate) -> str:
    if fate.result.reply is not None:
        return line_text(str(fate.result.reply))
    if fate.action in (Action.DELIVERED, Action.RELAYED):
        return _SUCCESS[fate.action]
    return "the next mail server could not be reached"


_SUCCESS = {
    Action.DELIVERED: "is in the mailbox",
    Action.RELAYED: "was handed to a mail server that will not report further",
}


def _built_in(report: Report) -> str:
    lines = [f"This is the mail system at {line_text(report.hostname)}.", "", _SENTENCES[report.kind]]
    if report.kind is Notice.DELAY and report.fates:
        lines.append(f"Attempts go on until {date_text(report.fates[0].retry_until)}.")
    reason = report.reason
    if reason and not any(reason in str(fate.result.reply) for fate in report.fates):
        lines.append(line_text(reason))
    for fate in report.fates:
        lines += ["", f"<{line_text(str(fate.recipient.address))}>"]
        if fate.gave_up:
            lines.append("    could not be delivered in time; the last attempt ended with:")
        lines.append(f"    {_said(fate)}")
    return "\r\n".join(lines) + "\r\n"


def _names(report: Report) -> dict[str, object]:
    """The names that a template can use; tags of older products among them (KAV-NTF-05)."""
    fates = [
        {"address": line_text(str(fate.recipient.address)), "action": str(fate.action), "said": _said(fate)}
        for fate in report.fates
    ]
    day, clock = date_text(report.at).rsplit(" ", 2)[0], date_text(report.at).rsplit(" ", 2)[1]
    until = max((fate.retry_until for fate in report.fates), default=0.0)
    return {
        "kind": report.kind.lower(),
        "reason": line_text(report.reason),
        "recipients": fates,
        "retry_until": date_text(until) if until else "",
        "received": date_text(report.envelope.received_at),
        "DATE": day,
        "TIME": clock,
        "HOSTNAME": line_text(report.hostname),
        "PRODUCT": "Mailward",
        "ENVELOPE_ID": line_text(report.envelope.sender.parameter("ENVID") or ""),
        "MESSAGE_ID": report.envelope.id,
        "SENDER": line_text(str(report.envelope.sender.address)),
        "RECIPIENTS": ", ".join([str(one["address"]) for one in fates]),
        "STATUS": line_text(report.reason),
        "ACTION": str(report.fates[0].action) if report.fates else "",
        "POSTMASTER": line_text(report.answers_to),
    }


def _headers(notice_id: str, report: Report, boundary: str) -> str:
    host = ascii_text(report.hostname)
    return "".join(
        (
            field_text("Date", date_text(report.at)),
            field_text("From", f"Mail Delivery System <{report.answers_to}>"),
            f"To: <{clean(str(report.envelope.sender.address))}>\r\n",
            field_text("Subject", _SUBJECTS[report.kind]),
            field_text("Message-ID", f"<{notice_id}@{host}>"),
            field_text("Auto-Submitted", "auto-replied"),
            field_text("MIME-Version", "1.0"),
            f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"\r\n',
        )
    )


def notification(notice_id: str, report: Report, boundary: str, whole: bool = False) -> Notification:
    """The notification to the sender of the report's envelope.

    ``boundary`` must be unguessable for who wrote the original; ``whole`` says whether the original
    follows with its content or only its header.
    """
    returned = "message/rfc822" if whole else "text/rfc822-headers"
    before = (
        f"{_headers(notice_id, report, boundary)}\r\n"
        f"--{boundary}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        f"{report.human()}\r\n--{boundary}\r\n"
        f"Content-Type: message/delivery-status\r\n\r\n"
        f"{delivery_status(report.hostname, report.envelope, report.fates)}\r\n--{boundary}\r\n"
        f"Content-Type: {returned}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    utf8 = not str(report.envelope.sender.address).isascii()
    return Notification(before.encode("utf-8"), f"\r\n--{boundary}--\r\n".encode("ascii"), utf8)
