"""What the supervisor does beside looking after its crew: control, health, the configuration file, systemd."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mailward.supervisor.commands import Commands
from mailward.supervisor.control import Control
from mailward.supervisor.controlfiles import ControlFiles
from mailward.supervisor.health import Health
from mailward.supervisor.watch import Watched, digests

if TYPE_CHECKING:
    from mailward.supervisor.supervisor import Supervisor

_LOOK_S = 0.5
_PAUSE_S = 5.0


class Duties:
    """Runs them all between start and stop of the program."""

    def __init__(self, supervisor: Supervisor, stop: Callable[[], None]) -> None:
        self._supervisor = supervisor
        self._commands = Commands(supervisor, stop)
        self._control = Control(Path(supervisor.plan.state), self._commands.carry_out)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        supervisor = self._supervisor
        try:
            await self._control.open()
        except OSError as error:
            supervisor.log.error("control socket cannot be made", folder=supervisor.plan.state, problem=str(error))
        for work in (self._health, self._files, self._configuration, self._alive):
            self._tasks.append(asyncio.create_task(self._guarded(work)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._control.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                return await work()
            except Exception as error:  # a duty that fails must take neither the program nor itself away
                problem = f"{type(error).__name__}: {error}"
                self._supervisor.log.error("a duty of the supervisor failed", duty=work.__name__, problem=problem)
                await asyncio.sleep(_PAUSE_S)

    async def _health(self) -> None:
        health = Health(self._supervisor)
        while True:
            health.look()
            await asyncio.sleep(self._supervisor.plan.health_s)

    async def _files(self) -> None:
        files = ControlFiles(self._supervisor, self._commands)
        while True:
            await files.look()
            await asyncio.sleep(self._supervisor.plan.control_s)

    async def _configuration(self) -> None:
        supervisor, watched = self._supervisor, Watched()
        while True:
            files = supervisor.files
            if supervisor.plan.watch and watched.settled(files) and digests(files) != supervisor.tried:
                await supervisor.reload("configuration file changed")
            await asyncio.sleep(_LOOK_S)

    async def _alive(self) -> None:
        every_s = self._supervisor.notify.alive_every_s
        while every_s:
            self._supervisor.notify.alive()
            await asyncio.sleep(every_s)
