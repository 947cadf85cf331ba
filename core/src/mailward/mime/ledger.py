"""The ledger of a message: what its unfolding has cost so far, and what was noticed on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mailward.mime.limits import MIB, Limits
from mailward.mime.source import Source, Spill
from mailward.values.finding import Finding, Kind

KEPT_PART_BYTES = 2 * MIB
"""Decoded content up to this size is kept with its part, as long as the message's share of memory lasts."""
KEPT_TOTAL_BYTES = 8 * MIB


class Ledger:
    """Counts against `Limits` and collects findings, for all parts of one message.

    ``junk``: the paths of parts in base64 of which decoding alone has shown that they may be read otherwise.
    """

    __slots__ = (
        "_by_part",
        "_kept",
        "_seen",
        "_spills",
        "_started",
        "decoded_bytes",
        "findings",
        "headers",
        "junk",
        "limits",
        "parts",
        "spent_s",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.findings: list[Finding] = []
        self.junk: set[str] = set()
        self.parts = 0
        self.headers = 0
        self.decoded_bytes = 0
        self.spent_s = 0.0
        self._started = 0.0
        self._by_part: dict[str, list[Finding]] = {}
        self._kept = 0
        self._seen: set[tuple[str, str, str]] = set()
        self._spills: list[Spill] = []

    def note(self, kind: Kind, rule: str, path: str, name: str = "", detail: str = "") -> Finding:
        """Record a finding of the core; the same rule and name is recorded once a part."""
        finding = Finding(kind, "core", rule, path, name, detail=detail)
        key = (rule, path, name)
        if key not in self._seen:
            self._seen.add(key)
            self.findings.append(finding)
            self.tell(finding)
        return finding

    def tell(self, finding: Finding) -> None:
        """Remember a finding, the core's or a reader's, under the part that it is about."""
        self._by_part.setdefault(finding.part, []).append(finding)

    def about(self, path: str) -> tuple[Finding, ...]:
        """What is known so far about the part of this path."""
        return tuple(self._by_part.get(path, ()))

    def limit(self, name: str, path: str) -> Finding:
        """Record that the limit ``name`` was reached at a part."""
        value = getattr(self.limits, name)
        return self.note(Kind.LIMIT, "limit", path, name, f"{name} = {value} reached: the rest was not looked at")

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Time spent inside counts against ``max_time_s``."""
        outermost = not self._started
        if outermost:
            self._started = time.monotonic()
        try:
            yield
        finally:
            if outermost:
                self.spent_s += time.monotonic() - self._started
                self._started = 0.0

    def out_of_time(self) -> bool:
        """Whether ``max_time_s`` is used up."""
        running = time.monotonic() - self._started if self._started else 0.0
        return self.spent_s + running > self.limits.max_time_s

    def keep(self, size_bytes: int) -> bool:
        """Whether content of this size may stay in memory; if so it is counted."""
        if size_bytes > KEPT_PART_BYTES or self._kept + size_bytes > KEPT_TOTAL_BYTES:
            return False
        self._kept += size_bytes
        return True

    @contextmanager
    def spill(self, most_bytes: int) -> Iterator[Spill]:
        """A spill file with room for ``most_bytes`` that nobody else writes to meanwhile."""
        spill = next((one for one in self._spills if not one.busy and one.free_bytes >= most_bytes), None)
        if spill is None:
            spill = Spill(max(most_bytes, self.limits.max_total_bytes))
            self._spills.append(spill)
        spill.busy = True
        try:
            yield spill
        finally:
            spill.busy = False

    def spilled(self, source: Source) -> bool:
        """Whether a source lies in a spill file."""
        return not source.outer and not isinstance(source.data, bytes)

    def close(self) -> None:
        """Give the spill files back."""
        for spill in self._spills:
            spill.close()
        self._spills.clear()
