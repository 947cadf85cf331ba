"""The antivirus plugin: engines asked, reports made findings, repairs carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from mailward import (
    About,
    Action,
    Check,
    Decision,
    Finding,
    Kind,
    Message,
    Part,
    Place,
    Plugin,
    Repair,
    ReplaceContent,
    Scan,
    edits_of,
    hookimpl,
    printable,
)
from mailward_antivirus.aftermath import Aftermath
from mailward_antivirus.clamd_address import ClamdAddress
from mailward_antivirus.inspection import checks
from mailward_antivirus.remedy import KINDS, at_root, remedy, unrepaired, with_text
from mailward_antivirus.repairing import Workshop
from mailward_antivirus.report import ScanStatus
from mailward_antivirus.scanning import Hit, scan_all
from mailward_antivirus.selection import Selection
from mailward_antivirus.settings import AntivirusSettings
from mailward_antivirus.statuses import telling
from mailward_antivirus.supply import Supply
from mailward_antivirus.words import Told

if TYPE_CHECKING:
    import click

_TO_REPAIR = (Kind.INFECTED, Kind.SUSPICIOUS)


class Antivirus(Plugin):
    """Scans every part for viruses (SAV-AV, SMS-AV-02, KAV-SCN).

    Looks at the message as a whole, so that a content which it holds twice is scanned once.
    """

    Settings = AntivirusSettings
    timeout_s: ClassVar[float] = 60.0
    version: ClassVar[str] = "0.1.0"

    settings: AntivirusSettings
    supply: Supply

    @classmethod
    def commands(cls) -> Sequence[click.Command]:
        """``mailward definitions``."""
        from mailward_antivirus.command_line import definitions

        return (definitions,)

    def setup(self) -> None:
        """Load the signatures and make the engines ready; the gateway scans nothing, so it has none."""
        self._selection = Selection.of(self.settings)
        self.supply = Supply(self.settings, self.context)
        self._aftermath = Aftermath(self.settings, self.context)
        self._forwarder = None if self.context.place is Place.SCAN else self._aftermath.forwarder()
        if self.context.place is not Place.GATEWAY:
            self.supply.load()
        if self.context.place is Place.SCAN:
            self.supply.prepare()

    @property
    def needs_network(self) -> bool:
        """Whether an engine speaks to another host, or by TCP to this one: the process needs the network then."""
        return bool(self.settings.icap) or any(ClamdAddress.parse(text).host for text in self.settings.clamd)

    @hookimpl
    def reload(self) -> None:
        """Read signatures and definitions again; where one is bad, the old ones stay."""
        if self.context.place is not Place.GATEWAY:
            self.supply.load()

    @hookimpl
    async def start(self) -> None:
        """Begin to send what waits for the central quarantine; tell where nothing can be called clean."""
        if self._forwarder is not None:
            self._forwarder.start()
        if self.supply.problem or self.supply.trouble:
            self._aftermath.alerts.tell("definitions", self.supply.problem or self.supply.trouble)

    @hookimpl
    async def stop(self) -> None:
        """End the connections that engines keep open."""
        if self._forwarder is not None:
            await self._forwarder.stop()
        self.supply.equipment.close()

    @hookimpl
    async def check(self) -> AsyncIterator[Check]:
        """Whether the scanners answer, and what is known without them."""
        async for row in checks(self.supply):
            yield row

    @hookimpl
    async def scan_message(self, message: Message, scan: Scan) -> list[Finding]:
        """One finding for each part and engine that is not clear, but for what a filter took out (KAV-SCN-06)."""
        equipment = self.supply.refresh()
        if self.supply.problem or self.supply.trouble:
            self._aftermath.alerts.tell("definitions", self.supply.problem or self.supply.trouble)
        filtered = scan.filtered
        parts = (part for part in message.walk() if part.path not in filtered)
        hits = await scan_all(equipment.engines, parts, self._selection, self.supply.cache)
        found = [finding for hit in hits for finding in self._findings(hit, message, scan)] if hits else []
        if self.supply.problem:
            action = self.settings.on_unavailable
            detail = self.supply.problem
            found.append(self.finding("definitions", message.root, kind=Kind.UNCHECKED, detail=detail, action=action))
        return found

    @hookimpl
    async def disposition(self, message: Message, findings: tuple[Finding, ...], scan: Scan) -> list[Decision]:
        """Put repaired content in the place of what `scan_message` found repairable, then decide on the whole."""
        if not telling(findings, self.name):
            return []
        decided = [
            await self._repair(finding, message, scan)
            for finding in findings
            if finding.plugin == self.name and finding.kind in _TO_REPAIR and finding.action is None
        ]
        return [*decided, *self._aftermath.decide(message, findings, decided, scan)]

    @property
    def _workshop(self) -> Workshop:
        return Workshop(self.supply.equipment.engines, self.supply.equipment.repairers)

    def _findings(self, hit: Hit, message: Message, scan: Scan) -> Iterator[Finding]:
        report, part = hit.report, hit.part
        for trait in report.traits:
            yield self.finding(
                hit.engine, part, kind=Kind.NOTE, name=trait.name, score=trait.score, detail=trait.evidence
            )
        if report.status is ScanStatus.CLEAR:
            return
        kind = KINDS[report.status]
        action: Action = remedy(
            self.settings, report, part, can_repair=kind in _TO_REPAIR and self._workshop.may_repair(part, report)
        )
        detail = report.detail
        if kind is Kind.INFECTED and self.settings.mass_mailers:
            mask = self.supply.equipment.mass_mailers.which(report.name)
            if mask is not None:
                file = printable(part.filename) or "no name"
                action, detail = at_root(self.settings.on_mass_mailer, part), f"mass mailer: {mask}, file: {file}"
        # A repair needs the content, which no finding carries: `disposition` decides it.
        told = self._told(message, part, scan, kind, report.name)
        given = None if isinstance(action, Repair) else with_text(action, self.settings, told)
        yield self.finding(
            hit.engine, part, kind=kind, name=report.name, score=report.score, detail=detail, action=given
        )

    def _told(self, message: Message, part: Part, scan: Scan, kind: Kind, name: str) -> Told:
        return Told(About(message, part, scan, self.context.hostname, self.context.clock.time()), kind, name)

    async def _repair(self, finding: Finding, message: Message, scan: Scan) -> Decision:
        """The decision for one repairable part; where the repair comes to nothing, the next action of the chain."""
        part = message.part(finding.part)
        treatment = await self._workshop.repair(part, finding.kind, finding.rule, finding.name)
        if treatment.content is not None:
            edit = ReplaceContent(part.path, treatment.content)
            return Decision(Repair(), (edit,), (finding,), reason=f"{finding.name} repaired: {treatment.detail}")
        told = self._told(message, part, scan, finding.kind, finding.name)
        action = with_text(at_root(unrepaired(self.settings, part), part), self.settings, told)
        reason = f"{finding.name} could not be repaired: {treatment.detail}".removesuffix(": ")
        return Decision(action, edits_of(action, part.path), (finding,), reason=reason)
