"""The fields of a delivery status (RFC 3464), and the texts that go into them and into headers.

Every value that came from outside is reduced to printable characters on one line, so that none of
them can add a header, a field or a part.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from enum import StrEnum

from attrs import frozen

from mailward.values.delivery import Result, Status
from mailward.values.envelope import Envelope, Recipient

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


class Action(StrEnum):
    """What became of a recipient (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@frozen
class Fate:
    """What is reported of one recipient. Times are Unix seconds, 0 where there is none to report."""

    action: Action
    result: Result
    attempted_at: float = 0.0
    retry_until: float = 0.0

    @property
    def recipient(self) -> Recipient:
        """Whose fate it is."""
        return self.result.recipient

    @property
    def gave_up(self) -> bool:
        """Whether the recipient did not fail for good, but the message grew too old."""
        return self.action is Action.FAILED and self.result.status is not Status.FAILED


def clean(text: str) -> str:
    """Printable characters on one line, cut where that is too long for a field."""
    return _UNPRINTABLE.sub(" ", text).strip()[:_MAX_VALUE]


def line_text(text: str) -> str:
    """What fits on a line of text, whatever its characters take in UTF-8 (RFC 5322 section 2.1.1)."""
    return clean(text)[:_MAX_LINE]


def ascii_text(text: str) -> str:
    """Printable ASCII; other characters in the escapes of RFC 6533 section 3 (utf-8-addr-xtext)."""
    return "".join([char if char < "\x7f" else f"\\x{{{ord(char):X}}}" for char in clean(text)])[:_MAX_VALUE]


def _xtext(text: str) -> str:
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), text)


def field_text(name: str, value: str) -> str:
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
    return f"{'rfc822' if text.isascii() else 'utf-8'}; {ascii_text(text)}"


def _original_recipient(recipient: Recipient) -> str | None:
    value = recipient.parameter("ORCPT")
    if not value or ";" not in value:
        return None
    kind, _, address = value.partition(";")
    return f"{ascii_text(kind)}; {ascii_text(_xtext(address))}"


_CLASSES = {Action.FAILED: "5", Action.DELAYED: "4", Action.DELIVERED: "2", Action.RELAYED: "2"}


def _status(fate: Fate) -> str:
    """The status code: the next hop's where it fits the action, else one that says no more than the action."""
    if fate.gave_up:
        return EXPIRED
    reply = fate.result.reply
    kind = _CLASSES[fate.action]
    if reply is not None and _STATUS.fullmatch(reply.enhanced):
        fits = reply.enhanced[0] in ("45" if fate.action is Action.FAILED else kind)
        if fits:
            return reply.enhanced
    if fate.action is Action.FAILED and reply is not None and reply.temporary:
        return "4.0.0"
    return f"{kind}.0.0"


def _remote(next_hop: str) -> str | None:
    match = _HOP.fullmatch(next_hop)
    if match is None:
        return None
    host = match[1] or match[2]
    return f"dns; [{host}]" if _IP.fullmatch(host) else f"dns; {host}"


def _recipient_fields(fate: Fate) -> str:
    result = fate.result
    fields = ["\r\n"]
    original = _original_recipient(fate.recipient)
    if original is not None:
        fields.append(field_text("Original-Recipient", original))
    fields.append(field_text("Final-Recipient", _typed_address(str(fate.recipient.address))))
    fields.append(field_text("Action", fate.action))
    fields.append(field_text("Status", _status(fate)))
    remote = _remote(result.next_hop) if result.reply is not None else None
    if remote is not None:
        fields.append(field_text("Remote-MTA", remote))
    if result.reply is not None:
        fields.append(field_text("Diagnostic-Code", f"smtp; {ascii_text(str(result.reply))}"))
    if fate.attempted_at:
        fields.append(field_text("Last-Attempt-Date", date_text(fate.attempted_at)))
    if fate.retry_until and fate.action is Action.DELAYED:
        fields.append(field_text("Will-Retry-Until", date_text(fate.retry_until)))
    return "".join(fields)


def delivery_status(hostname: str, envelope: Envelope, fates: Sequence[Fate]) -> str:
    """The body of a message/delivery-status part."""
    fields = [field_text("Reporting-MTA", f"dns; {ascii_text(hostname)}")]
    envelope_id = envelope.sender.parameter("ENVID")
    if envelope_id:
        fields.insert(0, field_text("Original-Envelope-Id", ascii_text(_xtext(envelope_id))))
    helo = ascii_text(envelope.session.helo)
    if helo:
        fields.append(field_text("Received-From-MTA", f"dns; {helo}"))
    fields.append(field_text("Arrival-Date", date_text(envelope.received_at)))
    return "".join([*fields, *[_recipient_fields(fate) for fate in fates]])
