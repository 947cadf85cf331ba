"""Starting to write to disk without waiting: the sync that follows finds most of its work done."""

from __future__ import annotations

import ctypes
from functools import cache

_SYNC_FILE_RANGE_WRITE = 2
_WHOLE_FILE = 0


@cache
def _system_call() -> ctypes._FuncPointer | None:
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return call


def start_writeback(fd: int) -> None:
    """Have the system begin to write the dirty pages of a file; they stay in the page cache.

    A hint and no promise: where the system has no such call (it is Linux's) nothing happens, and
    nothing is durable before a sync.
    """
    call = _system_call()
    if call is not None:
        call(fd, 0, _WHOLE_FILE, _SYNC_FILE_RANGE_WRITE)
