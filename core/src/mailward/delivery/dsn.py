"""Failure notifications: multipart/report by RFC 3461, RFC 3464 and RFC 6522.

Written by our own code to bytes: every value that came from outside is reduced to printable
characters on one line, so that none of them can add a header, a field or a part.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from attrs import frozen

from mailward.values.delivery import Result, Status
from mailward.values.envelope import Envelope, Recipient
from mailward.values.reply import Reply

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_HOP = re.compile(r"[a-z0-9]+:(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d+)?")
_IP = re.compile(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_FOLD = 76
_MAX_VALUE = 900
_MAX_LINE = 240
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
EXPIRED = "4.4.7"
"""Status of a message that grew too old (RFC 3463 section 3.5)."""


@frozen
class Notice:
    """A notification in the making: the original's header (or all of it) goes between the two halves."""

    before: bytes
    after: bytes
    utf8: bool

    def around(self, original: bytes) -> bytes:
        """The notification with ``original`` in its place."""
        return b"".join((self.before, original, self.after))


def wants_notice(envelope: Envelope, recipient: Recipient) -> bool:
    """Whether the sender is to be told of a failure (RFC 3461 section 4.1; never a null sender)."""
    if envelope.sender.address.is_null:
        return False
    notify = recipient.parameter("NOTIFY")
    return not notify or "FAILURE" in notify.upper().split(",")


def wants_all(envelope: Envelope, return_full: bool) -> bool:
    """Whether the whole message is returned: the sender's RET decides, else the setting (RFC 3461 section 4.3)."""
    wish = (envelope.sender.parameter("RET") or "").upper()
    return wish == "FULL" or (return_full and wish != "HDRS")


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()[:_MAX_VALUE]


def _line(text: str) -> str:
    """What fits on a line of text, whatever its characters take in UTF-8 (RFC 5322 section 2.1.1)."""
    return _clean(text)[:_MAX_LINE]


def _ascii(text: str) -> str:
    """Printable ASCII; other characters in the escapes of RFC 6533 section 3 (utf-8-addr-xtext)."""
    return "".join([char if char < "\x7f" else f"\\x{{{ord(char):X}}}" for char in _clean(text)])[:_MAX_VALUE]


def _xtext(text: str) -> str:
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), text)


def _field(name: str, value: str) -> str:
    """A header field, folded at spaces where it is long."""
    lines: list[str] = []
    line = f"{name}:"
    for word in value.split():
        if len(line) + 1 + len(word) > _FOLD and line.strip():
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line]) + "\r\n"


def date_text(at: float) -> str:
    """Unix seconds as RFC 5322 section 3.3 writes them, in UTC."""
    moment = time.gmtime(at)
    clock = f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02}"
    return f"{_DAYS[moment.tm_wday]}, {moment.tm_mday:02} {_MONTHS[moment.tm_mon - 1]} {moment.tm_year} {clock} +0000"


def _typed_address(text: str) -> str:
    return f"{'rfc822' if text.isascii() else 'utf-8'}; {_ascii(text)}"


def _original_recipient(recipient: Recipient) -> str | None:
    value = recipient.parameter("ORCPT")
    if not value or ";" not in value:
        return None
    kind, _, address = value.partition(";")
    return f"{_ascii(kind)}; {_ascii(_xtext(address))}"


def _status(reply: Reply | None) -> str:
    if reply is None:
        return "5.0.0"
    if _STATUS.fullmatch(reply.enhanced) and not reply.enhanced.startswith("2"):
        return reply.enhanced
    return "4.0.0" if reply.temporary else "5.0.0"


def _remote(next_hop: str) -> str | None:
    match = _HOP.fullmatch(next_hop)
    if match is None:
        return None
    host = match[1] or match[2]
    return f"dns; [{host}]" if _IP.fullmatch(host) else f"dns; {host}"


def _gave_up(failure: Result) -> bool:
    """Whether the recipient did not fail for good, but the message grew too old."""
    return failure.status is not Status.FAILED


def _recipient_fields(failure: Result) -> str:
    fields = ["\r\n"]
    original = _original_recipient(failure.recipient)
    if original is not None:
        fields.append(_field("Original-Recipient", original))
    fields.append(_field("Final-Recipient", _typed_address(str(failure.recipient.address))))
    fields.append(_field("Action", "failed"))
    fields.append(_field("Status", EXPIRED if _gave_up(failure) else _status(failure.reply)))
    remote = _remote(failure.next_hop) if failure.reply is not None else None
    if remote is not None:
        fields.append(_field("Remote-MTA", remote))
    if failure.reply is not None:
        fields.append(_field("Diagnostic-Code", f"smtp; {_ascii(str(failure.reply))}"))
    return "".join(fields)


def _status_part(hostname: str, envelope: Envelope, failures: Sequence[Result]) -> str:
    fields = [_field("Reporting-MTA", f"dns; {_ascii(hostname)}")]
    envelope_id = envelope.sender.parameter("ENVID")
    if envelope_id:
        fields.insert(0, _field("Original-Envelope-Id", _ascii(_xtext(envelope_id))))
    fields.append(_field("Arrival-Date", date_text(envelope.received_at)))
    return "".join([*fields, *[_recipient_fields(failure) for failure in failures]])


def _human_part(hostname: str, failures: Sequence[Result], reason: str) -> str:
    lines = [f"This is the mail system at {_line(hostname)}.", ""]
    lines.append("Your message could not be delivered to the recipients below; no more attempts are made.")
    if reason and not any(reason in str(failure.reply) for failure in failures):
        lines.append(_line(reason))
    for failure in failures:
        lines += ["", f"<{_line(str(failure.recipient.address))}>"]
        if _gave_up(failure):
            lines.append("    could not be delivered in time; the last attempt ended with:")
        said = _line(str(failure.reply)) if failure.reply is not None else "the next mail server could not be reached"
        lines.append(f"    {said}")
    return "\r\n".join(lines) + "\r\n"


def _headers(notice_id: str, hostname: str, to: str, at: float, boundary: str) -> str:
    host = _ascii(hostname)
    return "".join(
        (
            _field("Date", date_text(at)),
            _field("From", f"Mail Delivery System <postmaster@{host}>"),
            f"To: <{_clean(to)}>\r\n",
            _field("Subject", "Undeliverable: your message was returned"),
            _field("Message-ID", f"<{notice_id}@{host}>"),
            _field("Auto-Submitted", "auto-replied"),
            _field("MIME-Version", "1.0"),
            f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"\r\n',
        )
    )


def failure_notice(
    notice_id: str,
    hostname: str,
    envelope: Envelope,
    failures: Sequence[Result],
    *,
    at: float,
    boundary: str,
    whole: bool = False,
    reason: str = "",
) -> Notice:
    """The notification to the sender of ``envelope`` that delivery to the recipients of ``failures`` failed.

    A failure whose status is not `Status.FAILED` is one of a message that grew too old (4.4.7).
    ``at`` is Unix seconds; ``boundary`` must be unguessable for who wrote the original; ``whole``
    says whether the original follows with its content or only its header; ``reason`` is one
    sentence for people. Only replies are quoted: details of failures are the operator's.
    """
    to = str(envelope.sender.address)
    human = _human_part(hostname, failures, reason)
    returned = "message/rfc822" if whole else "text/rfc822-headers"
    before = (
        f"{_headers(notice_id, hostname, to, at, boundary)}\r\n"
        f"--{boundary}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        f"{human}\r\n--{boundary}\r\n"
        f"Content-Type: message/delivery-status\r\n\r\n"
        f"{_status_part(hostname, envelope, failures)}\r\n--{boundary}\r\n"
        f"Content-Type: {returned}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    return Notice(before.encode("utf-8"), f"\r\n--{boundary}--\r\n".encode("ascii"), not to.isascii())
