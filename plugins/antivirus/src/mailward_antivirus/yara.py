"""The YARA engine: rules compiled and matched by yara-x (extra ``yara``).

A rule that matches is an infection. Rules that only suspect say so by the tag ``suspicious`` or by
``meta: status = "suspicious"``. The name is that of the rule, or ``meta: name``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from mailward import Part
from mailward_antivirus.engine import Engine, Surroundings
from mailward_antivirus.report import CLEAR, Fault, Report, ScanStatus, unchecked

NAME = "yara"
SUFFIXES = (".yar", ".yara")
_SUSPICIOUS = "suspicious"
_OFFSETS = 3


@frozen(eq=False)
class Yara:
    """All rules in one pass. ``timeout_s`` is for one content (KAV-SCN-05)."""

    rules: Any
    scanner_type: Any
    timed_out: type[Exception]
    digest: str
    count: int
    max_bytes: int
    timeout_s: int
    name: str = NAME
    at_once: int = 1

    @classmethod
    def load(cls, paths: Iterable[Path], timeout_s: float, max_bytes: int) -> Yara:
        """Compile the rules of the files. ValueError names file, line and mistake, or says that yara-x is missing."""
        try:
            import yara_x
        except ImportError:
            raise ValueError("yara: rules need yara-x; install mailward-antivirus[yara]") from None
        compiler, state = yara_x.Compiler(), hashlib.sha256()
        compiler.enable_includes(False)
        for path in paths:
            try:
                text = path.read_text("utf-8")
                compiler.new_namespace(path.name)
                compiler.add_source(text, origin=path.name)
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"yara: {path} cannot be read: {error}") from error
            except yara_x.CompileError as error:
                raise ValueError(f"yara: {path} cannot be compiled: {error}") from error
            state.update(f"{path.name} {len(text)}\n{text}".encode())
        rules = compiler.build()
        count = sum(1 for _ in rules)
        seconds = max(1, round(timeout_s))
        return cls(rules, yara_x.Scanner, yara_x.TimeoutError, state.hexdigest(), count, max_bytes, seconds)

    async def version(self) -> str:
        """See `Engine`."""
        return f"{self.digest} max_bytes={self.max_bytes}"

    async def scan(self, part: Part) -> Report:
        """Judge the content of ``part`` (see `Engine`)."""
        if part.size > self.max_bytes:
            return unchecked(Fault.LIMIT, f"too large for the rules: {part.size} bytes, allowed: {self.max_bytes}")
        try:
            scanner = self.scanner_type(self.rules)  # it may not outlive this call: it belongs to the thread
            scanner.set_timeout(self.timeout_s)
            found = scanner.scan(part.content).matching_rules
        except self.timed_out:
            return unchecked(Fault.CONTENT, f"the rules came to no end within {self.timeout_s} s")
        return _report(found) if found else CLEAR

    def close(self) -> None:
        """Nothing is kept open."""


def _report(found: Sequence[Any]) -> Report:
    """The report for the rules that match: an infection before a suspicion, else the first."""
    worst = next((rule for rule in found if not _suspects(rule)), found[0])
    status = ScanStatus.SUSPICIOUS if _suspects(worst) else ScanStatus.INFECTED
    name = str(dict(worst.metadata).get("name", worst.identifier))
    offsets = [
        f"{pattern.identifier} at {match.offset}" for pattern in worst.patterns for match in pattern.matches[:1]
    ][:_OFFSETS]
    others = [rule.identifier for rule in found if rule is not worst]
    detail = ", ".join([f"rule of {worst.namespace}", *offsets, *([f"also {' '.join(others[:5])}"] if others else [])])
    return Report(status, name, detail)


def _suspects(rule: Any) -> bool:
    return _SUSPICIOUS in rule.tags or dict(rule.metadata).get("status") == _SUSPICIOUS


def make(surroundings: Surroundings) -> tuple[Engine, ...]:
    """The engine for ``antivirus.yara`` and the rules of the definitions. ValueError: a file is bad."""
    settings = surroundings.settings
    own = tuple(surroundings.context.resolve_path(path) for path in settings.yara)
    paths = (*own, *surroundings.definitions.files(*SUFFIXES))
    return (Yara.load(paths, settings.yara_timeout_s, settings.yara_max_bytes),) if paths else ()
