"""The log line of a message that has its verdict: who sent it, what was decided and by whom, what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailward.values.decision import Copy, Verdict
from mailward.values.event import Judged
from mailward.values.finding import Finding
from mailward.values.text import printable

_MAX_DETAILS = 10
_MAX_RECIPIENTS = 10
_MAX_COPIES = 10
_MAX_FINDINGS = 20
_MAX_CALLS = 3


def judged_fields(event: Judged) -> dict[str, Any]:
    """The fields of the line; lists are cut."""
    copies = event.verdict.copies
    return {
        **_of_envelope(event),
        **_decided(copies),
        "copies": [_fate(copy) for copy in copies[:_MAX_COPIES]] if len(copies) > 1 else (),
        **(_found(copies) if copies else {}),
        "spent": _spent(event.verdict),
    }


def _of_envelope(event: Judged) -> dict[str, Any]:
    envelope, session = event.envelope, event.envelope.session
    return {
        "id": envelope.id,
        "verdict": ",".join(dict.fromkeys(str(copy.action) for copy in event.verdict.copies)),
        "reply": event.reply.code,
        "from": str(envelope.sender.address) or "<>",
        "to": [str(r.address) for r in envelope.recipients[:_MAX_RECIPIENTS]],
        "nrcpt": len(envelope.recipients),
        "size": event.size_bytes,
        "client": session.client_ip,
        "client_name": session.client_name,
        "origin": session.origin_ip,
        "tls": session.tls,
        "user": printable(session.user),
        "receive_ms": event.receive_ms,
        "scan_ms": event.scan_ms,
        "commit_ms": event.commit_ms,
    }


def _decided(copies: Sequence[Copy]) -> dict[str, Any]:
    """The decision about the first copy that has one."""
    for copy in copies:
        if copy.decided_by is not None:
            decided = copy.decided_by
            return {
                "action": str(decided.action),
                "plugin": decided.plugin,
                "rule": decided.findings[0].rule if decided.findings else "",
                "reason": decided.reason,
                "policy": copy.policy,
            }
    return {}


def _fate(copy: Copy) -> str:
    """What became of one of several copies, by its policy (KAV-GRP-05), and whose it is."""
    recipients = [str(recipient.address) for recipient in copy.recipients[:_MAX_RECIPIENTS]]
    more = f" and {len(copy.recipients) - _MAX_RECIPIENTS} more" if len(copy.recipients) > _MAX_RECIPIENTS else ""
    return f"{copy.policy}: {copy.action} for {', '.join(recipients)}{more}"


def _found(copies: Sequence[Copy]) -> dict[str, Any]:
    findings = [finding for copy in copies for finding in copy.findings[:_MAX_FINDINGS]]
    return {
        "findings": [_named(finding) for finding in findings[:_MAX_FINDINGS]],
        "details": [f"{f.plugin}.{f.rule}: {printable(f.detail)}" for f in findings if f.detail][:_MAX_DETAILS],
        "would_have": [f"{d.plugin} {d.action} {d.reason}".strip() for copy in copies for d in copy.moot if d.shadow][
            :_MAX_FINDINGS
        ],
        "edits": sum(len(copy.splices) for copy in copies) or "",
    }


def _named(finding: Finding) -> str:
    name = f"({finding.name})" if finding.name else ""
    part = f" in {finding.part}" if finding.part else ""
    return f"{finding.plugin}.{finding.rule}{name}{part}{' [shadow]' if finding.shadow else ''}"


def _spent(verdict: Verdict) -> list[str]:
    """The calls of plugins that took longest, from a millisecond up."""
    slow = sorted(verdict.calls, key=lambda call: -call.elapsed_ms)[:_MAX_CALLS]
    return [f"{call.plugin}.{call.hook} {call.elapsed_ms:.1f}ms" for call in slow if call.elapsed_ms >= 1]
