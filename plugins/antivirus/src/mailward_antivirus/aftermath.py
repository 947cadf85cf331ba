"""What follows once every part was looked at: blocking, copies, central quarantine, outbreak, words in the body.

The actions on a message run only here, after all its parts were processed (KAV-ACT-03).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from attrs import define, field

from mailward import (
    About,
    AppendText,
    Context,
    Decision,
    Defer,
    Delete,
    DeletePart,
    Deliver,
    Edit,
    Envelope,
    Finding,
    Kind,
    Message,
    Placeholder,
    ReplaceContent,
    ReplacePart,
    Scan,
    printable,
)
from mailward_antivirus.alerts import Alerts
from mailward_antivirus.central import Spool, SpoolFull, spool_folder
from mailward_antivirus.copies import Copies
from mailward_antivirus.forwarder import Forwarder, Target
from mailward_antivirus.outbreak import Window
from mailward_antivirus.rules import Central, Named
from mailward_antivirus.settings import AntivirusSettings
from mailward_antivirus.statuses import named, statuses, telling
from mailward_antivirus.words import Told, filled

_REPAIRED = "was repaired"
_REMOVED = "was removed"


@define(eq=False)
class Aftermath:
    """Built once for an instance; holds nothing of a message."""

    settings: AntivirusSettings
    context: Context
    alerts: Alerts = field(init=False)
    copies: Copies = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.alerts = Alerts(self.context)
        self.copies = Copies.of(self.settings, self.context)

    @property
    def spool(self) -> Spool:
        """What waits for the central quarantine."""
        return Spool(spool_folder(self.context), self.settings.central_backlog_bytes)

    def forwarder(self) -> Forwarder | None:
        """What sends it; None where nothing is to be sent."""
        settings = self.settings
        if settings.central is Central.NOTHING:
            return None
        if settings.central_to.startswith("https://"):
            ca_file = str(self.context.resolve_path(settings.central_ca)) if settings.central_ca != Path() else ""
            target = Target(settings.central_to, None, settings.central_token.reveal(), ca_file)
        else:
            target = Target("", self.context.resolve_path(settings.central_to))
        return Forwarder(self.spool, target, self.alerts)

    def decide(
        self, message: Message, findings: Sequence[Finding], decided: Sequence[Decision], scan: Scan
    ) -> Iterator[Decision]:
        """The decisions on the whole; ``decided`` are those on single parts."""
        envelope = scan.envelope
        done = dict(_done(findings, decided, self.context.name))
        repaired = [path for path, word in done.items() if word == _REPAIRED]
        concerned = telling(findings, self.context.name)
        found = statuses(concerned, repaired)
        # A decision that names a finding settles it: those of others keep the action that they have.
        own = [one for one in concerned if one.plugin == self.context.name]
        infected = [one for one in own if one.kind is Kind.INFECTED]
        yield from self._block(own, found)
        yield from self._tell(message, infected, done, scan)
        if self.context.shadow:
            return  # decisions are recorded as what would have been, and nothing else is done
        yield from self._keep(message, envelope, found, concerned)
        if infected:
            self._send(message, infected, repaired, envelope)
            self._count(infected[0], envelope)

    def _block(self, own: Sequence[Finding], found: Collection[Named]) -> Iterator[Decision]:
        """KAV-ACT-04: a message of a listed status is not delivered, whatever was done to its parts."""
        if listed := named(self.settings.block, found):
            yield Decision(self.settings.block_action, findings=tuple(own), reason=f"block: {', '.join(listed)}")

    def _keep(
        self, message: Message, envelope: Envelope, found: Collection[Named], concerned: Sequence[Finding]
    ) -> Iterator[Decision]:
        if not named(self.settings.keep_copies, found):
            return
        try:
            paths = self.copies.keep(message, envelope, found, concerned, self.context.clock.time())
        except OSError as error:
            detail = f"{error.strerror or error}"
            self.alerts.tell("copy_not_stored", f"a copy cannot be stored, mail is deferred: {detail}")
            yield Decision(Defer(), reason=f"copy cannot be stored: {detail}")
            return
        for path in paths:
            self.context.log.info("file quarantined", file=str(path), message_id=envelope.id)

    def _send(
        self, message: Message, infected: Sequence[Finding], repaired: Collection[str], envelope: Envelope
    ) -> None:
        """SMS-AV-05: one item for each virus; with ``unrepaired`` those parts alone that were not repaired."""
        if self.settings.central is Central.NOTHING:
            return
        for finding in infected:
            if self.settings.central is Central.ALL or finding.part not in repaired:
                part = message.part(finding.part)
                try:
                    self.spool.add(part, finding, envelope, self.context.clock.time())
                    self.context.log.info("file quarantined", file=printable(part.filename), message_id=envelope.id)
                except SpoolFull as error:
                    self.alerts.tell("central_quarantine_full", str(error))
                except OSError as error:
                    self.alerts.tell("central_quarantine_spool", f"cannot be written: {error.strerror or error}")

    def _count(self, finding: Finding, envelope: Envelope) -> None:
        if not self.settings.outbreak_recipients:
            return
        try:
            path = self.context.store() / "outbreak"
            window = Window(path, self.settings.outbreak_messages, self.settings.outbreak_window_s)
            outbreak = window.note(envelope.id, self.context.clock.time())
        except OSError as error:
            self.alerts.tell("outbreak_not_counted", f"{error.strerror or error}")
            return
        if outbreak is not None:
            self.alerts.emit(
                "outbreak",
                f"{outbreak.messages} infected messages within {outbreak.window_s:g} s",
                ("messages", str(outbreak.messages)),
                ("window_s", f"{outbreak.window_s:g}"),
                ("virus", finding.name),
                ("recipients", ", ".join(map(str, self.settings.outbreak_recipients))),
            )

    def _tell(
        self, message: Message, infected: Sequence[Finding], done: dict[str, str], scan: Scan
    ) -> Iterator[Decision]:
        """SMS-AV-03: words in the body about what was taken out or repaired."""
        if not self.settings.tell_in_body:
            return
        now = self.context.clock.time()
        texts = []
        for one in infected:
            if one.part in done and one.part != message.root.path:
                about = About(message, message.part(one.part), scan, self.context.hostname, now)
                told = Told(about, one.kind, one.name, str(one.action or ""), done[one.part])
                texts.append(filled(self.settings.body_text, told))
        if texts:
            edit = AppendText("\n".join(dict.fromkeys(text.rstrip("\n") for text in texts)) + "\n")
            yield Decision(Deliver(), (edit,), tuple(infected), reason="told in the body")


def _done(findings: Sequence[Finding], decided: Sequence[Decision], plugin: str) -> Iterator[tuple[str, str]]:
    """What becomes of each part that is repaired or taken out, by its path."""
    for one in findings:
        if one.plugin == plugin and isinstance(one.action, (Delete, Placeholder)):
            yield one.part, _REMOVED
    for decision in decided:
        for edit in decision.edits:
            if word := _word(edit):
                yield decision.findings[0].part, word


def _word(edit: Edit) -> str:
    match edit:
        case ReplaceContent():
            return _REPAIRED
        case DeletePart() | ReplacePart():
            return _REMOVED
    return ""
