"""The settings of attempts, retries and what their senders are told."""

from __future__ import annotations

from attrs import frozen

from mailward.hooks.settings import Seconds, between, setting
from mailward.hooks.template import Template
from mailward.values.address import NULL, Address


@frozen
class DeliverySettings:
    """``[delivery]``: attempts and retries."""

    concurrency: int = setting(50, validator=between(1, 1024), help="deliveries in progress at a time")
    retry_first_s: Seconds = setting(
        Seconds(300.0), validator=between(0.05, 64_800), help="wait after the first failure"
    )
    retry_max_s: Seconds = setting(
        Seconds(21_600.0), validator=between(0.05, 64_800), help="longest wait; waits double up to it"
    )
    lifetime_s: Seconds = setting(
        Seconds(5 * 86_400.0), validator=between(1, 14 * 86_400), help="age at which an undelivered message is returned"
    )
    return_full: bool = setting(
        False, help="return the whole message in a failure DSN instead of its header (DSNEntireMessage)"
    )
    delay_notice: bool = setting(True, help="tell the sender once that a message is delayed, by NOTIFY (SMS-FLOW-03)")
    delay_notice_after_s: Seconds = setting(
        Seconds(0.0), validator=between(0, 14 * 86_400), help="least age for that; 0: told at the first failure"
    )
    dsn_on_relaying: bool = setting(
        True, help="report success, where asked to, when the next hop takes a message and will not report itself"
    )
    notice_address: Address = setting(
        NULL,
        help="sender of notices; mail to it is dropped, so that none is answered; empty: mailward@hostname",
    )
    dsn_template: Template = setting(Template(), help="text of DSNs for people; empty: the built-in one (DSNTemplate)")
