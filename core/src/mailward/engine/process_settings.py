"""The settings of the program as a whole: its processes, its health, how it is controlled."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from mailward.engine.processors import processors
from mailward.hooks.settings import Seconds, between, setting

_PERCENT = between(0, 100)


@frozen
class ProcessSettings:
    """``[process]``: gateway processes and how they are looked after."""

    gateways: int = setting(
        factory=processors,
        validator=between(1, 64),
        help="gateway processes; the scan processes are shared out among them",
    )
    user: str = setting("", help="user to run as when started by root; empty: stay who it is")
    group: str = setting("", help="group to run as when started by root; empty: the user's own")
    temp_folder: Path | None = setting(
        None, help="folder for temporary files, used through a sub-folder mailward; not set: in the state folder"
    )
    stop_s: Seconds = setting(
        Seconds(10.0), validator=between(0, 3600), help="time that messages in progress get at a stop"
    )
    reload_s: Seconds = setting(
        Seconds(60.0), validator=between(0, 3600), help="time that they get at a reload, under the old configuration"
    )
    start_s: Seconds = setting(
        Seconds(60.0), validator=between(1, 3600), help="time in which a gateway process has to be ready"
    )
    hang_s: Seconds = setting(
        Seconds(30.0), validator=between(1, 3600), help="silence after which a gateway process is killed and replaced"
    )
    watch_config: bool = setting(True, help="reload when the content of the configuration file changes")


@frozen
class HealthSettings:
    """``[health]``: disk, memory and descriptors: when to warn, and when to take no more mail.

    A level that was crossed is left again when a fifth more than it is free.
    """

    interval_s: Seconds = setting(Seconds(5.0), validator=between(0.1, 3600), help="time from one look to the next")
    disk_low_percent: float = setting(10.0, validator=_PERCENT, help="free space that is reported as low (SAV-ALR)")
    disk_stop_percent: float = setting(3.0, validator=_PERCENT, help="free space under which messages get 452")
    memory_low_percent: float = setting(10.0, validator=_PERCENT, help="free memory that is reported as low (SAV-ALR)")
    memory_stop_percent: float = setting(4.0, validator=_PERCENT, help="free memory under which messages get 452")
    files_low_percent: float = setting(10.0, validator=_PERCENT, help="free descriptors that are reported as low")
    files_stop_percent: float = setting(5.0, validator=_PERCENT, help="free descriptors under which clients get 421")


@frozen
class ControlSettings:
    """``[control]``: commands to the running program, beside `mailward ctl`."""

    folder: Path | None = setting(None, help="folder that is looked at for control files (KAV-MGT-03); not set: none")
    poll_s: Seconds = setting(Seconds(1.0), validator=between(0.1, 60), help="time from one look to the next")
    stats_file: Path | None = setting(
        None, help="file that .c_stats writes statistics to, one name=value a line; not set: mailward.stat in the state"
    )
