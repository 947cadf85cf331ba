"""What a sender wishes to be told: NOTIFY and RET (RFC 3461 section 4), and what we tell without a wish."""

from __future__ import annotations

from enum import StrEnum

from mailward.values.envelope import Envelope, Recipient


class Notice(StrEnum):
    """The kinds of notification, by their name in NOTIFY."""

    FAILURE = "FAILURE"
    DELAY = "DELAY"
    SUCCESS = "SUCCESS"


_UNASKED = frozenset({Notice.FAILURE, Notice.DELAY})
"""What a sender is told who said nothing (RFC 3461 section 4.1; SMS-FLOW-03)."""


def wants_notice(envelope: Envelope, recipient: Recipient, kind: Notice = Notice.FAILURE) -> bool:
    """Whether the sender is to be told this of a recipient; never a null sender."""
    if envelope.sender.address.is_null:
        return False
    notify = recipient.parameter("NOTIFY")
    return kind in notify.upper().split(",") if notify else kind in _UNASKED


def wants_all(envelope: Envelope, return_full: bool) -> bool:
    """Whether the whole message is returned: the sender's RET decides, else the setting (RFC 3461 section 4.3)."""
    wish = (envelope.sender.parameter("RET") or "").upper()
    return wish == "FULL" or (return_full and wish != "HDRS")
