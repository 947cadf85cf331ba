"""The antivirus plugin: engines asked, reports made findings, repairs carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

from mailward import Check, Decision, Finding, Kind, Message, Part, Plugin, Repair, ReplaceContent, Scan, hookimpl
from mailward_antivirus.clamd import Clamd, ClamdAddress
from mailward_antivirus.hashlist import HashList
from mailward_antivirus.remedy import KINDS, remedy, with_text
from mailward_antivirus.report import Engine
from mailward_antivirus.scanning import Hit, scan_all
from mailward_antivirus.settings import AntivirusSettings
from mailward_antivirus.signatures import Signatures


class Antivirus(Plugin):
    """Scans every part for viruses (SAV-AV, SMS-AV-02, KAV-SCN).

    Looks at the message as a whole, so that a content which it holds twice is scanned once.
    """

    Settings = AntivirusSettings
    timeout_s: ClassVar[float] = 60.0
    version: ClassVar[str] = "0.1.0"

    settings: AntivirusSettings
    engines: tuple[Engine, ...]

    def setup(self) -> None:
        """Load the signatures and make the engines ready."""
        self._equip()

    @hookimpl
    def reload(self) -> None:
        """Read the hash lists again; where one is bad, the old ones stay."""
        self._equip()

    @hookimpl
    async def check(self) -> AsyncIterator[Check]:
        """Whether clamd answers, and what is known without it."""
        known = 0
        for engine in self.engines:
            if isinstance(engine, Clamd):
                up = await engine.answers_ping()
                detail = f"clamd at {engine.address} {'answers' if up else 'does not answer'}"
                yield Check("clamd", up, detail, "start clamd, or correct antivirus.clamd; until then mail is deferred")
            elif isinstance(engine, Signatures):
                known = len(engine.hashes)
        detail = f"{known} signatures{' and the EICAR test file' if self.settings.eicar else ''}"
        enough = bool(known or self.settings.clamd)
        advice = "name hash lists in antivirus.signatures, or a scanner in antivirus.clamd"
        yield Check("signatures", enough, detail, advice, warning=True)

    @hookimpl
    async def scan_message(self, message: Message, scan: Scan) -> list[Finding]:
        """One finding for each part and engine that is not clear."""
        return [self._finding(hit) for hit in await scan_all(self.engines, message.walk())]

    @hookimpl
    async def disposition(self, message: Message, findings: tuple[Finding, ...], scan: Scan) -> list[Decision]:
        """Put repaired content in the place of what `scan_message` found repairable (SAV-AV-04)."""
        wanted = [f for f in findings if f.plugin == self.name and f.kind is Kind.INFECTED and f.action is None]
        if not wanted:
            return []
        parts = {part.path: part for part in message.walk()}
        return [await self._repair(finding, parts[finding.part]) for finding in wanted]

    def _equip(self) -> None:
        paths = [self.context.resolve_path(path) for path in self.settings.signatures]
        engines: list[Engine] = [Signatures(HashList.load(paths), self.settings.eicar)]
        if self.settings.clamd:
            address = ClamdAddress.parse(self.settings.clamd).under(self.context.base)
            engines.append(Clamd(address, self.settings.clamd_timeout_s, self.settings.clamd_max_bytes))
        self.engines = tuple(engines)

    def _finding(self, hit: Hit) -> Finding:
        action = remedy(self.settings, hit.report, hit.part)
        return self.finding(
            hit.engine,
            hit.part,
            kind=KINDS[hit.report.status],
            name=hit.report.name,
            detail=hit.report.detail,
            # A repair needs the content, which no finding carries: `disposition` decides it.
            action=None
            if isinstance(action, Repair)
            else with_text(action, self.settings, hit.report, hit.part, self.context.hostname),
        )

    async def _repair(self, finding: Finding, part: Part) -> Decision:
        """The decision for one repairable part; without the content after all, what is left over is not delivered."""
        engine = next(engine for engine in self.engines if engine.name == finding.rule)
        repaired = (await engine.scan(part)).repaired
        if repaired is None:
            return Decision(self.settings.on_unremoved, (), (finding,), reason=f"{finding.name} could not be repaired")
        edit = ReplaceContent(part.path, repaired)
        return Decision(Repair(), (edit,), (finding,), reason=f"{finding.name} repaired")
