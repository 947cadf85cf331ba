"""Addresses to listen on: ``host:port``, ``[v6]:port``, ``:port`` (all addresses)."""

from __future__ import annotations

import ipaddress
import socket

from attrs import frozen

from mailward.values.errors import ConfigError, Problem


@frozen
class Listen:
    """A host (empty: all) and a port (0: any free one)."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, source: str = "", key: str = "gateway.listen") -> Listen:
        """Read ``host:port``; raises ConfigError that names the setting ``key``."""
        host, colon, port = text.rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()) or not 0 <= int(port) <= 65_535:
            allowed = "127.0.0.1:25, [::1]:25, or :25 for all addresses; ports 0 to 65535"
            raise ConfigError(source, [Problem(key, "is not an address and a port", repr(text), allowed)])
        return cls(host.strip("[]"), int(port))

    def bind(self, source: str = "", *, reuse_port: bool = False) -> socket.socket:
        """A bound socket, not yet listening. Raises ConfigError that says what to do.

        With ``reuse_port`` other sockets of this user that have it too may be bound to the same address.
        """
        family = socket.AF_INET6 if ":" in self.host or not self.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6 and not self.host:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            bound.bind((self.host, self.port))
        except OSError as error:
            bound.close()
            advice = {
                13: "ports below 1024 need the capability CAP_NET_BIND_SERVICE, or choose a higher port",
                98: "another program listens there: stop it, or choose another port",
                99: "this machine does not have the address",
            }.get(error.errno or 0, "choose another address")
            raise ConfigError(
                source, [Problem("gateway.listen", f"cannot be used: {error.strerror}", str(self), advice)]
            ) from error
        return bound

    @property
    def place(self) -> tuple[str, int]:
        """Host and port in one spelling, so that two ways to write one place are seen to be one.

        A name is looked up; one that has no address now is itself.
        """
        host = self.host or "::"
        try:
            return str(ipaddress.ip_address(host.partition("%")[0])), self.port
        except ValueError:
            pass
        try:
            return socket.gethostbyname(host), self.port
        except OSError:
            return host.lower(), self.port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
