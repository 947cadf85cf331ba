"""Scanning one message: every part by every engine, and what costs only once for each content."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from attrs import define, field, frozen

from mailward import Part, PartKind
from mailward_antivirus.report import Engine, Fault, Report, ScanStatus


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
        if report.status is not ScanStatus.CLEAR:
            self.hits.append(Hit(engine.name, self.part, report))
            self.final = self.final or report.final


def scannable(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts with a content of their own: not those whose children are all that they are."""
    for part in parts:
        if not (part.kind in (PartKind.MULTIPART, PartKind.MESSAGE) and part.children):
            yield part


async def scan_all(engines: Sequence[Engine], parts: Iterable[Part]) -> list[Hit]:
    """What the engines have to say about ``parts``, in their order; nothing about what is clear.

    Once a part is known to be infected, the engines that follow are not asked about it.
    """
    asked = [_Asked(part) for part in scannable(parts)]
    for engine in engines:
        waiting = [one for one in asked if not one.final]
        if engine.at_once == 1:
            for one in waiting:
                one.note(engine, await engine.scan(one.part))
        else:
            await _side_by_side(engine, list(_by_content(waiting)))
    return [hit for one in asked for hit in one.hits]


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


async def _side_by_side(engine: Engine, contents: Sequence[list[_Asked]]) -> None:
    """Several contents at a time; once the scanner is found not well, the rest is not tried."""
    queue = iter(contents)
    unwell: Report | None = None

    async def work() -> None:
        nonlocal unwell
        for content in queue:
            report = unwell or await engine.scan(content[0].part)
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
