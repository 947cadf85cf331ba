"""Orphans: processes whose parent has ended before them, and who looks after them.

A process that takes orphans in (PR_SET_CHILD_SUBREAPER) becomes the parent of whatever its descendants
leave behind, also of what went to a session of its own. Each process of the program that others end
with does: scan processes, so that it is known whose an orphan is; the template process, which gets
those of scan processes that have ended; the keeper, which gets those of a template that has; and the
supervisor. Only children of the calling process are ever touched, and their ids cannot mean another
process before they are waited for.

Where the kernel does not know this, orphans go to the first process of the system, as ever.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Container
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def take_in() -> None:
    """Be the parent of what descendants leave behind, from now on; forked processes must call it anew."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> tuple[int, ...]:
    """The children of this process that its first thread has started or taken in, ended ones too.

    Empty where the kernel does not tell.
    """
    try:
        return tuple(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_bytes().split()))
    except OSError:
        return ()


def end(spared: Container[int]) -> bool:
    """End all children but the ``spared``, and wait for those that have ended; whether some are left.

    To be called again until none are: what an orphan leaves behind comes only when it has ended.
    """
    left = False
    for pid in children():
        if pid in spared:
            continue
        left = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return left
