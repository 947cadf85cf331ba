"""What a connection reports: refusals, violations of the protocol, faults in its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailward.gateway.replies import Leave
from mailward.hooks.conversation import Fault, Recorder
from mailward.values.envelope import Sender, Session
from mailward.values.event import ProtocolViolation, Refused
from mailward.values.reply import Reply

if TYPE_CHECKING:
    from mailward.gateway.services import Services
    from mailward.gateway.transaction import Transaction


class Reporting:
    """The half of a connection that tells others of it."""

    services: Services
    client: Session
    transaction: Transaction | None
    recorder: Recorder | None

    def dismissal(self, reply: Reply, stage: str, rule: str) -> Leave:
        """What to raise so that the conversation ends with a reply of the core's own."""
        self.refused(stage, reply, "core", rule)
        return Leave(reply)

    def refused(
        self, stage: str, reply: Reply, plugin: str, rule: str, recipient: str = "", sender: Sender | None = None
    ) -> None:
        """Report a refusal."""
        if sender is None and self.transaction is not None:
            sender = self.transaction.sender
        self.services.engine.emit(
            Refused(
                session=self.client,
                stage=stage,
                reply=reply,
                plugin=plugin,
                rule=rule,
                sender=str(sender.address) if sender else "",
                recipient=recipient,
            )
        )
        self.fault(Fault.LOCAL)

    def violation(self, detail: str) -> None:
        """Report what an honest client does not do (SAV-ALR-11)."""
        self.services.count("protocol_violations")
        self.services.engine.emit(ProtocolViolation(session=self.client, detail=detail))
        self.fault(Fault.PROTOCOL, detail)

    def fault(self, kind: Fault, text: str = "") -> None:
        """Note a fault in the conversation's record, where there is one."""
        if self.recorder is not None:
            self.recorder.fault(kind, text)
