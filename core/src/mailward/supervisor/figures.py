"""What the program says of itself: status, and statistics summed over processes."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from attrs import frozen

from mailward.gateway.link import Ask
from mailward.supervisor.child import Child
from mailward.supervisor.statistics import Stats
from mailward.values.switches import Switches

if TYPE_CHECKING:
    from mailward.supervisor.supervisor import Supervisor

_FRESH_S = 1.0
_QUEUES = ("incoming", "fast", "slow", "hold", "quarantine", "damaged")
_numbers = count(1)


@frozen
class ProcessStatus:
    """One gateway process: its id, part of the spool, age and memory (with the scan processes it started)."""

    pid: int
    slot: str
    leaving: bool
    uptime_s: float
    heard_s: float
    memory_bytes: int
    gauges: dict[str, float]


@frozen
class Status:
    """The program as it is now. ``queues`` counts what waits on disk, by queue."""

    version: str
    pid: int
    uptime_s: float
    config: str
    state: str
    listening: tuple[str, ...]
    switches: Switches
    short: tuple[str, ...]
    queues: dict[str, int]
    gauges: dict[str, float]
    processes: tuple[ProcessStatus, ...]
    memory_bytes: int
    plugins: dict[str, str]
    restarts: int
    reloads: int
    after_crash: bool


async def _ask(supervisor: Supervisor) -> list[tuple[Child, bool]]:
    """All processes, with figures just made, and whether they leave."""
    found = [(child, False) for child in supervisor.crew.living]
    found += [(child, True) for crew in supervisor.leaving for child in crew.living]
    asked = []
    for child, _ in found:
        number = next(_numbers)
        asked.append(child.fresh(number, Ask(number), _FRESH_S))
    await asyncio.gather(*asked)
    return found


def _summed(beats: list[dict[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for beat in beats:
        for name, value in beat.items():
            before = total.get(name, 0.0)
            total[name] = max(before, value) if name.endswith("_max") else before + value
    return dict(sorted(total.items()))


async def stats(supervisor: Supervisor) -> Stats:
    """The statistics."""
    found = await _ask(supervisor)
    # Some may have ended while they were asked: each is counted here or in ``past``, never in both.
    crews = (supervisor.crew, *supervisor.leaving)
    counters = [child.beat.counters for crew in crews for child in crew.unburied]
    gauges = _summed([child.beat.gauges for child, _ in found])
    waiting = queues(Path(supervisor.plan.state), gauges)
    gauges |= {f"queue_{name}": float(number) for name, number in waiting.items()}
    total = _summed([supervisor.means.past, *counters])
    total |= {"restarts": float(supervisor.means.restarts), "reloads": float(supervisor.reloads)}
    return Stats(round(monotonic() - supervisor.started_at, 1), total, gauges)


async def status(supervisor: Supervisor) -> Status:
    """The status."""
    found = await _ask(supervisor)
    plan = supervisor.plan
    processes = tuple(_process(child, leaving) for child, leaving in found)
    gauges = _summed([one.gauges for one in processes])
    return Status(
        version=plan.version,
        pid=os.getpid(),
        uptime_s=round(monotonic() - supervisor.started_at, 1),
        config=plan.source,
        state=plan.state,
        listening=supervisor.listening,
        switches=supervisor.orders.switches,
        short=supervisor.orders.short,
        queues=queues(Path(plan.state), gauges),
        gauges=gauges,
        processes=processes,
        memory_bytes=_memory(os.getpid()) + sum(one.memory_bytes for one in processes),
        plugins=plan.plugins,
        restarts=supervisor.means.restarts,
        reloads=supervisor.reloads,
        after_crash=supervisor.folder.after_crash,
    )


def _process(child: Child, leaving: bool) -> ProcessStatus:
    return ProcessStatus(
        pid=child.pid,
        slot=child.slot,
        leaving=leaving,
        uptime_s=round(monotonic() - child.started_at, 1),
        heard_s=round(monotonic() - child.heard_at, 1),
        memory_bytes=sum(map(_memory, _family(child.pid))),
        gauges=child.beat.gauges,
    )


def _family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            found += [one for child in children for one in _family(int(child))]
    except OSError:
        return found  # it has just ended
    return found


def _memory(pid: int) -> int:
    """What a process takes of memory, its share of what it shares (PSS); 0 where that cannot be seen."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def queues(state: Path, gauges: dict[str, float]) -> dict[str, int]:
    """How many messages each queue has: files of all slots, and what the processes have in their journals."""
    counts = {name: int(gauges.get(f"journal_{name}", 0)) for name in _QUEUES}
    try:
        slots = list((state / "spool").iterdir())
    except OSError:
        return counts
    for slot in slots:
        for name in _QUEUES:
            try:
                counts[name] += len(os.listdir(slot / name))
            except OSError:
                continue  # no such slot or queue, or not there any more
    return counts
