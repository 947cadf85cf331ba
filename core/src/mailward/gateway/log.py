"""The log: one line a message that names verdict, plugin, rule, reason and times; one line for each other event."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

from mailward.gateway.judged_line import judged_fields
from mailward.hooks.log import get_logger
from mailward.values.event import (
    Bounced,
    ConfigurationChanged,
    ConfigurationRefused,
    Custom,
    Delivered,
    Event,
    FileAccessFailed,
    GatewayDied,
    Judged,
    LoadExceeded,
    LoginFailed,
    Notified,
    PluginFailed,
    ProtocolViolation,
    Queued,
    Refused,
    Reordered,
    ResourceLow,
    ResourceRecovered,
    ScanServerBack,
    ScanServerLost,
    Started,
    Stopped,
    Suppressed,
    Suspect,
    SwitchThrown,
    WorkerDied,
)
from mailward.values.text import printable

Fields = dict[str, Any]


def listener() -> Callable[[Event], None]:
    """A listener for the engine that writes each event as one log line."""
    log = get_logger()

    def write(event: Event) -> None:
        level, fields = describe(event)
        getattr(log, level)(event.name, **{key: value for key, value in fields.items() if value not in ("", (), [])})

    return write


@singledispatch
def describe(event: Event) -> tuple[str, Fields]:
    """The level and the fields of an event's log line."""
    return "info", {}


@describe.register
def _(event: Judged) -> tuple[str, Fields]:
    return "info", judged_fields(event)


@describe.register
def _(event: Refused) -> tuple[str, Fields]:
    return "info", {
        "session": event.session.id,
        "stage": event.stage,
        "reply": str(event.reply),
        "plugin": event.plugin,
        "rule": event.rule,
        "client": event.session.client_ip,
        "from": event.sender,
        "to": event.recipient,
    }


@describe.register
def _(event: ProtocolViolation) -> tuple[str, Fields]:
    return "warning", {"session": event.session.id, "client": event.session.client_ip, "detail": event.detail}


@describe.register
def _(event: LoginFailed) -> tuple[str, Fields]:
    return "warning", {
        "session": event.session.id,
        "client": event.session.client_ip,
        "user": printable(event.user),
        "mechanism": event.mechanism,
        "failures": event.failures,
    }


@describe.register
def _(event: Delivered) -> tuple[str, Fields]:
    return "info", {
        "id": event.message_id,
        "origin": event.origin,
        "queue": event.queue,
        "attempts": event.attempts,
        "results": [
            f"{result.recipient.address} {result.status} {result.next_hop} {result.reply or ''} {result.detail}".strip()
            for result in event.results[:20]
        ],
        "delivery_ms": round(max((result.elapsed_ms for result in event.results), default=0.0), 1),
    }


@describe.register
def _(event: Queued) -> tuple[str, Fields]:
    return "warning", {
        "id": event.message_id,
        "origin": event.origin,
        "queue": event.queue,
        "reason": event.reason,
        "to": [str(r.address) for r in event.recipients[:10]],
        "retry_at": event.retry_at or "",
    }


@describe.register
def _(event: Bounced) -> tuple[str, Fields]:
    return "warning", {
        "id": event.message_id,
        "origin": event.origin,
        "to": event.to or "<>",
        "recipients": list(event.recipients[:10]),
        "reason": event.reason,
        "notification": event.notification_id or "suppressed",
    }


@describe.register
def _(event: Notified) -> tuple[str, Fields]:
    return "info", {
        "id": event.message_id,
        "origin": event.origin,
        "kind": event.kind,
        "to": event.to,
        "recipients": list(event.recipients[:10]),
        "notification": event.notification_id,
    }


@describe.register
def _(event: Reordered) -> tuple[str, Fields]:
    return "info", {"next_hop": event.next_hop, "moved": event.moved, "seconds": round(event.seconds, 6)}


@describe.register
def _(event: Suppressed) -> tuple[str, Fields]:
    return "warning", {"id": event.message_id, "from": event.sender or "<>", "recipients": list(event.recipients[:10])}


@describe.register
def _(event: PluginFailed) -> tuple[str, Fields]:
    call = event.call
    return "error", {
        "id": event.message_id,
        "plugin": call.plugin,
        "hook": call.hook,
        "part": call.part,
        "failure": call.failure,
        "detail": call.detail,
        "applied": event.applied,
        "elapsed_ms": round(call.elapsed_ms, 1),
    }


@describe.register
def _(event: WorkerDied) -> tuple[str, Fields]:
    during = event.during
    return "error", {
        "id": event.message_id,
        "pid": event.pid,
        "reason": event.reason,
        "plugin": during.plugin if during else "",
        "hook": during.hook if during else "",
        "part": (during.part or "message") if during else "",
    }


@describe.register
def _(event: Suspect) -> tuple[str, Fields]:
    return "error", {"id": event.message_id, "crashes": event.crashes, "reason": event.reason}


@describe.register
def _(event: LoadExceeded) -> tuple[str, Fields]:
    return "error", {"waiting": event.waiting, "threshold": event.threshold}


@describe.register
def _(event: ScanServerLost) -> tuple[str, Fields]:
    return "error", {
        "server": event.server,
        "code": event.code,
        "reason": event.reason,
        "next_try_s": event.next_try_s,
    }


@describe.register
def _(event: ScanServerBack) -> tuple[str, Fields]:
    return "info", {"server": event.server}


@describe.register
def _(event: Started) -> tuple[str, Fields]:
    fields: Fields = {"listen": list(event.listen), "recovered": event.recovered}
    return ("warning", {**fields, "after_crash": True}) if event.after_crash else ("info", fields)


@describe.register
def _(event: Stopped) -> tuple[str, Fields]:
    return "info", {}


@describe.register
def _(event: ConfigurationChanged) -> tuple[str, Fields]:
    return "info", {"source": event.source, "reason": event.reason, "listen": list(event.listen)}


@describe.register
def _(event: ConfigurationRefused) -> tuple[str, Fields]:
    return "error", {"source": event.source, "reason": event.reason, "problems": list(event.problems)}


@describe.register
def _(event: GatewayDied) -> tuple[str, Fields]:
    return "error", {"pid": event.pid, "reason": event.reason, "where": event.where, "again_s": event.again_s}


@describe.register
def _(event: ResourceLow) -> tuple[str, Fields]:
    level = "error" if event.refusing else "warning"
    free = round(event.free_percent, 1)
    fields: Fields = {"resource": event.resource, "place": event.place, "free_percent": free}
    return level, fields | {"refusing": event.refusing}


@describe.register
def _(event: ResourceRecovered) -> tuple[str, Fields]:
    return "info", {"resource": event.resource, "place": event.place, "free_percent": round(event.free_percent, 1)}


@describe.register
def _(event: FileAccessFailed) -> tuple[str, Fields]:
    return "error", {"path": event.path, "problem": event.problem}


@describe.register
def _(event: SwitchThrown) -> tuple[str, Fields]:
    return "warning", {"switch": event.switch, "on": event.on, "by": event.by}


@describe.register
def _(event: Custom) -> tuple[str, Fields]:
    return "info", {"plugin": event.plugin, "rule": event.rule, **dict(event.fields)}
