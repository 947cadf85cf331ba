"""Which mail hosts are this gateway itself: mail sent to them would come round (RFC 5321 section 5.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from mailward import Expiring, Ourselves, OwnAddresses, PeerError, Resolver
from mailward_relay.hosts import Hosts, parse_network
from mailward_relay.targets import is_name
from mailward_relay.wire import LinkError

LOOK_UP_S = 5.0
"""For the addresses of all hosts of a domain; whoever has given none by then is looked at when he is called."""

LEARNED_S = 3600.0


class LoopError(LinkError):
    """A mail host turned out to be this gateway when it was called."""


def is_address(entry: str) -> bool:
    """Whether an entry of ``also_known_as`` stands for addresses; raises ValueError where it is no name either."""
    try:
        parse_network(entry)
    except ValueError:
        if is_name(entry.strip().lower().rstrip(".")) and not entry.strip()[-1:].isdigit():
            return False
        raise ValueError(
            f"{entry!r} is neither a host name nor an address; allowed: mx.example.com, 192.0.2.1, 192.0.2.0/28"
        ) from None
    return True


class Ours:
    """Tells mail hosts that are ourselves from others.

    We are at the addresses and under the name that the core knows of, at what ``also`` names besides, and
    for an hour at an address where we have met ourselves.
    """

    def __init__(
        self,
        ourselves: Ourselves,
        also: Iterable[str],
        port: int,
        resolver: Resolver,
        monotonic: Callable[[], float],
        log: Any,
    ) -> None:
        """``port`` is the one that mail hosts are called at."""
        entries = tuple(also)
        self._ourselves = ourselves
        self._names = frozenset(entry.strip().lower().rstrip(".") for entry in entries if not is_address(entry))
        self._addresses = Hosts(entry for entry in entries if is_address(entry))
        self._named_addresses = any(map(is_address, entries))
        self._port = port
        self._resolver = resolver
        self._log = log
        self._learned: Expiring[str, bool] = Expiring(monotonic)
        self._told = False
        self.version = 0
        """Changes when an address is learned: what was found out before may be wrong."""

    def is_named(self, host: str) -> bool:
        """Whether a host is ours by its name."""
        return self._ourselves.is_named(host) or host.lower().rstrip(".") in self._names

    def is_at(self, address: str) -> bool:
        """Whether a connection to an address would end at ourselves."""
        return self._is_ours(address, self._here())

    async def among(self, hosts: Iterable[str]) -> frozenset[str]:
        """Those of some mail hosts that are ourselves, by their names or one of their addresses."""
        named, others = set(), []
        for host in dict.fromkeys(hosts):
            if self.is_named(host):
                named.add(host)
            else:
                others.append(host)
        here = self._here()
        if not here and not self._named_addresses and not len(self._learned):
            return frozenset(named)
        found = await self._look_up(others)
        return frozenset(named | {host for host, at in found.items() if any(self._is_ours(one, here) for one in at)})

    def learn(self, address: str) -> None:
        """We have met ourselves at this address."""
        if self._learned.get(address) is None:
            self.version += 1
        self._learned.put(address, True, LEARNED_S)

    def _is_ours(self, address: str, here: OwnAddresses) -> bool:
        return address in here or address in self._addresses or self._learned.get(address) is not None

    def _here(self) -> OwnAddresses:
        try:
            return self._ourselves.at(self._port)
        except OSError as error:
            if not self._told:
                self._told = True
                advice = "name them in relay.also_known_as"
                self._log.warning("the addresses of this machine cannot be read", detail=str(error), advice=advice)
            return OwnAddresses(loopback=True)

    async def _look_up(self, hosts: list[str]) -> dict[str, tuple[str, ...]]:
        """The addresses of hosts, as far as DNS gives them in time."""
        if not hosts:
            return {}
        tasks = {host: asyncio.create_task(self._resolver.addresses(host)) for host in hosts}
        done, late = await asyncio.wait(tasks.values(), timeout=LOOK_UP_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return {host: _result(task) for host, task in tasks.items() if task in done}


def _result(task: asyncio.Task[tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return task.result()
    except PeerError:
        return ()
