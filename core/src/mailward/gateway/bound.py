"""Bound sockets, which several processes may hold."""

from __future__ import annotations

import contextlib
import socket

from attrs import frozen

from mailward.gateway.address import Listen


@frozen
class Bound:
    """A bound socket, and the name of the listener that it belongs to."""

    name: str
    socket: socket.socket

    @property
    def place(self) -> tuple[str, int]:
        """The address and the port that it is bound to."""
        host, port = self.socket.getsockname()[:2]
        return host, port

    @property
    def address(self) -> str:
        """Where it is bound."""
        return str(Listen(*self.place))


def deafen(bound: socket.socket) -> None:
    """End listening on a socket in every process that holds it; it stays bound, and can listen again."""
    with contextlib.suppress(OSError):  # it was not listening
        bound.shutdown(socket.SHUT_RDWR)
