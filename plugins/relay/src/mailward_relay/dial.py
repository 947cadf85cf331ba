"""Dialling: sockets to addresses and paths, from the addresses a route names."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from typing import Any

from attrs import frozen

from mailward_relay.wire import LinkError


@frozen
class Endpoint:
    """One place to connect to: an address and port, or the path of a socket."""

    address: str
    port: int = 0

    def __str__(self) -> str:
        if not self.port:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


async def connect(endpoint: Endpoint, source: dict[int, str], timeout_s: float) -> socket.socket:
    """A connected socket; raises LinkError. ``source`` is the own address by IP version, where one is wanted."""
    sock, target = _unconnected(endpoint, source)
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(sock, target)
    except OSError as error:
        sock.close()
        # asyncio's own text is a programmer's; the error number says it in the administrator's words.
        reason = os.strerror(error.errno) if error.errno else "timed out"
        raise LinkError(f"connecting to {_spoken(endpoint)}: {reason}") from error
    except BaseException:
        sock.close()
        raise
    return sock


def _spoken(endpoint: Endpoint) -> str:
    return f"{endpoint.address} port {endpoint.port}" if endpoint.port else endpoint.address


def _unconnected(endpoint: Endpoint, source: dict[int, str]) -> tuple[socket.socket, Any]:
    if not endpoint.port:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        return sock, endpoint.address
    version = ipaddress.ip_address(endpoint.address).version
    sock = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    if version in source:
        try:
            sock.bind((source[version], 0))
        except OSError as error:
            sock.close()
            raise LinkError(f"connecting from {source[version]}: {os.strerror(error.errno or 0)}") from error
    return sock, (endpoint.address, endpoint.port)
