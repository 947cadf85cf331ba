"""The settings of one route: the hosts of a next hop and how they are spoken to (``[relay.route.NAME]``)."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from typing import Any

from attrs import Attribute, frozen

from mailward import Secret, between, setting


class Tls(StrEnum):
    """How connections to next hops are protected (RFC 3207, RFC 7435)."""

    NONE = "none"
    MAY = "may"
    ENCRYPT = "encrypt"
    VERIFY = "verify"


def one_of_tls(instance: object, attribute: Attribute[Any], value: str | None) -> None:
    """A validator: one of the words of `Tls`, or nothing."""
    if value is not None and value not in list(Tls):
        raise ValueError(f"{value!r} is unknown; allowed: {', '.join(Tls)}")


def _weights(instance: object, attribute: Attribute[Any], value: dict[str, int]) -> None:
    for host, weight in value.items():
        if not 1 <= weight <= 1000:
            raise ValueError(f"{host!r} has the weight {weight}; allowed: 1 to 1000")


def _addresses(instance: object, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    versions = []
    for text in value:
        try:
            versions.append(ipaddress.ip_address(text).version)
        except ValueError:
            raise ValueError(f"{text!r} is no address; allowed: one IPv4 and one IPv6 address of this host") from None
    if len(versions) != len(set(versions)):
        raise ValueError("has two addresses of one kind; allowed: one IPv4 and one IPv6 address of this host")


def _optional_range(low: float, high: float) -> Any:
    check = between(low, high)

    def optional(instance: object, attribute: Attribute[Any], value: float | None) -> None:
        if value is not None:
            check(instance, attribute, value)

    return optional


@frozen
class RouteSettings:
    """``[relay.route.NAME]``: hosts that share the mail of a route, and how they are spoken to.

    Tables of targets name it as ``route:NAME``. What is not set is as in ``[relay]``.
    """

    hosts: dict[str, int] = setting(
        factory=dict,
        validator=_weights,
        help="host or host:port → weight: how mail is spread; one that fails is followed by the others; "
        "empty: the MX hosts of the recipient's domain",
    )
    backup: tuple[str, ...] = setting(
        (), help="hosts that are tried, in this order, where none of hosts can be reached"
    )
    lmtp: bool = setting(
        False, help="speak LMTP (RFC 2033): one reply for each recipient; hosts may be /path/of/socket"
    )
    tls: Tls | None = setting(
        None, validator=one_of_tls, help="STARTTLS: none, may, encrypt, verify (certificate for the host's name)"
    )
    implicit_tls: bool = setting(False, help="TLS from the first byte (port 465, RFC 8314) instead of STARTTLS")
    dane: bool | None = setting(None, help="check hosts against TLSA records, where DNSSEC vouches (RFC 7672)")
    mta_sts: bool | None = setting(None, help="keep to the MTA-STS policy of domains delivered by MX (RFC 8461)")
    ca_file: str = setting("", help="file of the authorities (PEM) that verify trusts")
    client_cert: str = setting("", help="file of the certificate (PEM) to show in TLS; its key too, unless client_key")
    client_key: str = setting("", help="file of the key of client_cert")
    user: str = setting("", help="name to log in with (AUTH CRAM-MD5, PLAIN or LOGIN, as offered)")
    password: Secret = setting(Secret(), help="password to log in with")
    password_in_clear: bool = setting(False, help="send the password also over a connection without TLS")
    source: tuple[str, ...] = setting(
        (), validator=_addresses, help="addresses of this host to connect from: one IPv4, one IPv6, or both"
    )
    max_per_host: int | None = setting(
        None, validator=_optional_range(1, 1024), help="connections to one of these hosts at a time"
    )
