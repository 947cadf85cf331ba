"""The settings of the core itself: one frozen class for each section of the configuration file."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import field, frozen

from mailward.engine.delivery_settings import DeliverySettings
from mailward.engine.diagnostics_settings import DiagnosticsSettings
from mailward.engine.gateway_settings import DeliveryMode, GatewaySettings, ScanTime
from mailward.engine.process_settings import ControlSettings, HealthSettings, ProcessSettings
from mailward.engine.scan_server_settings import ScanServerSettings
from mailward.engine.scan_settings import ScanSettings
from mailward.hooks.name_server import name_server
from mailward.hooks.settings import Seconds, between, setting
from mailward.mime import Limits
from mailward.values.action import Action, Drop, Hold
from mailward.values.endpoint import Endpoint
from mailward.values.errors import ConfigError, Problem


class LogLevel(StrEnum):
    """The least important lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


@frozen
class SpoolSettings:
    """``[spool]``: the queue on disk."""

    path: Path = setting(Path("mailward-data"), help="folder of the queue and of everything else that is kept")


def _name_servers(instance: object, attribute: Any, value: tuple[str, ...]) -> None:
    for text in value:
        name_server(text)


@frozen
class DnsSettings:
    """``[dns]``: name servers."""

    servers: tuple[str, ...] = setting(
        (), validator=_name_servers, help="address or address:port of name servers; empty: the system's"
    )
    timeout_s: Seconds = setting(Seconds(5.0), validator=between(0.1, 60), help="time for one look-up")


@frozen
class LogSettings:
    """``[log]``: where log lines go and how they look."""

    level: LogLevel = setting(LogLevel.INFO, help="the least important lines that are written")
    format: LogFormat = setting(LogFormat.TEXT, help="text for people, json for machines")


@frozen
class DispositionSettings:
    """``[disposition]``: what happens where no plugin's setting says it. Can be overridden in a policy."""

    infected: Action = setting(Drop(), help="an infection that its finder gave no action")
    unchecked: Action = setting(Hold(), help="content that could not be checked, and encrypted content")
    limit: Action = setting(Drop(), help="content over a container limit (SMS-CONT-04)")
    ambiguous: Action = setting(Hold(), help="structure that mail clients read differently")


@frozen
class CoreSettings:
    """All sections of the core."""

    gateway: GatewaySettings = field(factory=GatewaySettings)
    spool: SpoolSettings = field(factory=SpoolSettings)
    scan: ScanSettings = field(factory=ScanSettings)
    scan_server: ScanServerSettings = field(factory=ScanServerSettings)
    delivery: DeliverySettings = field(factory=DeliverySettings)
    process: ProcessSettings = field(factory=ProcessSettings)
    health: HealthSettings = field(factory=HealthSettings)
    control: ControlSettings = field(factory=ControlSettings)
    dns: DnsSettings = field(factory=DnsSettings)
    log: LogSettings = field(factory=LogSettings)
    diagnostics: DiagnosticsSettings = field(factory=DiagnosticsSettings)
    limits: Limits = field(factory=Limits)
    disposition: DispositionSettings = field(factory=DispositionSettings)


_LIMIT_RANGES: dict[str, tuple[float, float]] = {
    "max_depth": (1, 1000),
    "max_parts": (1, 10_000_000),
    "max_part_bytes": (1, 2**40),
    "max_total_bytes": (1, 2**40),
    "max_ratio": (1, 1_000_000),
    "ratio_floor_bytes": (0, 2**40),
    "max_header_bytes": (1, 2**30),
    "max_headers": (1, 10_000_000),
    "max_time_s": (0.001, 3600),
}
"""What ``[limits]`` may say: a limit of 0, or one that nothing reaches, is a mistake (SAV-BLK-05, SMS-CONT-04)."""


def contradictions(source: str, settings: CoreSettings) -> None:
    """Raise ConfigError where settings of the core contradict each other, or limits are out of range."""
    problems: list[Problem] = list(_limits_out_of_range(settings.limits))
    delivery = settings.delivery
    if delivery.retry_max_s < delivery.retry_first_s:
        problems.append(
            Problem("delivery.retry_max_s", "is less than delivery.retry_first_s", str(delivery.retry_max_s))
        )
    problems += _scan_contradictions(settings.scan)
    problems += _levels(settings.health)
    gateway = settings.gateway
    if gateway.scan is ScanTime.QUEUED and gateway.delivery is DeliveryMode.PROXY:
        problems.append(Problem("gateway.delivery", 'needs scan = "inline": a proxy has no queue', gateway.delivery))
    if problems:
        raise ConfigError(source, problems)


def _limits_out_of_range(limits: Limits) -> Iterator[Problem]:
    for name, (low, high) in _LIMIT_RANGES.items():
        value: float = getattr(limits, name)
        if not low <= value <= high:
            yield Problem(f"limits.{name}", f"out of range; allowed: {low:g} to {high:g}", f"{value:g}")


def _scan_contradictions(scan: ScanSettings) -> Iterator[Problem]:
    if scan.sessions < scan.workers:
        yield Problem("scan.sessions", f"is less than scan.workers, which is {scan.workers}", str(scan.sessions))
    for text in scan.servers:
        try:
            endpoint = Endpoint.parse(text)
        except ValueError as error:
            yield Problem("scan.servers", str(error))
            continue
        if scan.by_name and not endpoint.is_this_host:
            yield Problem("scan.by_name", "is for scan servers on this host only", text, "127.0.0.1, [::1], localhost")
    if scan.servers and scan.server_key is None:
        yield Problem("scan.server_key", "is not set: scan servers take nothing from strangers")


def _levels(health: HealthSettings) -> Iterator[Problem]:
    for name, low, stop in (
        ("disk", health.disk_low_percent, health.disk_stop_percent),
        ("memory", health.memory_low_percent, health.memory_stop_percent),
        ("files", health.files_low_percent, health.files_stop_percent),
    ):
        if stop > low:
            key = f"health.{name}_stop_percent"
            yield Problem(key, f"is more than health.{name}_low_percent", f"{stop:g}", f"0 to {low:g}")
