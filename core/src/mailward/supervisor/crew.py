"""A crew: the gateway processes that work under one configuration, and are kept alive."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from time import monotonic
from typing import Any

from attrs import define, field

from mailward.gateway.link import Leave, Load, Message, Open, Plan, Prepare
from mailward.hooks.tally import Tally
from mailward.supervisor.child import Child, StartFailed
from mailward.supervisor.log import Log
from mailward.supervisor.reaper import Reaper
from mailward.supervisor.slots import Slots
from mailward.supervisor.sockets import Sockets
from mailward.values.errors import ConfigError
from mailward.values.switches import Switches

FIRST_LIMIT_S = 60.0
_STEADY_S = 60.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_DEAF_FROM_S = 1.0
_ASLEEP_S = 1.0
_END_S = 15.0


@define
class Orders:
    """What holds for all gateway processes: the switches, and what is short."""

    switches: Switches = field(factory=Switches)
    short: tuple[str, ...] = ()


@define(eq=False)
class Means:
    """What all crews share: see the classes. ``past`` are the counters of processes that have ended."""

    log: Log
    orders: Orders
    tell: Callable[..., None]
    tell_rest: Callable[[], None]
    reaper: Reaper = field(factory=Reaper)
    slots: Slots = field(factory=Slots)
    sockets: Sockets = field(factory=Sockets)
    past: dict[str, float] = field(factory=dict)
    restarts: int = 0

    def bury(self, child: Child) -> None:
        """Keep what an ended process has counted, and give back what was held for it; once."""
        if child.is_buried:
            return
        child.is_buried, child.is_open = True, False
        for name, value in child.beat.counters.items():
            self.past[name] = self.past.get(name, 0.0) + value
        child.forget()


class Crew:
    """First `ask`, then `prepare`, then `open`; at the end `leave` and `gone`."""

    def __init__(self, load: Load, means: Means) -> None:
        self._load = load
        self._means = means
        self._members: list[Child] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._slots: list[str] = []
        self._key = secrets.token_hex(16)
        self._tally = -1
        self.plan: Plan

    @property
    def living(self) -> list[Child]:
        """The processes that are there, by number."""
        return [child for child in self._members if not child.ended.done()]

    @property
    def unburied(self) -> list[Child]:
        """The processes whose counters are not among those of ended ones yet."""
        return [child for child in self._members if not child.is_buried]

    async def ask(self) -> Plan:
        """Have a first process read the configuration. Raises ConfigError, StartFailed."""
        child = Child(self._means.reaper)
        self._members.append(child)
        self.plan = await child.load(self._load, FIRST_LIMIT_S)
        return self.plan

    async def prepare(self) -> int:
        """Start everything but the listening; how many messages were found. Raises ConfigError, StartFailed."""
        count = self.plan.gateways
        self._tally = Tally.make(count)
        self._slots = [self._means.slots.take() for _ in range(count)]
        found = await asyncio.gather(*(self._prepare(number) for number in range(count)))
        return sum(found)

    async def _prepare(self, number: int) -> int:
        if number < len(self._members):
            child = self._members[number]
        else:
            child = Child(self._means.reaper)
            self._members.append(child)
            # the ones after the first are there before any of them goes on: the place is its number
            number = len(self._members) - 1
            await child.load(self._load, self.plan.start_s)
        return await self._start(child, number)

    async def _start(self, child: Child, number: int) -> int:
        plan, means = self.plan, self._means
        prepare = Prepare(
            number=number,
            slot=self._slots[number],
            in_use=means.slots.in_use,
            columns=plan.gateways,
            key=self._key,
            workers=-(-plan.workers // plan.gateways),
            beat_s=min(1.0, plan.hang_s / 4),
            listen=tuple(point.listener for point in plan.listen),
            switches=means.orders.switches,
            short=means.orders.short,
        )
        sockets = means.sockets.of(plan.listen, number)
        return (await child.prepare(prepare, self._tally, sockets, plan.start_s)).recovered

    async def open(self) -> tuple[str, ...]:
        """Listen; where. From now on whoever ends is started again. Raises StartFailed."""
        self.say(Open())
        opened = await asyncio.gather(*(child.opened(self.plan.start_s) for child in self._members))
        self._keepers = [
            asyncio.create_task(self._keep(number), name=f"keeper-{number}") for number in range(self.plan.gateways)
        ]
        return opened[0].listening

    def say(self, message: Message) -> None:
        """Say something to every process."""
        for child in self._members:
            child.say(message)

    async def _keep(self, number: int) -> None:
        """Start the process of this number again whenever it ends, after a wait that grows."""
        failures = 0
        while True:
            child = self._members[number]
            reason, where = await self._end_of(child)
            self._means.restarts += 1
            steady = child.is_open and monotonic() - child.started_at > _STEADY_S
            failures = 0 if steady else failures + 1
            wait_s = 0.0 if failures == 0 else min(_FIRST_WAIT_S * 2 ** (failures - 1), _LONGEST_WAIT_S)
            self._means.log.error("gateway process ended", pid=child.pid, reason=reason, where=where, again_s=wait_s)
            self._means.tell("gateway_died", pid=child.pid, reason=reason, where=where, again_s=wait_s)
            self._means.bury(child)
            Tally.clear(self._tally, number)
            if wait_s >= _DEAF_FROM_S:
                self._means.sockets.deafen(number)
            await asyncio.sleep(wait_s)
            await self._replace(number)

    async def _replace(self, number: int) -> None:
        child = None
        try:
            child = self._members[number] = Child(self._means.reaper)
            await child.load(self._load, self.plan.start_s)
            await self._start(child, number)
            child.say(Open())
            await child.opened(self.plan.start_s)
            self._means.tell_rest()
        except (ConfigError, StartFailed) as error:
            self._means.log.error("gateway process does not start", problem=str(error))
            if child is not None:
                child.kill()

    async def _end_of(self, child: Child) -> tuple[str, str]:
        """Wait until a process ends, or hangs and is killed; why, and where it was."""
        hang_s = self.plan.hang_s
        step_s = min(1.0, hang_s / 4)
        while not child.ended.done():
            before = monotonic()
            await asyncio.wait([child.ended], timeout=step_s)
            if monotonic() - before > step_s + _ASLEEP_S:
                child.heard_at = monotonic()  # it was we who slept
            if child.is_open and monotonic() - child.heard_at > hang_s and not child.ended.done():
                where = await child.where()
                child.kill()
                await child.ended
                return f"gave no sign of life for {hang_s:g} s and was killed", where
        return f"ended {child.how()}".strip(), ""

    def leave(self, limit_s: float, *, stopped: bool = False) -> None:
        """Let messages in progress finish, then end; with ``stopped`` observers are told of the program's end."""
        self._let_go()
        for child in self._members:
            child.say(Leave(limit_s, stopped and child.number == 0))

    async def left(self, limit_s: float) -> None:
        """Wait until none of them takes connections any more, for so long at most."""
        if self._members:
            await asyncio.wait([child.left for child in self._members], timeout=limit_s)

    async def gone(self, limit_s: float) -> None:
        """Wait until all have ended; those that take longer than ``limit_s`` and a grace are killed."""
        ends = [child.ended for child in self._members]
        _, late = await asyncio.wait(ends, timeout=limit_s + _END_S) if ends else (set(), set[Any]())
        if late:
            self._means.log.warning("gateway processes did not end in time and are killed", count=len(late))
            self.kill()
            await asyncio.wait(ends)
        self._forget()

    async def give_up(self) -> None:
        """End all processes now."""
        self._let_go()
        self.kill()
        ends = [child.ended for child in self._members]
        if ends:
            await asyncio.wait(ends)
        self._forget()

    def kill(self) -> None:
        """End all processes now, without waiting."""
        for child in self._members:
            child.kill()

    def _let_go(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        self._keepers = []

    def _forget(self) -> None:
        for child in self._members:
            self._means.bury(child)
        self._members = []
        for slot in self._slots:
            self._means.slots.orphan(slot)
        self._slots = []
        if self._tally >= 0:
            os.close(self._tally)
            self._tally = -1
