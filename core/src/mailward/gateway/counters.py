"""Counters of one gateway process, fed by its events; the supervisor adds them up."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import singledispatch

from mailward.values.delivery import Status
from mailward.values.event import (
    Bounced,
    Delivered,
    Event,
    GatewayDied,
    Judged,
    PluginFailed,
    Queued,
    Refused,
    WorkerDied,
)

_NOT_AUTHORISED = "5.7.1"
"""The status of a recipient for whom a client may not relay (RFC 3463 section 3.8, KAV-ACC-03)."""

_UNSUITED = {
    "5.3.4": "size",
    **dict.fromkeys(("5.6.1", "5.6.2", "5.6.3"), "8bit"),
    "5.6.7": "utf8",
}
"""What a next hop could not take of a message, by the status that says so (RFC 3463, RFC 6531; KAV-QUE-03)."""


class Counters:
    """Counts events by what they mean; give `count` to ``Engine.listen``.

    Names are words joined by underscores, with the unit where there is one; a name ends with what it
    is broken down by: ``refused_rcpt_to``, ``judged_drop``, ``queued_hold``.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[str, float] = defaultdict(float)

    def count(self, event: Event) -> None:
        """Count an event."""
        for name, number in counted(event).items():
            self._counts[name] += number

    def stats(self) -> dict[str, float]:
        """The counts by name."""
        return dict(self._counts)


@singledispatch
def counted(event: Event) -> dict[str, float]:
    """By how much an event raises which counters."""
    return {}


@counted.register
def _(event: Judged) -> dict[str, float]:
    counts: dict[str, float] = {"judged": 1, "judged_bytes": event.size_bytes, "scan_ms": event.scan_ms}
    if event.reply.code == 250:
        counts |= {"accepted": 1, "accepted_bytes": event.size_bytes}
        counts["accepted_recipients"] = len(event.envelope.recipients)
    for word in {copy.action.name for copy in event.verdict.copies}:
        counts[f"judged_{word}"] = 1
    for kind in {finding.kind for copy in event.verdict.copies for finding in copy.findings}:
        counts[f"found_{kind}"] = 1
    return counts


@counted.register
def _(event: Refused) -> dict[str, float]:
    counts: dict[str, float] = {"refused": 1, f"refused_{event.stage}": 1, f"refused_{event.reply.code // 100}xx": 1}
    if event.plugin != "core":
        counts[f"refused_by_{event.plugin}"] = 1
    if event.stage == "rcpt_to" and event.reply.enhanced == _NOT_AUTHORISED:
        counts["refused_relaying"] = 1
    return counts


@counted.register
def _(event: Delivered) -> dict[str, float]:
    counts: Counter[str] = Counter({"attempts": 1})
    for result in event.results:
        counts[f"recipients_{result.status}"] += 1
        counts["recipients_not_tried"] += result.untried
        if result.status is Status.FAILED and result.reply is not None and result.reply.enhanced in _UNSUITED:
            counts[f"recipients_failed_{_UNSUITED[result.reply.enhanced]}"] += 1
    if event.results and all(str(result.status) == "delivered" for result in event.results):
        counts["delivered"] += 1
    return {name: number for name, number in counts.items() if number}


@counted.register
def _(event: Queued) -> dict[str, float]:
    return {f"queued_{event.queue}": 1}


@counted.register
def _(event: Bounced) -> dict[str, float]:
    return {"bounced" if event.notification_id else "bounces_suppressed": 1}


@counted.register
def _(event: PluginFailed) -> dict[str, float]:
    return {"plugin_failures": 1}


@counted.register
def _(event: WorkerDied) -> dict[str, float]:
    return {"scan_process_deaths": 1}


@counted.register
def _(event: GatewayDied) -> dict[str, float]:
    return {"gateway_process_deaths": 1}
