"""What trusted peers say of the client they speak for: PROXY headers, XCLIENT, XFORWARD."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from aiosmtpd.proxy_protocol import AF, V2_CMD, get_proxy
from attrs import evolve, frozen

from mailward.values.envelope import Session

_ATTRIBUTE = re.compile(r"([A-Za-z]+)=((?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})+)")
_XCHAR = re.compile(r"\+([0-9A-Fa-f]{2})")
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_USER = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_UNKNOWN = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})

XCLIENT_NAMES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT", "REVERSE_NAME")
XFORWARD_NAMES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")


class BadHeader(Exception):
    """A PROXY header was expected and something else came."""


@frozen
class Peer:
    """Address and port of a client."""

    ip: str
    port: int


def plain_address(text: str) -> str:
    """An IP address as it is compared: IPv4 in IPv6 is IPv4, zones are gone. Empty where it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


async def read_proxy(reader: asyncio.StreamReader, peer: Peer) -> Peer:
    """The client that a PROXY header (version 1 or 2) names; ``peer`` itself for LOCAL and UNKNOWN.

    Raises BadHeader.
    """
    try:
        found = await get_proxy(reader)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise BadHeader(type(error).__name__) from error
    if not found.valid:
        raise BadHeader(found.error)
    if found.command == V2_CMD.LOCAL or found.family not in (AF.INET, AF.INET6):
        return peer
    ip = plain_address(str(found.src_addr))
    if not ip:
        raise BadHeader("no address")
    return Peer(ip, int(found.src_port or 0))


def read_attributes(argument: str, known: tuple[str, ...]) -> Mapping[str, str] | None:
    """``NAME=value …`` with values in xtext, names in upper case; unknown values are empty. None where malformed."""
    found: dict[str, str] = {}
    for word in argument.split(" "):
        match = _ATTRIBUTE.fullmatch(word)
        if match is None or match[1].upper() not in known:
            return None
        value = _XCHAR.sub(lambda char: chr(int(char[1], 16)), match[2])
        found[match[1].upper()] = "" if value.upper() in _UNKNOWN else value
    return found


def _address(value: str) -> str | None:
    lowered = value.lower().removeprefix("ipv6:")
    return plain_address(lowered) or None


def _host(value: str) -> str | None:
    return value if _HOST.fullmatch(value) else None


def _login(value: str) -> str | None:
    return value if _USER.fullmatch(value) else None


def _port(value: str) -> str | None:
    return value if value.isascii() and value.isdigit() and int(value) < 65_536 else None


_XCLIENT: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "NAME": ("client_name", _host),
    "ADDR": ("client_ip", _address),
    "PORT": ("client_port", _port),
    "HELO": ("helo", _host),
    "LOGIN": ("user", _login),
}
_XFORWARD: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "NAME": ("origin_name", _host),
    "ADDR": ("origin_ip", _address),
    "HELO": ("origin_helo", _host),
}


def _told(
    session: Session, said: Mapping[str, str], table: Mapping[str, tuple[str, Callable[[str], str | None]]]
) -> Session | None:
    facts: dict[str, Any] = {}
    for name, (field, check) in table.items():
        if name in said:
            value = check(said[name]) if said[name] else ""
            if value is None:
                return None
            facts[field] = int(value or 0) if field == "client_port" else value
    return evolve(session, **facts) if facts else session


def with_xclient(session: Session, said: Mapping[str, str]) -> Session | None:
    """The session as XCLIENT makes it: the peer's words instead of what was seen. None where a value is malformed.

    An address is needed once one is given: "unavailable" keeps the old one.
    """
    if not said.get("ADDR", "x"):
        said = {name: value for name, value in said.items() if name != "ADDR"}
    return _told(session, said, _XCLIENT)


def with_xforward(session: Session, said: Mapping[str, str]) -> Session | None:
    """The session with what XFORWARD says of the message's origin. None where a value is malformed."""
    return _told(session, said, _XFORWARD)
