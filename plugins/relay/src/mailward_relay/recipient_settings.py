"""The settings of the recipient check (``[relay.recipients]``)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from attrs import Attribute, frozen

from mailward import Masks, Seconds, Secret, between, setting


class InDoubt(StrEnum):
    """What happens to a recipient of whom it cannot be found out whether he exists."""

    DEFER = "defer"
    ACCEPT = "accept"


def _filter(instance: object, attribute: Attribute[Any], value: str) -> None:
    if not any(name in value for name in ("{address}", "{local}", "{domain}")):
        raise ValueError("asks for no address; allowed: an LDAP filter with {address}, {local} or {domain}")
    if not value.startswith("(") or value.count("(") != value.count(")"):
        raise ValueError("is no LDAP filter; allowed: (attribute={address}), (&(…)(…)), (|(…)(…))")


@frozen
class LdapSettings:
    """``[relay.recipients.ldap]``: a directory that knows the recipients."""

    servers: tuple[str, ...] = setting(
        (), help="ldap://host:port, ldaps://host:port or ldapi:///SOCKET, tried in order; empty: no directory"
    )
    starttls: bool = setting(False, help="encrypt ldap:// connections, and check the certificate")
    ca_file: str = setting(
        "", help="file of the authorities (PEM) that the servers' certificates need; empty: the system's"
    )
    bind_dn: str = setting("", help="name to log in with; empty: anonymously")
    password: Secret = setting(Secret(), help="password of bind_dn")
    base: str = setting("", help="entry below which is searched")
    filter: str = setting(
        "(|(mail={address})(proxyAddresses=smtp:{address}))",
        validator=_filter,
        help="filter that finds a recipient: {address}, {local} and {domain} are put in, escaped",
    )
    timeout_s: Seconds = setting(Seconds(10.0), validator=between(1, 60), help="time to connect, and time to answer")


@frozen
class RecipientSettings:
    """``[relay.recipients]``: which recipients of local domains exist; without a source every one does."""

    listed: Masks = setting(Masks(), help="masks of addresses that exist")
    file: str = setting("", help="file of addresses that exist: one mask a line, # begins a comment")
    ldap: LdapSettings = setting(factory=LdapSettings, help="directory that knows the addresses")
    call_forward: bool = setting(False, help="ask the next hop of the recipient by MAIL and RCPT")
    in_doubt: InDoubt = setting(InDoubt.DEFER, help="where that cannot be found out: defer (451) or accept")
    known_cache_s: Seconds = setting(
        Seconds(3600.0), validator=between(0, 604_800), help="how long it is remembered that a recipient exists"
    )
    unknown_cache_s: Seconds = setting(
        Seconds(300.0), validator=between(0, 86_400), help="how long it is remembered that he does not"
    )
