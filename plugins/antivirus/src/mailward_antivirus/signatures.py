"""The built-in engine: the EICAR test file (KAV-TST-02) and lists of digests."""

from __future__ import annotations

from attrs import frozen

from mailward import Part
from mailward_antivirus import eicar
from mailward_antivirus.hashlist import HashList
from mailward_antivirus.report import CLEAR, Report, ScanStatus


@frozen
class Signatures:
    """Knows viruses by their digests. Looks at no more of a part than it must."""

    hashes: HashList
    eicar: bool = True
    name: str = "signatures"
    at_once: int = 1

    async def scan(self, part: Part) -> Report:
        """Judge the content of ``part`` (see `Engine`)."""
        if self.eicar:
            report = eicar.judge(part.head(eicar.MAX_SIZE + 1))
            if report.status is not ScanStatus.CLEAR:
                return report
        name = self.hashes.find(part)
        return Report(ScanStatus.INFECTED, name) if name else CLEAR
