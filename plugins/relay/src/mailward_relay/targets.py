"""Targets: the right-hand sides of the routing tables (SAV-RTE-03, KAV-RTE-01)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from mailward import NextHop

SMTP_PORT = 25
LMTP_PORT = 24
ALLOWED = (
    "mx, host, host:port, [address]:port, smtp://host:port, lmtp://host:port, lmtp:/SOCKET, maildir:PATH, route:NAME"
)

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_BRACKETED = re.compile(r"\[([^\[\]]+)\](?::(\d{1,5}))?")
_PLAIN = re.compile(r"([^:\[\]/]+)(?::(\d{1,5}))?")


@frozen
class ByExchange:
    """Delivery to the MX hosts of ``domain``; empty: of the recipient's own domain (SAV-RTE-02).

    ``route`` names the settings by which these hosts are spoken to.
    """

    domain: str = ""
    route: str = ""


@frozen
class ByRoute:
    """Delivery by the route of this name: the hosts of ``[relay.route.NAME]``."""

    name: str


Target = NextHop | ByExchange | ByRoute


def is_name(text: str) -> bool:
    """Whether ``text`` (lower case) is a host or domain name; non-ASCII letters are judged by their IDNA form."""
    try:
        return _NAME.fullmatch(text if text.isascii() else text.encode("idna").decode()) is not None
    except UnicodeError:
        return False


def parse_target(text: str, resolve_path: Callable[[str], Path], *, bare_is_domain: bool = False) -> Target:
    """Read a target; raises ValueError with a message for the administrator.

    ``bare_is_domain``: a name without brackets and port means the MX hosts of that name (KAV-RTE-01),
    elsewhere it means that host (SAV-RTE-03).
    """
    wanted = text.strip()
    kind, _, rest = wanted.partition(":")
    if wanted.lower() in ("", "mx"):
        return ByExchange()
    if kind.lower() in ("maildir", "lmtp") and not rest.startswith("//"):
        return NextHop(kind.lower(), path=_path(kind.lower(), rest, resolve_path))
    if kind.lower() == "route":
        return ByRoute(rest.strip())
    if kind.lower() == "lmtp":
        return parse_host(rest[2:], LMTP_PORT, "lmtp")
    return _host(wanted, bare_is_domain)


def _path(kind: str, path: str, resolve_path: Callable[[str], Path]) -> str:
    if not path or "\0" in path:
        example = "maildir:/var/mail/house" if kind == "maildir" else "lmtp:/run/dovecot/lmtp"
        raise ValueError(f"has no path; write {example}")
    return str(resolve_path(path))


def parse_host(text: str, port: int, transport: str = "smtp") -> NextHop:
    """Read ``host`` or ``host:port`` with its default port; raises ValueError with a message for the administrator."""
    found = _host(text if ":" in text.rpartition("]")[2] else f"{text}:{port}", bare_is_domain=False)
    assert isinstance(found, NextHop)
    return NextHop(transport, found.host, found.port)


def _host(wanted: str, bare_is_domain: bool) -> Target:
    address = wanted.lower().removeprefix("smtp://")
    if _is_ipv6(address):
        raise ValueError(f"is an IPv6 address without brackets; write [{address}] or [{address}]:{SMTP_PORT}")
    match = _BRACKETED.fullmatch(address)
    if match and not _is_ipv6(match[1]) and match[2] is None:
        match = _PLAIN.fullmatch(match[1])
        bare_is_domain = False
    match = match or _PLAIN.fullmatch(address)
    if match is None or not (_is_ipv6(match[1]) or is_name(match[1])):
        raise ValueError(f"is no target; allowed: {ALLOWED}")
    host, port = match[1], int(match[2] or SMTP_PORT)
    if not 1 <= port <= 65_535:
        raise ValueError("has a port out of range; allowed: 1 to 65535")
    if bare_is_domain and match[2] is None and wanted.lower() == address and not _is_ip(host):
        return ByExchange(host)
    return NextHop("smtp", host, port)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    return ":" in text and _is_ip(text)
