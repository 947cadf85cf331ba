"""The sockets that gateway processes listen on, bound once and kept from one configuration to the next."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterable

from mailward.gateway.address import Listen
from mailward.gateway.bound import deafen
from mailward.gateway.link import Point
from mailward.values.errors import ConfigError

_STEP_S = 0.05


class Sockets:
    """One socket for each address and gateway process, all of them with SO_REUSEPORT.

    A gateway that is replaced hands its socket on, so that nobody who connects in between is refused.
    Where the system lets no more be bound (a port below 1024, after root was given up) gateways share.
    """

    def __init__(self) -> None:
        self._held: dict[str, list[socket.socket]] = {}

    def bind(self, listen: Iterable[Point], count: int, source: str, patience_s: float = 0.0) -> None:
        """Have sockets for these addresses and so many processes. Raises ConfigError; nothing changed then.

        An address in use is tried again for ``patience_s`` seconds: processes of a program that was
        killed need a moment to go.
        """
        fresh: list[tuple[str, socket.socket]] = []
        try:
            for point in listen:
                held = list(self._held.get(_key(point), ()))
                while len(held) < count:
                    made = self._one(Listen.parse(point.address, source), held, source, patience_s)
                    if made is None:
                        break
                    held.append(made)
                    fresh.append((_key(point), made))
        except ConfigError:
            for _, made in fresh:
                made.close()
            raise
        for key, made in fresh:
            self._held.setdefault(key, []).append(made)

    def _one(self, listen: Listen, held: list[socket.socket], source: str, patience_s: float) -> socket.socket | None:
        if not held and listen.port in self._ports:
            # no stranger has it: we do, under another name (0.0.0.0 instead of 127.0.0.1)
            return listen.bind(source, reuse_port=True)
        if not held:
            return _first(listen, source, patience_s)
        host, port = held[0].getsockname()[:2]
        try:
            return Listen(listen.host and host, port).bind(source, reuse_port=True)
        except ConfigError:
            return None

    @property
    def _ports(self) -> set[int]:
        return {held[0].getsockname()[1] for held in self._held.values()}

    def of(self, listen: Iterable[Point], number: int) -> list[socket.socket]:
        """The sockets of one gateway process, in the order of the addresses."""
        held = [self._held[_key(point)] for point in listen]
        return [sockets[number % len(sockets)] for sockets in held]

    def keep(self, listen: Iterable[Point], count: int) -> None:
        """Give up all sockets but those of these addresses and so many processes."""
        wanted = {_key(point) for point in listen}
        for key, held in list(self._held.items()):
            left = count if key in wanted else 0
            for one in held[left:]:
                one.close()
            self._held[key] = held[:left]
            if not left:
                del self._held[key]

    def deafen(self, number: int) -> None:
        """Let nobody connect to one gateway process; the system gives its share to the others."""
        for held in self._held.values():
            if number < len(held):
                deafen(held[number])

    def close(self) -> None:
        """Give up all sockets."""
        self.keep((), 0)


def _key(point: Point) -> str:
    """What a socket is kept under: its address; of those with a port of the system's choice each listener has one."""
    return f"{point.listener} {point.address}" if point.address.endswith(":0") else point.address


def _first(listen: Listen, source: str, patience_s: float) -> socket.socket:
    """The first socket of an address: only where nobody else has it, whatever options he bound it with."""
    end = time.monotonic() + patience_s
    while True:
        try:
            with listen.bind(source) as probe:
                port = probe.getsockname()[1]
            return Listen(listen.host, port).bind(source, reuse_port=True)
        except ConfigError as error:
            cause = error.__cause__
            in_use = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
            if not in_use or time.monotonic() >= end:
                raise
            time.sleep(_STEP_S)
