"""Scanning one message: every part by every engine, and what costs only once for each content."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import define, evolve, field, frozen

from mailward import Part, PartKind
from mailward_antivirus.cache import ScanCache
from mailward_antivirus.engine import Engine
from mailward_antivirus.report import Fault, Report, ScanStatus, unchecked
from mailward_antivirus.selection import Selection

SELECTION = "selection"
"""The rule of a finding about a part that is not scanned by choice."""


@frozen
class Hit:
    """What one engine said about one part."""

    engine: str
    part: Part
    report: Report


@define
class _Asked:
    """A part and what has been said about it so far."""

    part: Part
    hits: list[Hit] = field(factory=list)
    final: bool = False

    def note(self, engine: Engine, report: Report) -> None:
        if report.status is not ScanStatus.CLEAR or report.traits:
            self.hits.append(Hit(engine.name, self.part, report))
            self.final = self.final or report.final

    def settled(self) -> Iterator[Hit]:
        """What was said, a suspicion that an infection has overtaken being no more than its traits."""
        for hit in self.hits:
            if not self.final or hit.report.status is not ScanStatus.SUSPICIOUS:
                yield hit
            elif hit.report.traits:
                yield evolve(hit, report=evolve(hit.report, status=ScanStatus.CLEAR))


def scannable(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts with a content of their own: not those whose children are all that they are."""
    for part in parts:
        if not (part.kind in (PartKind.MULTIPART, PartKind.MESSAGE) and part.children):
            yield part


async def scan_all(
    engines: Sequence[Engine],
    parts: Iterable[Part],
    selection: Selection | None = None,
    cache: Callable[[], ScanCache | None] | None = None,
) -> list[Hit]:
    """What the engines have to say about ``parts``, in their order; nothing about what is clear.

    Once a part is known to be infected, the engines that follow are not asked about it. What is left
    out by choice is filtered, before any engine or cache sees it. ``cache`` is asked for only where an
    engine's answers may be kept.
    """
    asked = [_Asked(part) for part in scannable(parts)]
    if selection is not None and not selection.everything:
        for one in asked:
            if reason := selection.reason(one.part):
                one.hits.append(Hit(SELECTION, one.part, Report(ScanStatus.FILTERED, detail=reason)))
                one.final = True
    for engine in engines:
        waiting = [one for one in asked if not one.final]
        kept = await _Kept.of(engine, cache) if cache is not None and waiting else None
        if engine.at_once == 1:
            for one in waiting:
                one.note(engine, await _ask(engine, one.part, kept))
        else:
            await _side_by_side(engine, list(_by_content(waiting)), kept)
    return [hit for one in asked for hit in one.settled()]


@frozen
class _Kept:
    """The answers of one engine that are kept, for its present definitions."""

    cache: ScanCache
    engine: str
    version: str

    @classmethod
    async def of(cls, engine: Engine, cache: Callable[[], ScanCache | None]) -> _Kept | None:
        version = await engine.version()
        opened = cache() if version else None
        return cls(opened, engine.name, version) if opened is not None else None

    def key(self, part: Part) -> bytes:
        return self.cache.key(part.digest("sha256"), self.engine, self.version)


async def _ask(engine: Engine, part: Part, kept: _Kept | None) -> Report:
    if kept is None:
        return await judged(engine, part)
    key = kept.key(part)
    report = kept.cache.get(key)
    if report is None:
        report = await judged(engine, part)
        kept.cache.put(key, report)
    return report


async def judged(engine: Engine, part: Part) -> Report:
    """What ``engine`` says about ``part``; an engine that breaks on it has not checked it (KAV-SCN-08)."""
    try:
        return await engine.scan(part)
    except MemoryError:
        raise
    except Exception as error:  # the isolation boundary of engines
        return unchecked(Fault.CONTENT, f"the engine failed: {type(error).__name__}: {error}"[:300])


def _by_content(asked: Iterable[_Asked]) -> Iterator[list[_Asked]]:
    """The parts grouped by content, empty ones left out; only parts of one size are digested."""
    sizes: defaultdict[int, list[_Asked]] = defaultdict(list)
    for one in asked:
        sizes[one.part.size].append(one)
    sizes.pop(0, None)
    for same_size in sizes.values():
        if len(same_size) == 1:
            yield same_size
            continue
        groups: defaultdict[str, list[_Asked]] = defaultdict(list)
        for one in same_size:
            groups[one.part.digest("sha256")].append(one)
        yield from groups.values()


async def _side_by_side(engine: Engine, contents: Sequence[list[_Asked]], kept: _Kept | None) -> None:
    """Several contents at a time; once the scanner is found not well, the rest is not tried."""
    queue = iter(contents)
    unwell: Report | None = None

    async def work() -> None:
        nonlocal unwell
        for content in queue:
            report = unwell or await _ask(engine, content[0].part, kept)
            if report.fault is Fault.SCANNER:
                unwell = report
            for one in content:
                one.note(engine, report)

    if len(contents) < 2:
        await work()
        return
    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(engine.at_once, len(contents))):
            tasks.create_task(work())
