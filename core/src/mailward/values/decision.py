"""Decisions and verdicts."""

from __future__ import annotations

from attrs import frozen

from mailward.values.action import Action, Deliver, MessageAction
from mailward.values.edit import Edit, Splice
from mailward.values.envelope import Recipient
from mailward.values.finding import Finding, Kind


@frozen
class Decision:
    """What one plugin wants done: an action, edits, and the findings behind them."""

    action: Action = Deliver()
    edits: tuple[Edit, ...] = ()
    findings: tuple[Finding, ...] = ()
    plugin: str = ""
    reason: str = ""
    shadow: bool = False


@frozen
class Call:
    """The record of one hook call: who, which hook, on which part, how long, and what went wrong.

    ``failure`` is empty, or ``raised``, ``deadline``, ``type`` or ``died`` (the scan process ended).
    """

    plugin: str
    hook: str
    elapsed_ms: float
    part: str = ""
    failure: str = ""
    detail: str = ""


@frozen
class Copy:
    """The verdict for the recipients of one policy.

    ``decided_by`` is the decision that gave ``action`` its rank; ``moot`` are the decisions of lower
    rank and those of shadow plugins; ``splices`` are the edits, resolved against the original bytes.
    """

    policy: str
    recipients: tuple[Recipient, ...]
    action: MessageAction
    decided_by: Decision | None = None
    findings: tuple[Finding, ...] = ()
    splices: tuple[Splice, ...] = ()
    moot: tuple[Decision, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing but notes was found, everything was checked, and nothing is edited."""
        return not any(f.kind is not Kind.NOTE and not f.shadow for f in self.findings) and not self.splices


@frozen
class Verdict:
    """What is to happen to a message: one copy for each distinct policy of its recipients."""

    id: str
    copies: tuple[Copy, ...]
    calls: tuple[Call, ...] = ()
    elapsed_ms: float = 0.0
    parts: tuple[str, ...] = ()
