"""Looks at disk and memory: tells when they run out, and has mail answered 4xx before they are gone."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mailward.gateway.levels import Level, level_of
from mailward.gateway.link import Levels

if TYPE_CHECKING:
    from mailward.supervisor.supervisor import Supervisor

DISK = "disk"
MEMORY = "memory"
_PROC = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


class Health:
    """Remembers the levels, so that each change is told once."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._levels: dict[tuple[str, str], Level] = {}
        self._faulty: set[str] = set()

    def look(self) -> None:
        """Look once; orders change where something is short, or is short no more."""
        plan = self._supervisor.plan
        for use, folder in folders(plan.state, plan.temp).items():
            free_percent = self._free(folder)
            if free_percent is not None:
                self._judge(DISK, f"{use}: {folder}", free_percent, plan.disk)
        self._judge(MEMORY, "memory", free_memory_percent(), plan.memory)
        self._look_for_damage(Path(plan.state))
        if not self._supervisor.folder.is_in_place:
            self._tell_fault(plan.state, "was removed or replaced while the program runs; stop it and start it again")
        short = tuple(sorted({name for (name, _), level in self._levels.items() if level is Level.SHORT}))
        if short != self._supervisor.orders.short:
            self._supervisor.orders.short = short
            self._supervisor.throw()

    def _judge(self, resource: str, place: str, free_percent: float, levels: Levels) -> None:
        before = self._levels.get((resource, place), Level.ENOUGH)
        level = level_of(free_percent, before, levels)
        self._levels[resource, place] = level
        if level is before:
            return
        name = "resource_recovered" if level is Level.ENOUGH else "resource_low"
        more = {} if level is Level.ENOUGH else {"refusing": level is Level.SHORT}
        self._supervisor.tell(name, resource=resource, place=place, free_percent=free_percent, **more)

    def _look_for_damage(self, state: Path) -> None:
        """Tell of files that were set aside: something has altered them (SAV-ALR: File Access Error)."""
        for folder in (state / "spool").glob("*/damaged"):
            for file in folder.iterdir():
                self._tell_fault(
                    str(file), "it was found damaged in the queue and set aside; see Damaged files in docs/queue.md"
                )

    def _free(self, folder: str) -> float | None:
        """The free share of a file system; None where the folder is not usable, which is told once."""
        try:
            found = os.statvfs(folder)
            usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK) and not found.f_flag & os.ST_RDONLY
        except OSError as error:
            self._tell_fault(folder, os.strerror(error.errno or errno.EIO))
            return None
        if not usable:
            self._tell_fault(folder, "cannot be read and written by the program")
            return None
        self._faulty.discard(folder)
        return min(_share(found.f_bavail, found.f_blocks), _share(found.f_favail, found.f_files))

    def _tell_fault(self, folder: str, problem: str) -> None:
        if folder not in self._faulty:
            self._faulty.add(folder)
            self._supervisor.tell("file_access_failed", path=folder, problem=problem)


def _share(free: int, total: int) -> float:
    # a file system without a fixed number of inodes says 0 of 0
    return 100.0 * free / total if total else 100.0


def folders(state: str, temp: str) -> dict[str, str]:
    """The folders to look at, by what they are for; those on one file system are told apart all the same."""
    found = {"mail queuing": str(Path(state) / "spool"), "scan": temp}
    log = _log_folder()
    return found | ({"logging": log} if log else {})


def _log_folder() -> str:
    """The folder of the log file, where the log goes to one."""
    try:
        target = os.readlink("/proc/self/fd/2")
    except OSError:
        return ""
    return str(Path(target).parent) if target.startswith("/") and not target.startswith("/dev/") else ""


def free_memory_percent() -> float:
    """The share of memory that programs can still have: of the machine, or of the container where that is less."""
    shares = [_machine_percent()]
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        if limit.isdigit():
            used = int((_CGROUP / "memory.current").read_text()) - _cache(_CGROUP / "memory.stat")
            shares.append(100.0 * max(0, int(limit) - used) / int(limit))
    except (OSError, ValueError):
        pass  # no container, or one of another kind
    return min(shares)


def _machine_percent() -> float:
    values = {}
    for line in _PROC.read_text().splitlines():
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0])
    return 100.0 * values["MemAvailable"] / values["MemTotal"]


def _cache(stat: Path) -> int:
    """What the kernel gives back when it is asked for memory."""
    for line in stat.read_text().splitlines():
        if line.startswith("inactive_file "):
            return int(line.split()[1])
    return 0
