"""The settings of attempts, retries and what their senders are told."""

from __future__ import annotations

from attrs import frozen

from mailward.hooks.settings import Seconds, between, setting


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
    return_full: bool = setting(False, help="return the whole message in a DSN instead of its header")
