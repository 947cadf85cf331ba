"""The settings of the relay plugin."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from attrs import Attribute, frozen

from mailward import Seconds, between, setting


def _characters(instance: object, attribute: Attribute[Any], value: str) -> None:
    wrong = sorted({char for char in value if char == "@" or char.isalnum()})
    if wrong:
        raise ValueError(
            f"{', '.join(map(repr, wrong))} would refuse ordinary addresses; allowed: any characters "
            "but @, letters and digits, written without separators, as in '!%'"
        )


class Tls(StrEnum):
    """How connections to next hops are protected (RFC 3207, RFC 7435)."""

    NONE = "none"
    MAY = "may"
    ENCRYPT = "encrypt"


def _tls(instance: object, attribute: Attribute[Any], value: str) -> None:
    if value not in list(Tls):
        raise ValueError(f"{value!r} is unknown; allowed: {', '.join(Tls)}")


@frozen
class RelaySettings:
    """``[relay]``: whom to relay for, where to, and how."""

    local: dict[str, str] = setting(
        factory=dict,
        help="domains of the house → where their mail goes: host:port, mx (or empty), smtp://host:port, maildir:PATH",
    )
    forward: dict[str, str] = setting(
        factory=dict,
        help="masks of other domains → where their mail goes; the first match wins; a bare name means its MX",
    )
    default: str = setting("mx", help="where all other mail goes: host:port, mx (or empty), maildir:PATH")
    allow: tuple[str, ...] = setting(
        (), help="clients that may relay: 10.0.0.1, 10.0.0.0/8, 10.0.0.0/255.0.0.0, 1.2.3.*, 2001:db8::/32"
    )
    allow_authenticated: bool = setting(True, help="clients that have logged in may relay")
    forbidden_characters: str = setting(
        "", validator=_characters, help="characters that no address may hold, without separators, as in '!%'"
    )
    tls: Tls = setting(
        Tls.MAY, validator=_tls, help="STARTTLS towards next hops: none, may (where offered), encrypt (or not at all)"
    )
    mx_port: int = setting(25, validator=between(1, 65_535), help="port of hosts that MX records name")
    max_per_host: int = setting(20, validator=between(1, 1024), help="connections to one next hop at a time")
    max_messages: int = setting(100, validator=between(1, 10_000), help="messages over one connection")
    max_recipients: int = setting(100, validator=between(1, 10_000), help="recipients of one transaction")
    idle_s: Seconds = setting(
        Seconds(15.0), validator=between(0, 300), help="how long an unused connection is kept; 0: not at all"
    )
    connect_timeout_s: Seconds = setting(
        Seconds(30.0), validator=between(1, 1200), help="time to connect to one address"
    )
    initial_timeout_s: Seconds = setting(Seconds(300.0), validator=between(1, 1200), help="time to greet")
    hello_timeout_s: Seconds = setting(Seconds(300.0), validator=between(1, 1200), help="time to answer EHLO, STARTTLS")
    mail_timeout_s: Seconds = setting(Seconds(300.0), validator=between(1, 1200), help="time to answer MAIL")
    rcpt_timeout_s: Seconds = setting(Seconds(300.0), validator=between(1, 1200), help="time to answer one RCPT")
    data_initiation_timeout_s: Seconds = setting(Seconds(600.0), validator=between(1, 2400), help="time to answer DATA")
    write_timeout_s: Seconds = setting(
        Seconds(120.0), validator=between(1, 1200), help="time in which the peer takes a block of content"
    )
    data_termination_timeout_s: Seconds = setting(
        Seconds(300.0), validator=between(1, 7200), help="time to answer the end of data"
    )
    quit_timeout_s: Seconds = setting(Seconds(300.0), validator=between(1, 1200), help="time to answer QUIT")
