"""The settings of the core itself: one frozen class for each section of the configuration file."""

from __future__ import annotations

import os
import socket
from enum import StrEnum
from pathlib import Path

from attrs import field, frozen

from mailward.hooks.settings import ByteSize, Seconds, between, setting
from mailward.mime import Limits
from mailward.values.action import Action, Drop, Hold
from mailward.values.errors import ConfigError, Problem

MIB = 1024 * 1024


class RefusedCopies(StrEnum):
    """What happens to the copies that are refused when others of the same message are accepted."""

    BOUNCE = "bounce"
    DROP = "drop"


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
class GatewaySettings:
    """``[gateway]``: the SMTP listener."""

    listen: tuple[str, ...] = setting(("127.0.0.1:2525",), help="addresses and ports to accept SMTP on")
    hostname: str = setting(factory=socket.gethostname, help="name in greeting, trace header, DSNs and HELO")
    postmaster: str = setting("", help="address that mail to <postmaster> without a domain is for; empty: at hostname")
    max_message_bytes: ByteSize = setting(
        ByteSize(50 * MIB), validator=between(64 * 1024, 2048 * MIB), help="largest message accepted (SIZE)"
    )
    max_recipients: int = setting(100, validator=between(1, 10_000), help="recipients of one message; more get 452")
    max_messages: int = setting(100, validator=between(1, 1024), help="messages of one connection; then 421")
    max_connections: int = setting(200, validator=between(1, 65_535), help="connections open at a time; then 421")
    max_hops: int = setting(30, validator=between(1, 100), help="Received headers before a loop is assumed (554)")
    timeout_s: Seconds = setting(
        Seconds(300.0), validator=between(1, 3600), help="silence of a client before it is cut"
    )
    trace: bool = setting(True, help="add a Received header")
    refused_copies: RefusedCopies = setting(
        RefusedCopies.BOUNCE,
        help="what happens to recipients whose copy is refused while the message was accepted for others",
    )


@frozen
class SpoolSettings:
    """``[spool]``: the queue on disk."""

    path: Path = setting(Path("mailward-data"), help="folder of the queue and of everything else that is kept")


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


@frozen
class DeliverySettings:
    """``[delivery]``: attempts and retries."""

    concurrency: int = setting(50, validator=between(1, 1024), help="deliveries in progress at a time")
    retry_first_s: Seconds = setting(
        Seconds(300.0), validator=between(0.05, 64_800), help="wait after the first failure"
    )
    retry_max_s: Seconds = setting(
        Seconds(21_600.0), validator=between(0.05, 64_800), help="longest wait; waits double up to it"
    )
    lifetime_s: Seconds = setting(
        Seconds(5 * 86_400.0), validator=between(1, 14 * 86_400), help="age at which an undelivered message is returned"
    )
    return_full: bool = setting(False, help="return the whole message in a DSN instead of its header")


@frozen
class DnsSettings:
    """``[dns]``: name servers."""

    servers: tuple[str, ...] = setting((), help="address or address:port of name servers; empty: the system's")
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
    unchecked: Action = setting(Hold(), help="content that could not be checked")
    limit: Action = setting(Drop(), help="content over a container limit (SMS-CONT-04)")
    ambiguous: Action = setting(Hold(), help="structure that mail clients read differently")


@frozen
class CoreSettings:
    """All sections of the core."""

    gateway: GatewaySettings = field(factory=GatewaySettings)
    spool: SpoolSettings = field(factory=SpoolSettings)
    scan: ScanSettings = field(factory=ScanSettings)
    delivery: DeliverySettings = field(factory=DeliverySettings)
    dns: DnsSettings = field(factory=DnsSettings)
    log: LogSettings = field(factory=LogSettings)
    limits: Limits = field(factory=Limits)
    disposition: DispositionSettings = field(factory=DispositionSettings)


def contradictions(source: str, settings: CoreSettings) -> None:
    """Raise ConfigError where settings of the core contradict each other."""
    problems: list[Problem] = []
    delivery = settings.delivery
    if delivery.retry_max_s < delivery.retry_first_s:
        problems.append(
            Problem("delivery.retry_max_s", "is less than delivery.retry_first_s", str(delivery.retry_max_s))
        )
    if problems:
        raise ConfigError(source, problems)
