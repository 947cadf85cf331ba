"""The next hops of a route: hosts by weight, then the backups (fail-over and sharing of load)."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from mailward import NextHop
from mailward_relay.route_settings import RouteSettings
from mailward_relay.targets import LMTP_PORT, SMTP_PORT, parse_host


@frozen
class RouteHops:
    """The hosts of one route with their weights, and what stands behind them."""

    weighted: tuple[tuple[NextHop, int], ...]
    backup: tuple[NextHop, ...]

    @classmethod
    def read(cls, name: str, route: RouteSettings, resolve_path: Callable[[str], Path]) -> RouteHops:
        """The hops of ``[relay.route.NAME]``; raises ValueError with a message for the administrator."""

        def hop(text: str) -> NextHop:
            try:
                return _hop(text, name, route, resolve_path)
            except ValueError as error:
                raise ValueError(f"{text!r} {error}") from error

        if route.backup and not route.hosts:
            raise ValueError("has backup hosts and no hosts; name the ordinary ones in hosts")
        return cls(tuple((hop(text), weight) for text, weight in route.hosts.items()), tuple(map(hop, route.backup)))

    @property
    def all(self) -> tuple[NextHop, ...]:
        """Every host."""
        return tuple(hop for hop, _ in self.weighted) + self.backup

    def ordered(self, seed: str) -> tuple[NextHop, ...]:
        """The hops in the order in which they are tried: equal for an equal ``seed``, else drawn by weight.

        One message has one seed, so that its recipients travel together.
        """
        if len(self.weighted) == 1:
            return self.all
        draw = random.Random(seed)
        # Efraimidis and Spirakis: the keys u^(1/w) sort as drawing by weight without putting back would.
        keyed = [(draw.random() ** (1 / weight), place) for place, (_, weight) in enumerate(self.weighted)]
        return tuple(self.weighted[place][0] for _, place in sorted(keyed, reverse=True)) + self.backup


def _hop(text: str, name: str, route: RouteSettings, resolve_path: Callable[[str], Path]) -> NextHop:
    transport = "lmtp" if route.lmtp else "smtp"
    if route.lmtp and "/" in text:
        return NextHop(transport, path=str(resolve_path(text)), route=name)
    found = parse_host(text.strip(), LMTP_PORT if route.lmtp else 465 if route.implicit_tls else SMTP_PORT, transport)
    return NextHop(transport, found.host, found.port, route=name)
