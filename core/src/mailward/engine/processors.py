"""How many processors this program may use: what the machine has, less what is kept from it."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def processors() -> int:
    """The processors that this process may run on, at least one.

    In a container, and under CPUQuota= of systemd, a quota counts: a machine with 64 processors of
    which two may be used is one with two.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *map(math.ceil, quotas(_GROUPS, _OWN_GROUP))]))


def quotas(groups: Path, own_group: Path) -> Iterator[float]:
    """The quotas, in processors, of the control group of this process and of all above it; nothing raises.

    ``groups``: where they are mounted, ``own_group``: the file that says which one it is. A container
    sees its own as the first of all.
    """
    with contextlib.suppress(OSError, ValueError):  # the second version
        for line in own_group.read_text("ascii").splitlines():
            number, _, path = line.split(":", 2)
            if number == "0":
                for one in (PurePosixPath(path), *PurePosixPath(path).parents):
                    yield from _quota(groups / one.relative_to("/") / "cpu.max")
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # the first
        share = float((groups / "cpu/cpu.cfs_quota_us").read_text("ascii"))
        if share > 0:
            yield share / float((groups / "cpu/cpu.cfs_period_us").read_text("ascii"))


def _quota(file: Path) -> Iterator[float]:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        share, period = file.read_text("ascii").split()
        if share != "max":
            yield float(share) / float(period)
