"""The settings of the processes that open content."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from attrs import frozen

from mailward.engine.processors import processors
from mailward.hooks.settings import MIB, ByteSize, Seconds, between, setting


class Fallback(StrEnum):
    """What happens while no scan server answers."""

    LOCAL = "local"
    DEFER = "defer"


class ServerConfig(StrEnum):
    """Which scan servers are used: those with the gateway's plugins, settings and policies, or any."""

    SAME = "same"
    ANY = "any"


@frozen
class ScanSettings:
    """``[scan]``: the processes that open content."""

    workers: int = setting(factory=processors, validator=between(1, 256), help="scan processes")
    sessions: int = setting(
        factory=lambda: max(10, 2 * processors()),
        validator=between(1, 1024),
        help="most messages in scan at a time: workers, and processes of slow and suspect messages (AntiviralSessions)",
    )
    deadline_s: Seconds = setting(
        Seconds(60.0), validator=between(1, 3600), help="time for one message, waiting included; then 451"
    )
    slow_after_s: Seconds = setting(
        Seconds(5.0),
        validator=between(0.1, 3600),
        help="scan time after which a message goes on beside the workers, with another process in its place",
    )
    memory_bytes: ByteSize = setting(
        ByteSize(2048 * MIB), validator=between(256 * MIB, 2**40), help="address space of one scan process"
    )
    recycle_after: int = setting(
        5000, validator=between(1, 10**9), help="messages after which a scan process is replaced"
    )
    recycle_growth_bytes: ByteSize = setting(
        ByteSize(256 * MIB), validator=between(MIB, 2**40), help="growth in memory after which one is replaced"
    )
    user: str = setting("", help="account of the scan processes where the gateway runs as root; empty: its own")
    max_waiting: int = setting(
        1000, validator=between(1, 100_000), help="messages that may wait for a scan process; more get 451"
    )
    load_threshold: int = setting(
        100, validator=between(0, 100_000), help="waiting messages above which the load counts as exceeded"
    )
    load_interval_s: Seconds = setting(
        Seconds(300.0), validator=between(1, 86_400), help="least time between two load-exceeded events"
    )
    servers: tuple[str, ...] = setting(
        (), help="scan servers, host:port, that judge instead of this host; the one with least to do is asked first"
    )
    server_key: Path | None = setting(None, help="file with the key that gateway and scan servers share")
    server_config: ServerConfig = setting(
        ServerConfig.SAME, help="scan servers to use: those with the same plugins, settings and policies, or any"
    )
    by_name: bool = setting(
        False, help="name large messages to scan servers on this very host by their path, instead of sending them"
    )
    connect_timeout_s: Seconds = setting(
        Seconds(5.0), validator=between(0.1, 60), help="time to connect to a scan server and to know each other"
    )
    fallback: Fallback = setting(
        Fallback.LOCAL, help="while no scan server answers: scan here (local), or answer 451 (defer)"
    )
