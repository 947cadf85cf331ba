"""Copies that are refused while others of their message are accepted: their senders are told."""

from __future__ import annotations

from mailward.delivery.runner import Runner
from mailward.gateway.verdict_plan import Plan
from mailward.values.action import Reject
from mailward.values.delivery import Result, Status
from mailward.values.envelope import Envelope
from mailward.values.reply import Reply


async def bounce_refused(runner: Runner, envelope: Envelope, planned: Plan, head: bytes) -> None:
    """Queue a notification for each copy that comes back; only the header goes with it. Raises SpoolError."""
    for copy in planned.bounced:
        action = copy.action
        reply = action.reply if isinstance(action, Reject) else Reply(550, "5.7.1", getattr(action, "text", ""))
        failures = [Result(recipient, Status.FAILED, reply, next_hop="") for recipient in copy.recipients]
        await runner.bounce(envelope, failures, head, reason=reply.text)
