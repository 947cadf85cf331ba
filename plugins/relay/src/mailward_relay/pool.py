"""The pool: links kept open between messages, bounded for each host and in all (SAV-DLV-04, KAV-LIM-01)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from attrs import define, field

from mailward import NextHop, Tally
from mailward_relay.link import Link
from mailward_relay.ours import LoopError
from mailward_relay.settings import RelaySettings
from mailward_relay.unreachable import Attempt, Unreachable
from mailward_relay.wire import LinkError

STOP_TIMEOUT_S = 2.0
"""How long the goodbyes may take together when the pool is closed."""

FULL_WAIT_S = 0.05
"""How often it is asked whether other processes have left room, where none of our own links comes back before."""

_TOTAL = "relay.links"


@define(eq=False)
class _Idle:
    link: Link
    timer: asyncio.TimerHandle


@define(eq=False)
class _Host:
    """One next hop: its free places, who uses or awaits one, and the links that wait for work.

    ``limit`` is the cap for all processes, ``share`` what each of them may keep while others want links.
    """

    places: asyncio.Semaphore
    limit: int
    share: int
    key: str
    users: int = 0
    links: int = 0
    idle: list[_Idle] = field(factory=list)
    returned: asyncio.Event = field(factory=asyncio.Event)


class Pool:
    """Lends links. Those in use and those idle are together never more than the caps allow.

    The caps hold for all gateway processes together, but each of them may always have one link to a
    host; where a cap is reached, a process gives back what it has beyond its share. A link that is past
    its use says goodbye in the background and no longer counts.
    """

    def __init__(
        self,
        settings: RelaySettings,
        open_link: Callable[[NextHop], Awaitable[Link]],
        limit_of: Callable[[NextHop], int],
        unreachable: Unreachable,
        tally: Tally,
    ) -> None:
        """``limit_of`` says how many links a next hop may have; hosts in ``unreachable`` are not called."""
        self._settings = settings
        self._open = open_link
        self._limit_of = limit_of
        self._unreachable = unreachable
        self._tally = tally
        self._total = asyncio.Semaphore(settings.max_connections)
        self._links = 0
        self._hosts: dict[NextHop, _Host] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def lease(self, hop: NextHop, *, fresh: bool = False, attempt: Attempt | None = None) -> AsyncIterator[Link]:
        """A link for one transaction, kept or new; ``fresh``: new; ``attempt``: for which message.

        It goes back to the pool where it can carry another message, and is cut where the block was
        left by an exception: what the peer then has is the beginning of a message without its end.
        """
        shared = self._host(hop)
        shared.users += 1
        try:
            async with shared.places, self._total:
                link = await self._take(shared, hop, fresh, attempt)
                finished = False
                try:
                    yield link
                    finished = True
                finally:
                    self._give_back(shared, hop, link, finished)
        finally:
            shared.users -= 1
            self._forget(hop)

    def _host(self, hop: NextHop) -> _Host:
        shared = self._hosts.get(hop)
        if shared is None:
            limit = self._limit_of(hop)
            share = max(1, limit // self._tally.columns)
            shared = self._hosts[hop] = _Host(asyncio.Semaphore(limit), limit, share, f"relay.links {hop}")
        return shared

    async def _take(self, shared: _Host, hop: NextHop, fresh: bool, attempt: Attempt | None) -> Link:
        if fresh and shared.idle:
            # The oldest makes room for the new one, within the bound.
            self._part(hop, self._awake(shared, 0))
        kept = None if fresh else self._kept(shared, hop)
        if kept is not None:
            return kept
        known = self._unreachable.why(hop, attempt)
        if known is not None:
            raise known
        while (reached := self._enter(shared)) is not None:
            if reached is _TOTAL and self._make_room():
                continue
            shared.returned.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(shared.returned.wait(), FULL_WAIT_S)
            kept = None if fresh else self._kept(shared, hop)
            if kept is not None:
                return kept
        return await self._call(shared, hop, attempt)

    def _kept(self, shared: _Host, hop: NextHop) -> Link | None:
        """A link that waits for work and lives: the newest is the likeliest to."""
        while shared.idle:
            link = self._awake(shared, -1)
            if link.wire.usable:
                return link
            self._part(hop, link)
        return None

    @staticmethod
    def _awake(shared: _Host, place: int) -> Link:
        waiting = shared.idle.pop(place)
        waiting.timer.cancel()
        return waiting.link

    async def _call(self, shared: _Host, hop: NextHop, attempt: Attempt | None) -> Link:
        """A new link, which has been counted."""
        opened = False
        try:
            link = await self._open(hop)
            opened = True
        except LoopError:
            raise  # it could be reached, and is not to be
        except LinkError as fault:
            # A host that is talking to us in other links is not unreachable, it has enough of us.
            if shared.links == 1:
                self._unreachable.note(hop, fault, attempt)
            raise
        finally:
            if not opened:
                self._leave(shared)
        self._unreachable.forget(hop)
        return link

    def _enter(self, shared: _Host) -> str | None:
        """Count a link to a host; the key of the cap that is reached, where it may not be opened."""
        here = self._tally.add(shared.key, 1)
        total = self._tally.add(_TOTAL, 1)
        self._links += 1
        shared.links += 1
        most = self._settings.max_connections
        if shared.links == 1 and self._links <= most:
            return None
        reached = shared.key if here > shared.limit else _TOTAL if total > most else None
        if reached is not None:
            self._leave(shared)
        return reached

    def _leave(self, shared: _Host) -> None:
        self._tally.add(shared.key, -1)
        self._tally.add(_TOTAL, -1)
        self._links -= 1
        shared.links -= 1

    def _is_crowded(self, shared: _Host) -> bool:
        """Whether others may want what we have of a host beyond our share."""
        return self._tally.columns > 1 and shared.links > shared.share and self._tally.total(shared.key) >= shared.limit

    def _make_room(self) -> bool:
        """Part from the link that has been idle for longest, of any host; whether there was one."""
        for hop, shared in self._hosts.items():
            if shared.idle:
                self._part(hop, self._awake(shared, 0))
                self._forget(hop)
                return True
        return False

    def _give_back(self, shared: _Host, hop: NextHop, link: Link, finished: bool) -> None:
        if not finished:
            link.wire.abort()
            self._leave(shared)
        elif (
            self._closed
            or not self._settings.idle_s
            or link.messages >= self._settings.max_messages
            or not link.wire.usable
            or self._is_crowded(shared)
        ):
            self._part(hop, link)
        else:
            timer = asyncio.get_running_loop().call_later(self._settings.idle_s, self._expire, hop, link)
            shared.idle.append(_Idle(link, timer))
            shared.returned.set()

    def _expire(self, hop: NextHop, link: Link) -> None:
        shared = self._hosts[hop]
        shared.idle = [waiting for waiting in shared.idle if waiting.link is not link]
        self._part(hop, link)
        self._forget(hop)

    def _forget(self, hop: NextHop) -> None:
        shared = self._hosts.get(hop)
        if shared is not None and not shared.users and not shared.idle:
            del self._hosts[hop]

    def _part(self, hop: NextHop, link: Link) -> None:
        """Say goodbye in the background: nobody waits for it."""
        self._leave(self._hosts[hop])
        task = asyncio.get_running_loop().create_task(link.quit(self._settings.quit_timeout_s))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def close(self) -> None:
        """Part from all idle links, politely but not for long; those in use part when they come back."""
        self._closed = True
        for hop, shared in self._hosts.items():
            for waiting in shared.idle:
                waiting.timer.cancel()
                self._part(hop, waiting.link)
            shared.idle.clear()
        if self._farewells:
            farewells = list(self._farewells)
            _, late = await asyncio.wait(farewells, timeout=STOP_TIMEOUT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*farewells, return_exceptions=True)
