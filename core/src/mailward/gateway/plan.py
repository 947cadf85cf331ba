"""What a configuration asks of the supervisor, and the folder for temporary files."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from mailward.engine.config import Config
from mailward.engine.core_settings import CoreSettings
from mailward.engine.engine import Engine
from mailward.gateway.address import Listen
from mailward.gateway.doorkeeper import MAX_WAITING
from mailward.gateway.farewell import MAX_FAREWELLS
from mailward.gateway.link import Levels, Plan, Point
from mailward.values.errors import ConfigError, Problem

_TEMP = "temp"
_SUBFOLDER = "mailward"
_OTHER_DESCRIPTORS = 64
_DESCRIPTORS_OF = {"connection": 2, "delivery": 3, "worker": 4}
"""How many one of each may take: the socket, the message's file, its next hop, its share of the rest."""


def plan_of(config: Config, engine: Engine) -> Plan:
    """The plan. Raises ConfigError where it cannot be listened as the configuration says."""
    core = config.core
    process, health, control = core.process, core.health, core.control
    points = points_of(config)
    return Plan(
        source=config.source,
        state=str(config.state),
        temp=str(temp_folder(config)),
        gateways=process.gateways,
        workers=core.scan.workers,
        listen=points,
        user=process.user,
        group=process.group,
        stop_s=process.stop_s,
        reload_s=process.reload_s,
        start_s=process.start_s,
        hang_s=process.hang_s,
        watch=process.watch_config,
        files=tuple(str((config.base / name.partition(":")[0]).resolve()) for name in config.plugins if _is_file(name)),
        health_s=health.interval_s,
        disk=Levels(health.disk_low_percent, health.disk_stop_percent),
        memory=Levels(health.memory_low_percent, health.memory_stop_percent),
        control=str(config.base / control.folder) if control.folder else "",
        control_s=control.poll_s,
        stats_file=str(config.base / control.stats_file) if control.stats_file else str(config.state / "mailward.stat"),
        log_level=str(core.log.level),
        log_format=str(core.log.format),
        descriptors=descriptors_needed(core),
        version=version("mailward"),
        plugins={found.name: found.version for found in engine.policies.found},
    )


def points_of(config: Config) -> tuple[Point, ...]:
    """Where each listener listens.

    Raises ConfigError where an address is none, and where one is named twice: clients would come
    to the one listener or the other, whatever these demand of them.
    """
    problems: list[Problem] = []
    points: list[Point] = []
    taken: dict[tuple[str, int], str] = {}
    for listener in config.listeners:
        key = f"{listener.key}.listen"
        for text in listener.settings.listen:
            listen = Listen.parse(text, config.source, key)
            if listen.port and listen.place in taken:
                other = taken[listen.place]
                problems.append(Problem(key, f"is an address that {other} has too", text, "each address once"))
            taken.setdefault(listen.place, key)
            points.append(Point(listener.name, text))
    if problems:
        raise ConfigError(config.source, problems)
    return tuple(points)


def _is_file(name: str) -> bool:
    return name.partition(":")[0].endswith(".py")


def descriptors_needed(core: CoreSettings) -> int:
    """How many descriptors one gateway process may need when all limits are reached."""
    workers = -(-core.scan.workers // core.process.gateways)
    return (
        _OTHER_DESCRIPTORS
        + MAX_WAITING
        + MAX_FAREWELLS
        + core.gateway.max_connections * _DESCRIPTORS_OF["connection"]
        + core.delivery.concurrency * _DESCRIPTORS_OF["delivery"]
        + workers * _DESCRIPTORS_OF["worker"]
    )


def temp_folder(config: Config) -> Path:
    """The folder for temporary files.

    A folder that was set is used through a sub-folder of ours (SAV-DLV-06, SMS-SET-07).
    """
    chosen = config.core.process.temp_folder
    return config.state / _TEMP if chosen is None else config.base / chosen.expanduser() / _SUBFOLDER


def private_temp(config: Config, slot: str) -> None:
    """Make this process and its scan processes keep temporary files in a folder of their own, emptied first.

    Raises OSError.
    """
    folder = temp_folder(config) / slot
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
