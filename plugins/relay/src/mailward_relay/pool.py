"""The pool: links kept open between messages, bounded for each host (SAV-DLV-04, KAV-LIM-01)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from attrs import define, field

from mailward_relay.link import Link

STOP_TIMEOUT_S = 2.0
"""How long the goodbyes may take together when the pool is closed."""


@define(eq=False)
class _Idle:
    link: Link
    timer: asyncio.TimerHandle


@define(eq=False)
class _Host:
    """One next hop: its free places, who uses or awaits one, and the links that wait for work."""

    places: asyncio.Semaphore
    users: int = 0
    idle: list[_Idle] = field(factory=list)


class Pool:
    """Lends links. Those in use and those idle are together never more than ``max_per_host`` of a host.

    A link that is past its use says goodbye in the background and no longer counts.
    """

    def __init__(
        self,
        open_link: Callable[[str, int], Awaitable[Link]],
        *,
        max_per_host: int,
        max_messages: int,
        idle_s: float,
        quit_timeout_s: float,
    ) -> None:
        self._open = open_link
        self._max_per_host = max_per_host
        self._max_messages = max_messages
        self._idle_s = idle_s
        self._quit_timeout_s = quit_timeout_s
        self._hosts: dict[tuple[str, int], _Host] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def lease(self, host: str, port: int, *, fresh: bool = False) -> AsyncIterator[Link]:
        """A link for one transaction, kept or new; ``fresh``: new.

        It goes back to the pool where it can carry another message, and is cut where the block was
        left by an exception: what the peer then has is the beginning of a message without its end.
        """
        key = (host, port)
        shared = self._hosts.setdefault(key, _Host(asyncio.Semaphore(self._max_per_host)))
        shared.users += 1
        try:
            async with shared.places:
                link = await self._take(shared, host, port, fresh)
                finished = False
                try:
                    yield link
                    finished = True
                finally:
                    self._give_back(shared, key, link, finished)
        finally:
            shared.users -= 1
            self._forget(key)

    async def _take(self, shared: _Host, host: str, port: int, fresh: bool) -> Link:
        while shared.idle:
            # The newest is the likeliest to live; the oldest makes room for a fresh one, within the bound.
            waiting = shared.idle.pop(0 if fresh else -1)
            waiting.timer.cancel()
            if waiting.link.wire.usable and not fresh:
                return waiting.link
            self._part(waiting.link)
            if fresh:
                break
        return await self._open(host, port)

    def _give_back(self, shared: _Host, key: tuple[str, int], link: Link, finished: bool) -> None:
        if not finished:
            link.wire.abort()
        elif self._closed or self._idle_s == 0 or link.messages >= self._max_messages or not link.wire.usable:
            self._part(link)
        else:
            timer = asyncio.get_running_loop().call_later(self._idle_s, self._expire, key, link)
            shared.idle.append(_Idle(link, timer))

    def _expire(self, key: tuple[str, int], link: Link) -> None:
        shared = self._hosts[key]
        shared.idle = [waiting for waiting in shared.idle if waiting.link is not link]
        self._part(link)
        self._forget(key)

    def _forget(self, key: tuple[str, int]) -> None:
        shared = self._hosts.get(key)
        if shared is not None and not shared.users and not shared.idle:
            del self._hosts[key]

    def _part(self, link: Link) -> None:
        """Say goodbye in the background: nobody waits for it."""
        task = asyncio.get_running_loop().create_task(link.quit(self._quit_timeout_s))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def close(self) -> None:
        """Part from all idle links, politely but not for long; those in use part when they come back."""
        self._closed = True
        for shared in self._hosts.values():
            for waiting in shared.idle:
                waiting.timer.cancel()
                self._part(waiting.link)
            shared.idle.clear()
        if self._farewells:
            farewells = list(self._farewells)
            _, late = await asyncio.wait(farewells, timeout=STOP_TIMEOUT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*farewells, return_exceptions=True)
