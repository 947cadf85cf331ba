"""The content plugin: rules asked, hits made findings; decisions on what the core found; marks by direction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mailward import (
    About,
    Action,
    Decision,
    Deliver,
    Envelope,
    Finding,
    Message,
    MessageInfo,
    Placeholder,
    Plugin,
    Recipient,
    Repair,
    Reply,
    Scan,
    Sender,
    Session,
    Template,
    edits_of,
    hookimpl,
    printable,
)
from mailward_content.build import filter_of, rules_of, size_of, unopened_of
from mailward_content.direction import Direction, Network, direction_of, network
from mailward_content.marks import Marks
from mailward_content.rule import Hit, Rule
from mailward_content.settings import ContentSettings
from mailward_content.size import Size
from mailward_content.unopened import Unopened
from mailward_content.words import Told, filled


class ContentFilter(Plugin):
    """Judges messages by what they hold, without opening it a second time (SAV-BLK, SMS-CONT, SMS-RULE)."""

    Settings = ContentSettings
    timeout_s: ClassVar[float] = 60.0
    version: ClassVar[str] = "0.1.0"

    settings: ContentSettings
    rules: tuple[Rule, ...]
    size: Size | None
    unopened: Unopened
    marks: dict[Direction, Marks]
    inside: tuple[Network, ...]

    def setup(self) -> None:
        """Make the rules that are switched on; hooks that are left without work are not called."""
        chosen = self.settings
        self.rules = tuple(rules_of(chosen))
        self.size = size_of(chosen) if chosen.block_size else None
        self.unopened = unopened_of(chosen)
        marks = {way: getattr(chosen, way) for way in Direction}
        self.marks = {way: one for way, one in marks.items() if one.is_set}
        self.inside = tuple(map(network, chosen.inside))
        self.by_locality = bool(self.marks)
        if filter_of(chosen).is_set and isinstance(chosen.on_filtered, Repair):
            self.context.log.warning("on_filtered = repair lets what is filtered through as it is; write deliver")
        work = {
            "mail_from": self.size is not None and self.context.sole,
            "rcpt_to": self.size is not None and not self.context.sole,
            "data": self.size is not None and self.context.sole,
            "scan_message": bool(self.rules),
            "disposition": bool(self.marks) or self.unopened.is_set,
        }
        self.idle = frozenset(hook for hook, busy in work.items() if not busy)

    @hookimpl(quick=True)
    def mail_from(self, session: Session, sender: Sender) -> Reply | None:
        """Refuse a message that is announced as too large (RFC 1870), where that holds for every recipient."""
        return self.size.announced(sender) if self.size else None

    @hookimpl(quick=True)
    def rcpt_to(self, session: Session, sender: Sender, recipient: Recipient) -> Reply | None:
        """The same for one recipient, where policies have sizes of their own."""
        return self.size.announced(sender) if self.size else None

    @hookimpl(quick=True)
    def data(self, session: Session, message: MessageInfo) -> Reply | None:
        """Refuse a message that is too large before it is opened, where that holds for every recipient."""
        return self.size.refusal(message.size_bytes) if self.size else None

    @hookimpl
    def scan_message(self, message: Message, scan: Scan) -> Iterator[Finding]:
        """A finding for each hit of each rule, with the action of the settings."""
        for rule in self.rules:
            for hit in rule.look(message, scan):
                action = self._with_text(hit, message, scan)
                yield self.finding(hit.rule, hit.part, kind=hit.kind, name=hit.name, detail=hit.detail, action=action)

    @hookimpl
    def disposition(self, message: Message, findings: tuple[Finding, ...], scan: Scan) -> Iterator[Decision]:
        """Decide on what was encrypted, over a limit or unprocessable, and mark the mail of this direction."""
        if findings:
            for finding, hit in self.unopened.look(message, findings):
                action = self._with_text(hit, message, scan) or Deliver()
                reason = f"{hit.rule}: {hit.name or hit.detail}"
                yield Decision(action, edits_of(action, hit.part), (finding,), reason=reason)
        if self.marks:
            yield from self._mark(message, scan.envelope)

    def _mark(self, message: Message, envelope: Envelope) -> Iterator[Decision]:
        way = direction_of(envelope, self.inside)
        if way in self.marks:
            names = {
                "direction": str(way),
                "hostname": self.context.hostname,
                "sender": printable(str(envelope.sender.address)),
            }
            edits = tuple(self.marks[way].edits(message, names))
            yield Decision(Deliver(), edits, reason=f"marks of {way} mail")

    def _with_text(self, hit: Hit, message: Message, scan: Scan) -> Action | None:
        """The action of the hit, the text of its placeholder filled in."""
        if not isinstance(hit.action, Placeholder):
            return hit.action
        template = Template.of(hit.action.text) if hit.action.text else hit.text
        part = message.part(hit.part) if hit.part else None
        about = About(message, part, scan, self.context.hostname, self.context.clock.time())
        return Placeholder(text=filled(template, Told(hit, about)))
