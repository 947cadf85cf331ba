"""The addresses of this machine, as the kernel lists them (rtnetlink(7))."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_TIMEOUT_S = 2.0
_PIECE_BYTES = 1 << 17
_GET_ADDRESSES, _ADDRESS_FOLLOWS = 22, 20
_ERROR, _DONE = 2, 3
_REQUEST_ALL = 0x301
_MESSAGE = struct.Struct("=IHHII")
_ABOUT = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_OF_PEER, _OWN = 1, 2
_BYTES = {socket.AF_INET: 4, socket.AF_INET6: 16}


def machine_addresses() -> frozenset[IPAddress]:
    """The addresses of all interfaces now. Raises OSError where the kernel does not say."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.settimeout(_TIMEOUT_S)
        link.bind((0, 0))
        asked = _ABOUT.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        link.sendall(_MESSAGE.pack(_MESSAGE.size + len(asked), _GET_ADDRESSES, _REQUEST_ALL, 1, 0) + asked)
        found: set[IPAddress] = set()
        for kind, body in _messages(link):
            if kind == _ERROR:
                raise OSError(-struct.unpack_from("=i", body)[0], "the kernel does not list the addresses")
            if kind == _ADDRESS_FOLLOWS:
                found.update(_address(body))
        return frozenset(found)


def _messages(link: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each message until the last."""
    while True:
        piece = link.recv(_PIECE_BYTES)
        at = 0
        while at < len(piece):
            length, kind, *_ = _MESSAGE.unpack_from(piece, at)
            if kind == _DONE:
                return
            yield kind, piece[at + _MESSAGE.size : at + length]
            at += _aligned(length)


def _address(body: bytes) -> list[IPAddress]:
    """The address that a message tells of: of a link between two the own end, else the only one."""
    family, *_ = _ABOUT.unpack_from(body)
    told: dict[int, bytes] = {}
    at = _ABOUT.size
    while at < len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        told[kind] = body[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    data = told.get(_OWN) or told.get(_OF_PEER, b"")
    return [ipaddress.ip_address(data)] if len(data) == _BYTES.get(family) else []


def _aligned(length: int) -> int:
    return max(_ATTRIBUTE.size, (length + 3) & ~3)
