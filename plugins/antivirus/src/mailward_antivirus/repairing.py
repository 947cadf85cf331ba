"""Repair: what an engine or a repairer made of a part, scanned again before it takes the part's place (SAV-AV-04)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from attrs import frozen

from mailward import Kind, Message, Part, unpack_zip
from mailward_antivirus.engine import Engine, Repairer, Treatment
from mailward_antivirus.report import Report, ScanStatus
from mailward_antivirus.scanning import judged, scan_all

_STATUSES = {Kind.INFECTED: ScanStatus.INFECTED, Kind.SUSPICIOUS: ScanStatus.SUSPICIOUS}


@frozen
class Workshop:
    """Engines and repairers, for parts that were found bad."""

    engines: Sequence[Engine]
    repairers: Sequence[Repairer]

    def may_repair(self, part: Part, report: Report) -> bool:
        """Whether trying is worth it; nothing is opened. New content has to have a place to go to (SAV-AV-06)."""
        if not part.is_rewritable:
            return False
        return report.repaired is not None or any(repairer.accepts(part, report) for repairer in self.repairers)

    async def repair(self, part: Part, kind: Kind, rule: str, name: str) -> Treatment:
        """The content of ``part`` without what engine ``rule`` found in it as ``name``, or why there is none."""
        report = Report(_STATUSES[kind], name)
        reasons = []
        engine = next((engine for engine in self.engines if engine.name == rule), None)
        if engine is not None:
            again = await judged(engine, part)
            if again.repaired is not None:
                treatment = await self._proved(part, Treatment(again.repaired, again.detail), rule)
                if treatment.content is not None:
                    return treatment
                reasons.append(treatment.detail)
        for repairer in self.repairers:
            if repairer.accepts(part, report):
                treatment = await self._proved(part, await repairer.repair(part, report), repairer.name)
                if treatment.content is not None:
                    return treatment
                reasons.append(treatment.detail)
        return Treatment(None, "; ".join(reasons))

    async def _proved(self, part: Part, treatment: Treatment, name: str) -> Treatment:
        """The treatment, unless what it gives is not clear by every engine."""
        if treatment.content is None:
            return Treatment(None, f"{name}: {treatment.detail or 'cannot repair it'}")
        with Message.from_bytes(_carrier(part) + treatment.content) as message:
            for part in message.walk():
                # What was found in a member has to be looked for in the members of what came out.
                message.add_members(part, unpack_zip(part) or ())
            hits = await scan_all(self.engines, message.walk())
            bad = next((hit for hit in hits if hit.report.status is not ScanStatus.CLEAR), None)
        if bad is not None:
            found = bad.report.name or bad.report.detail
            return Treatment(None, f"{name}: after the repair {bad.engine} still finds {found}")
        return Treatment(treatment.content, f"{name}: {treatment.detail}".removesuffix(": "))


def _carrier(part: Part) -> bytes:
    """A header under which content is a part of the same name, without anything else of the original's."""
    name = quote(part.filename[:200], safe="")
    shown = f"Content-Disposition: attachment; filename*=UTF-8''{name}\r\n" if name else ""
    return (f"Content-Type: application/octet-stream\r\n{shown}Content-Transfer-Encoding: binary\r\n\r\n").encode(
        "ascii"
    )
