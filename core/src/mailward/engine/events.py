"""Events on their way to observers: a bounded backlog and one task; mail never waits."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from attrs import evolve

from mailward.engine.caller import Caller
from mailward.engine.instance import Instance
from mailward.hooks.clock import Clock
from mailward.hooks.log import get_logger
from mailward.hooks.markers import HookInfo
from mailward.values.event import Event

Listener = Callable[[Event], None]


class EventBus:
    """Takes events from anywhere in the process and tells listeners at once and plugins in turn.

    Where the backlog of the plugins is full the oldest event is given up and counted in ``lost``.
    """

    def __init__(self, caller: Caller, hook: HookInfo, clock: Clock, backlog: int = 10_000) -> None:
        self._caller = caller
        self._hook = hook
        self._clock = clock
        self._backlog: deque[Event] = deque()
        self._size = backlog
        self._listeners: list[Listener] = []
        self._observers: tuple[Instance, ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self.lost = 0

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called with every event, in the emitter's turn: it must be quick."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell everybody; never blocks. Works before `start` too (plugins hear it later)."""
        if not event.at:
            event = evolve(event, at=self._clock.time())
        for listener in self._listeners:
            listener(event)
        if not self._observers and self._task is not None:
            return
        if len(self._backlog) >= self._size:
            self._backlog.popleft()
            self.lost += 1
        self._backlog.append(event)
        if self._loop is None or threading.get_ident() == self._thread:
            self._wake.set()
        else:
            self._loop.call_soon_threadsafe(self._wake.set)

    def start(self, observers: tuple[Instance, ...]) -> None:
        """Begin to tell ``observers`` (instances that implement `event`)."""
        self._observers = observers
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._task = self._loop.create_task(self._run())

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Tell what is in the backlog, for at most ``timeout_s``, then end."""
        if self._task is None:
            return
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self._backlog and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = self._loop = None

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._backlog:
                event = self._backlog[0]
                for instance in self._observers:
                    outcome = await self._caller.ask(instance, self._hook, {"event": event})
                    if outcome.failed:
                        get_logger().error(
                            "observer failed", plugin=instance.name, event_name=event.name, detail=outcome.call.detail
                        )
                if self._backlog and self._backlog[0] is event:
                    self._backlog.popleft()
