"""The settings of the relay plugin."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from attrs import Attribute, frozen

from mailward import Masks, Seconds, between, setting
from mailward_relay.archive_settings import ArchiveSettings
from mailward_relay.ours import is_address
from mailward_relay.recipient_settings import RecipientSettings
from mailward_relay.route_settings import RouteSettings, Tls, one_of_tls

_ROUTE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def _characters(instance: object, attribute: Attribute[Any], value: str) -> None:
    wrong = sorted({char for char in value if char == "@" or char.isalnum()})
    if wrong:
        raise ValueError(
            f"{', '.join(map(repr, wrong))} would refuse ordinary addresses; allowed: any characters "
            "but @, letters and digits, written without separators, as in '!%'"
        )


def _route_names(instance: object, attribute: Attribute[Any], value: dict[str, RouteSettings]) -> None:
    for name in value:
        if not _ROUTE_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a route; allowed: letters, digits, _ and -")


def fingerprint(text: str) -> str:
    """The SHA-256 fingerprint of a certificate in one spelling: 64 hex digits, lower case, without colons."""
    return text.replace(":", "").strip().lower()


def _fingerprints(instance: object, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for text in value:
        if text != "*" and not _FINGERPRINT.fullmatch(fingerprint(text)):
            raise ValueError(f"{text!r} is no SHA-256 fingerprint; allowed: 64 hex digits, or * for every verified one")


def _own_names(instance: object, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for entry in value:
        is_address(entry)


class Relaying(StrEnum):
    """Who may relay: nobody but those who are listed, or everybody (SAV-RLY-01)."""

    LISTED = "listed"
    EVERYBODY = "everybody"


class Downgrade(StrEnum):
    """What happens to 8-bit content where the next hop does not offer 8BITMIME (RFC 6152)."""

    UNSIGNED = "unsigned"
    NEVER = "never"
    ALWAYS = "always"


@frozen
class RelaySettings:
    """``[relay]``: whom to relay for, where to, and how."""

    local: dict[str, str] = setting(
        factory=dict,
        help="domains of the house → where their mail goes: host:port, mx (or empty), smtp://host:port, "
        "lmtp://host:port, lmtp:/SOCKET, maildir:PATH, route:NAME",
    )
    forward: dict[str, str] = setting(
        factory=dict,
        help="masks of other domains → where their mail goes; the first match wins; a bare name means its MX",
    )
    default: str = setting("mx", help="where all other mail goes: host:port, mx (or empty), route:NAME, maildir:PATH")
    route: dict[str, RouteSettings] = setting(
        factory=dict,
        validator=_route_names,
        help="routes by name: [relay.route.NAME], hosts and how they are spoken to",
    )
    protected_domains: Masks = setting(
        Masks(), help="masks of domains that are of the house too, and routed by forward and default"
    )
    relaying: Relaying = setting(Relaying.LISTED, help="listed: who is allowed below; everybody: no restriction")
    allow: tuple[str, ...] = setting(
        (),
        help="clients that may relay: 10.0.0.1, 10.0.0.0/8, 10.0.0.0/255.0.0.0, 1.2.3.*, 2001:db8::/32, "
        "or a confirmed name: host.example, *.example",
    )
    allow_authenticated: bool = setting(True, help="clients that have logged in may relay")
    allow_certificates: tuple[str, ...] = setting(
        (),
        validator=_fingerprints,
        help="SHA-256 fingerprints of client certificates that may relay; *: every verified certificate",
    )
    rules: tuple[str, ...] = setting(
        (), help="'allow|deny from CLIENT to DOMAIN', in order; the first that matches decides, before all lists"
    )
    forbidden_characters: str = setting(
        "", validator=_characters, help="characters that no address may hold, without separators, as in '!%'"
    )
    refuse_source_routes: bool = setting(True, help="refuse recipients with a source route (@a,@b:user@c)")
    recipients: RecipientSettings = setting(
        factory=RecipientSettings, help="which recipients of the house exist, asked at RCPT"
    )
    tls: Tls = setting(
        Tls.MAY,
        validator=one_of_tls,
        help="STARTTLS towards next hops: none, may (where offered), encrypt (or not at all), "
        "verify (and check who answers)",
    )
    ca_file: str = setting("", help="file of the authorities (PEM) that verify and MTA-STS trust; empty: the system's")
    dane: bool = setting(False, help="check hosts found by MX against TLSA records, where DNSSEC vouches (RFC 7672)")
    mta_sts: bool = setting(False, help="keep to the MTA-STS policy of domains delivered by MX (RFC 8461)")
    downgrade: Downgrade = setting(
        Downgrade.UNSIGNED,
        help="8-bit content for a next hop without 8BITMIME: unsigned (convert it unless it is signed), never, always",
    )
    chunking: bool = setting(
        True,
        help="hand messages of up to 64 KB over in one chunk (BDAT) together with their commands, "
        "where the next hop offers CHUNKING and PIPELINING",
    )
    also_known_as: tuple[str, ...] = setting(
        (),
        validator=_own_names,
        help="further names and addresses (also prefixes) at which others reach this gateway, behind NAT or a load "
        "balancer: mail hosts that are these are ourselves",
    )
    mx_port: int = setting(25, validator=between(1, 65_535), help="port of hosts that MX records name")
    max_connections: int = setting(50, validator=between(1, 1024), help="connections to all next hops at a time")
    max_per_host: int = setting(4, validator=between(1, 1024), help="connections to one next hop at a time")
    max_messages: int = setting(100, validator=between(1, 10_000), help="messages over one connection")
    max_recipients: int = setting(100, validator=between(1, 10_000), help="recipients of one transaction")
    idle_s: Seconds = setting(
        Seconds(15.0), validator=between(0, 300), help="how long an unused connection is kept; 0: not at all"
    )
    mx_cache_s: Seconds = setting(
        Seconds(1200.0), validator=between(60, 64_800), help="how long MX records are kept where DNS says less"
    )
    unresolved_cache_s: Seconds = setting(
        Seconds(1200.0), validator=between(60, 64_800), help="how long a domain that DNS does not know is not asked for"
    )
    unreachable_cache_s: Seconds | None = setting(
        None,
        help="how long a host that cannot be reached is not tried, 60 to 64800 and less than delivery.retry_first_s; "
        "not set: three quarters of that",
    )
    connect_timeout_s: Seconds = setting(
        Seconds(30.0), validator=between(1, 1200), help="time to connect to one address"
    )
    initial_timeout_s: Seconds = setting(Seconds(300.0), validator=between(1, 1200), help="time to greet")
    hello_timeout_s: Seconds = setting(
        Seconds(300.0), validator=between(1, 1200), help="time to answer EHLO, LHLO, STARTTLS, AUTH"
    )
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
    archive: ArchiveSettings = setting(factory=ArchiveSettings, help="copies of all mail that comes in and goes out")
