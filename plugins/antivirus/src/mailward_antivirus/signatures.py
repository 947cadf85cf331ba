"""The built-in engine: the EICAR test file (KAV-TST-02), lists of digests, byte patterns."""

from __future__ import annotations

from attrs import frozen

from mailward import Part
from mailward_antivirus import eicar
from mailward_antivirus.engine import Engine, Surroundings
from mailward_antivirus.patterns import TooManyHits
from mailward_antivirus.patterns.executable import HEAD_BYTES, layout_of
from mailward_antivirus.patterns.place import Surface
from mailward_antivirus.report import CLEAR, Fault, Report, ScanStatus, unchecked
from mailward_antivirus.signature_files import SUFFIXES, SignatureSet

WINDOW_BYTES = 4 * 1024 * 1024


@frozen
class Signatures:
    """Knows viruses by digests and by pieces of them. Looks at no more of a part than it must."""

    known: SignatureSet
    eicar: bool = True
    name: str = "signatures"
    at_once: int = 1

    async def version(self) -> str:
        """Empty without byte patterns: then looking is cheaper than finding out what was seen before."""
        return self.known.digest and f"{self.known.digest} eicar={self.eicar}"

    async def scan(self, part: Part) -> Report:
        """Judge the content of ``part`` (see `Engine`)."""
        if self.eicar:
            report = eicar.judge(part.head(eicar.MAX_SIZE + 1))
            if report.status is not ScanStatus.CLEAR:
                return report
        name = self.known.hashes.find(part)
        if name:
            return Report(ScanStatus.INFECTED, name)
        return self._by_pattern(part) if len(self.known.patterns) else CLEAR

    def close(self) -> None:
        """Nothing is kept open."""

    def _by_pattern(self, part: Part) -> Report:
        surface = Surface(part.size, lambda: part.detected_type, lambda: layout_of(part.head(HEAD_BYTES)))
        try:
            found = self.known.patterns.find(part.stream(WINDOW_BYTES), surface)
        except TooManyHits as error:
            return unchecked(Fault.LIMIT, f"not checked to its end: {error}")
        return Report(ScanStatus.INFECTED, found.name, f"at byte {found.end}") if found else CLEAR


def make(surroundings: Surroundings) -> tuple[Engine, ...]:
    """The engine for ``antivirus.signatures`` and the signatures of the definitions. ValueError: a file is bad."""
    settings = surroundings.settings
    own = tuple(surroundings.context.resolve_path(path) for path in settings.signatures)
    known = SignatureSet.load((*own, *surroundings.definitions.files(*SUFFIXES)))
    return (Signatures(known, settings.eicar),)
