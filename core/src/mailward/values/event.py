"""Events: what observers (log, notices, SIEM, statistics) are told. They can decide nothing."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from mailward.values.decision import Call, Verdict
from mailward.values.delivery import Result
from mailward.values.envelope import Envelope, Recipient, Session
from mailward.values.reply import Reply


@frozen(kw_only=True)
class Event:
    """Base of all events; ``at`` is Unix seconds (filled in by the core when 0)."""

    name: ClassVar[str] = "event"
    at: float = 0.0


@frozen(kw_only=True)
class Started(Event):
    """The program accepts connections. ``recovered`` counts messages found in the queue.

    ``after_crash``: the last run did not end in good order (SAV-ALR: Application Start after Crash).
    """

    name: ClassVar[str] = "started"
    listen: tuple[str, ...] = ()
    recovered: int = 0
    after_crash: bool = False


@frozen(kw_only=True)
class Stopped(Event):
    """The program ended in good order."""

    name: ClassVar[str] = "stopped"


@frozen(kw_only=True)
class ConfigurationChanged(Event):
    """A new configuration is in force since now; connections open under the old one end under it."""

    name: ClassVar[str] = "configuration_changed"
    source: str
    reason: str = ""
    listen: tuple[str, ...] = ()


@frozen(kw_only=True)
class ConfigurationRefused(Event):
    """A new configuration is wrong: nothing changed, the one before stays in force."""

    name: ClassVar[str] = "configuration_refused"
    source: str
    problems: tuple[str, ...]
    reason: str = ""


@frozen(kw_only=True)
class GatewayDied(Event):
    """A gateway process ended that should not have, or hung and was killed; it is started anew.

    ``where`` is the innermost place in Python code that a hanging one was in; ``again_s`` says when
    it is started again.
    """

    name: ClassVar[str] = "gateway_died"
    pid: int
    reason: str
    where: str = ""
    again_s: float = 0.0


@frozen(kw_only=True)
class ResourceLow(Event):
    """Disk, memory or descriptors run out (SAV-ALR: Low Disk Space, Low Memory Threshold Exceeded).

    ``resource`` is ``disk``, ``memory`` or ``descriptors``; ``place`` names the folder and what it is
    for, or the process; ``refusing`` says that mail is answered 4xx until there is more.
    """

    name: ClassVar[str] = "resource_low"
    resource: str
    place: str = ""
    free_percent: float = 0.0
    refusing: bool = False


@frozen(kw_only=True)
class ResourceRecovered(Event):
    """There is enough again of what `ResourceLow` told of."""

    name: ClassVar[str] = "resource_recovered"
    resource: str
    place: str = ""
    free_percent: float = 0.0


@frozen(kw_only=True)
class FileAccessFailed(Event):
    """A file or folder that the program needs cannot be read or written (SAV-ALR: File Access Error)."""

    name: ClassVar[str] = "file_access_failed"
    path: str
    problem: str


@frozen(kw_only=True)
class SwitchThrown(Event):
    """An operator switched a part of the program off or on (KAV-MGT-01); ``by`` is how he told it."""

    name: ClassVar[str] = "switch_thrown"
    switch: str
    on: bool
    by: str = ""


@frozen(kw_only=True)
class Refused(Event):
    """A connection, command or recipient was refused at SMTP time (``stage`` is the hook's name)."""

    name: ClassVar[str] = "refused"
    session: Session
    stage: str
    reply: Reply
    plugin: str = "core"
    rule: str = ""
    sender: str = ""
    recipient: str = ""


@frozen(kw_only=True)
class ProtocolViolation(Event):
    """A client did what SMTP forbids and an attack would do (SAV-ALR-11); ``detail`` says what."""

    name: ClassVar[str] = "protocol_violation"
    session: Session
    detail: str


@frozen(kw_only=True)
class LoginFailed(Event):
    """A client gave a wrong user name or password; ``failures`` counts those of its address since the last good one."""

    name: ClassVar[str] = "login_failed"
    session: Session
    user: str
    mechanism: str
    failures: int


@frozen(kw_only=True)
class Judged(Event):
    """A message has its verdict: the one record that log, report and SIEM share."""

    name: ClassVar[str] = "judged"
    envelope: Envelope
    verdict: Verdict
    reply: Reply
    size_bytes: int = 0
    receive_ms: float = 0.0
    scan_ms: float = 0.0
    commit_ms: float = 0.0


@frozen(kw_only=True)
class Delivered(Event):
    """One delivery attempt ended: results recipient by recipient.

    ``origin`` is the id under which the message came, where this is a copy of it or a notification about it
    (KAV-GRP-05); empty where it has that id itself.
    """

    name: ClassVar[str] = "delivered"
    message_id: str
    results: tuple[Result, ...]
    queue: str = "fast"
    attempts: int = 1
    origin: str = ""


@frozen(kw_only=True)
class Queued(Event):
    """A message was put in the slow, hold or quarantine queue; ``reason`` says why, ``origin`` is as in `Delivered`."""

    name: ClassVar[str] = "queued"
    message_id: str
    queue: str
    reason: str = ""
    recipients: tuple[Recipient, ...] = ()
    retry_at: float = 0.0
    origin: str = ""


@frozen(kw_only=True)
class Bounced(Event):
    """A delivery status notification was queued for the sender (or suppressed: null sender).

    ``origin`` is as in `Delivered`.
    """

    name: ClassVar[str] = "bounced"
    message_id: str
    to: str
    recipients: tuple[str, ...]
    reason: str
    notification_id: str = ""
    origin: str = ""


@frozen(kw_only=True)
class Notified(Event):
    """A notification of ``delay`` or ``success`` (``kind``) was queued for the sender (RFC 3461).

    ``origin`` is as in `Delivered`.
    """

    name: ClassVar[str] = "notified"
    message_id: str
    kind: str
    to: str
    recipients: tuple[str, ...]
    notification_id: str
    origin: str = ""


@frozen(kw_only=True)
class Reordered(Event):
    """A next hop took mail: ``moved`` messages that waited for it went to the front of the slow queue (SAV-Q-03)."""

    name: ClassVar[str] = "reordered"
    next_hop: str
    moved: int
    seconds: float = 0.0


@frozen(kw_only=True)
class Suppressed(Event):
    """A message to the account that notices come from was dropped for these recipients (SAV-CON-03)."""

    name: ClassVar[str] = "suppressed"
    message_id: str
    sender: str
    recipients: tuple[str, ...]


@frozen(kw_only=True)
class PluginFailed(Event):
    """A hook raised, outlived its deadline or returned the wrong type; ``applied`` is its on_failure."""

    name: ClassVar[str] = "plugin_failed"
    call: Call
    applied: str
    message_id: str = ""


@frozen(kw_only=True)
class WorkerDied(Event):
    """A scan process ended that should not have; ``during`` names the hook call it was in, if any."""

    name: ClassVar[str] = "worker_died"
    pid: int
    reason: str
    during: Call | None = None
    message_id: str = ""


@frozen(kw_only=True)
class Suspect(Event):
    """A message goes to hold because its scan ended ``crashes`` scan processes (SAV-Q-04).

    ``reason`` says how the last one ended, and in which hook call.
    """

    name: ClassVar[str] = "suspect"
    message_id: str
    crashes: int
    reason: str


@frozen(kw_only=True)
class LoadExceeded(Event):
    """More messages wait for a scan process than the threshold allows (IMA-SRV-06, IMA-ALR-06)."""

    name: ClassVar[str] = "load_exceeded"
    waiting: int
    threshold: int


@frozen(kw_only=True)
class ScanServerLost(Event):
    """A scan server is not used for a while; ``code`` is that of IMA-LOG-03, ``next_try_s`` how long."""

    name: ClassVar[str] = "scan_server_lost"
    server: str
    code: int
    reason: str
    next_try_s: float = 0.0


@frozen(kw_only=True)
class ScanServerBack(Event):
    """A scan server that was lost judges again."""

    name: ClassVar[str] = "scan_server_back"
    server: str


@frozen(kw_only=True)
class Custom(Event):
    """An event of a plugin's own, emitted through its context."""

    name: ClassVar[str] = "custom"
    plugin: str
    rule: str
    fields: tuple[tuple[str, str], ...] = field(default=())
