"""The settings of the archives (``[relay.archive]``, KAV-ARC-01)."""

from __future__ import annotations

from attrs import frozen

from mailward import ByteSize, between, setting

_GB = 1024**3


@frozen
class ArchiveSettings:
    """``[relay.archive]``: folders that get a copy of every message, silently (KAV-ARC-01)."""

    incoming: str = setting("", help="folder for every message received, infected ones among them; empty: none")
    outgoing: str = setting(
        "", help="folder for what was delivered, what was blocked for its content, and our own notices; empty: none"
    )
    max_days: int = setting(0, validator=between(0, 36_500), help="days after which copies are removed; 0: never")
    max_bytes: ByteSize = setting(
        ByteSize(0), validator=between(0, 2**50), help="size of one archive; the oldest copies go first; 0: no limit"
    )
