"""The settings of the processes that open content."""

from __future__ import annotations

import os

from attrs import frozen

from mailward.hooks.settings import MIB, ByteSize, Seconds, between, setting


@frozen
class ScanSettings:
    """``[scan]``: the processes that open content."""

    workers: int = setting(factory=lambda: os.cpu_count() or 1, validator=between(1, 256), help="scan processes")
    deadline_s: Seconds = setting(Seconds(60.0), validator=between(1, 3600), help="time for one message; then 451")
    memory_bytes: ByteSize = setting(
        ByteSize(2048 * MIB), validator=between(256 * MIB, 2**40), help="address space of one scan process"
    )
    recycle_after: int = setting(
        5000, validator=between(1, 10**9), help="messages after which a scan process is replaced"
    )
