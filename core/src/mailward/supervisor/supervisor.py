"""The supervisor: start, reload, stop; what happens in between is done by its crew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
from attrs import evolve, field, frozen

from mailward.gateway.link import Adopt, Load, Plan, Tell, Throw
from mailward.gateway.privileges import account, become, own, raise_descriptors
from mailward.supervisor.child import StartFailed
from mailward.supervisor.crew import Crew, Means, Orders
from mailward.supervisor.folder import StateFolder
from mailward.supervisor.log import Log
from mailward.supervisor.notify import Notify
from mailward.supervisor.watch import digests, read_bounded
from mailward.values.errors import ConfigError, Problem

BUILT_IN = "built-in defaults"
_ADOPT_S = 60.0
_LEFT_S = 5.0
_BIND_PATIENCE_S = 5.0
_MAX_UNTOLD = 100
_DESCRIPTORS = "raise the limit of open files, or lower gateway.max_connections or delivery.concurrency"
_FIXED = ("state", "user", "group")
"""What only a new start can change."""


@frozen
class Outcome:
    """What came of a command: whether it was done, what to say, and what was wrong with a configuration."""

    ok: bool
    text: str
    problems: tuple[Problem, ...] = field(default=())


class Supervisor:
    """One program: its crew, what it is told, and what it tells."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.log = Log()
        self.notify = Notify()
        self.orders = Orders()
        self.means = Means(self.log, self.orders, self.tell, self.tell_rest)
        self.started_at = monotonic()
        self.crew: Crew
        self.listening: tuple[str, ...] = ()
        self.leaving: set[Crew] = set()
        self.reloads = 0
        self.tried: dict[str, bytes] = {}
        self._reload_waits = False
        self._recovered = 0
        self._ending = False
        self._reloading = asyncio.Lock()
        self._adopting = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._untold: list[Tell] = []
        self._folder: StateFolder | None = None

    @property
    def folder(self) -> StateFolder:
        """The state folder, once the program has started."""
        assert self._folder is not None
        return self._folder

    @property
    def plan(self) -> Plan:
        """What the configuration in force asks for."""
        return self.crew.plan

    @property
    def files(self) -> tuple[str, ...]:
        """The files that make the configuration: its own, and those of plugins that it names."""
        return () if self.path is None else (str(self.path), *self.plan.files)

    def read(self) -> Load:
        """The configuration file as it is now. Raises ConfigError."""
        if self.path is None:
            return Load(None, BUILT_IN, str(Path.cwd()))
        try:
            # a pipe or a terminal can be read once, at the start
            again = bool(self.listening) or self.path.is_file()
            text = read_bounded(self.path).decode() if again else self.path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(str(self.path), [Problem("file", f"cannot be read: {error}")]) from error
        return Load(text, str(self.path), str(self.path.resolve().parent))

    async def start(self) -> None:
        """Start the program. Raises ConfigError, StartFailed, StateProblem: nothing runs then."""
        self.means.reaper.start()
        seen = {} if self.path is None else digests((str(self.path),))
        descriptors = raise_descriptors()
        self.crew = Crew(self.read(), self.means)
        try:
            plan = await self.crew.ask()
            self.log.configure(plan.log_level, plan.log_format)
            if plan.descriptors > descriptors:
                self.log.warning("descriptors", needed=plan.descriptors, limit=descriptors, advice=_DESCRIPTORS)
            who = account(plan.user, plan.group, plan.source)
            own(Path(plan.state), who, plan.source)
            folder = StateFolder(Path(plan.state))
            self.means.sockets.bind(plan.listen, plan.gateways, plan.source, _BIND_PATIENCE_S)
            become(who)
            folder.begin()
            self._folder = folder
            self.orders.switches = folder.switches()
            recovered = await self.crew.prepare()
            self.listening = await self.crew.open()
        except BaseException:
            await self.crew.give_up()
            raise
        self.tried = digests(self.files) | seen
        self._recovered = recovered

    def say_ready(self) -> None:
        """Tell everybody that the program accepts mail."""
        plan = self.plan
        self.tell("started", listen=self.listening, recovered=self._recovered, after_crash=self.folder.after_crash)
        self.log.info(
            "ready",
            listen=list(self.listening),
            plugins=list(plan.plugins),
            config=plan.source,
            state=plan.state,
            gateways=plan.gateways,
        )
        self.notify.ready(f"accepts mail at {', '.join(self.listening)}")

    def reload_soon(self, by: str) -> None:
        """Begin a reload; what comes of it is told to the observers. One that waits for its turn stands for all."""
        if not self._reload_waits:
            self._reload_waits = True
            self._later(self.reload(by))

    async def reload(self, by: str) -> Outcome:
        """Put the configuration file in force, all of it or nothing of it."""
        async with self._reloading:
            self._reload_waits = False
            self.notify.reloading()
            self.tried = digests(self.files)
            try:
                outcome = await self._change(by)
            except (ConfigError, StartFailed) as error:
                problems = tuple(error.problems) if isinstance(error, ConfigError) else ()
                texts = [str(problem) for problem in problems] or [str(error)]
                self.tell("configuration_refused", source=self.plan.source, problems=texts, reason=by)
                outcome = Outcome(False, "the configuration is wrong; the one before stays in force", problems)
                if not problems:
                    outcome = evolve(outcome, text=f"{error}; the configuration before stays in force")
            self.notify.ready(f"accepts mail at {', '.join(self.listening)}")
            return outcome

    async def _change(self, by: str) -> Outcome:
        before, crew = self.crew, Crew(self.read(), self.means)
        try:
            plan = await crew.ask()
            fixed = [
                Problem(_KEYS[name], "cannot change while the program runs; stop it and start it again")
                for name in _FIXED
                if getattr(plan, name) != getattr(before.plan, name)
            ]
            if fixed:
                raise ConfigError(plan.source, fixed)
            self.means.sockets.bind(plan.listen, plan.gateways, plan.source)
            await crew.prepare()
            if self._ending:
                raise StartFailed("the program ends")
            listening = await crew.open()
        except BaseException:
            await crew.give_up()
            self.means.sockets.keep(before.plan.listen, before.plan.gateways)
            self._later(self._adopt())
            raise
        self.crew, self.listening = crew, listening
        self.log.configure(plan.log_level, plan.log_format)
        # what was changed since it was read is still to be tried
        self.tried = {file: self.tried.get(file) or found for file, found in digests(self.files).items()}
        self.reloads += 1
        self.leaving.add(before)
        before.leave(before.plan.reload_s)
        self._later(self._see_off(before, before.plan.reload_s))
        self.means.sockets.keep(plan.listen, plan.gateways)
        await before.left(_LEFT_S)  # who connects when the change is told is served under the new configuration
        self.tell("configuration_changed", source=plan.source, reason=by, listen=listening)
        return Outcome(True, f"{plan.source} is in force")

    async def _see_off(self, crew: Crew, limit_s: float) -> None:
        await crew.gone(limit_s)
        self.leaving.discard(crew)
        await self._adopt()

    async def _adopt(self) -> None:
        """Have the mail of ended processes taken over by one that lives."""
        async with self._adopting:
            slots = self.means.slots.orphans
            for child in self.crew.living:
                if not slots:
                    return
                try:
                    count = await child.adopted(Adopt(self.means.slots.in_use), _ADOPT_S)
                except TimeoutError:
                    continue
                self.means.slots.adopted(slots)
                if count:
                    self.log.info("mail of ended processes taken over", messages=count, by=child.pid)
                return

    def throw(self) -> None:
        """Make the orders known to all processes, those that leave included."""
        for crew in (self.crew, *self.leaving):
            crew.say(Throw(self.orders.switches, self.orders.short))

    def tell(self, event: str, **fields: Any) -> None:
        """Have the observers told, by the first process that lives; later where none does."""
        self._untold = [*self._untold, Tell(event, msgspec.Raw(msgspec.json.encode(fields)))][-_MAX_UNTOLD:]
        self.tell_rest()

    def tell_rest(self) -> None:
        """Have the observers told what could not be told when it happened."""
        child = next((child for child in self.crew.living if child.is_open), None)
        if child is not None:
            for message in self._untold:
                child.say(message)
            self._untold = []

    async def stop(self) -> None:
        """End in good order: messages in progress are finished within ``process.stop_s``."""
        self.notify.stopping()
        self._ending = True
        limit_s = self.plan.stop_s
        self.means.sockets.close()
        crews = [self.crew, *self.leaving]
        self.crew.leave(limit_s, stopped=True)
        for crew in self.leaving:
            crew.leave(limit_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(crew.gone(limit_s) for crew in crews))

    async def end_now(self) -> None:
        """End at once, in whatever state things are; what got 250 is on disk."""
        await asyncio.gather(*(crew.give_up() for crew in (self.crew, *self.leaving)))

    def finish(self) -> None:
        """Note that the end was wanted, and let the state folder go."""
        if self._folder is not None:
            self._folder.end()
            self._folder.close()

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error("supervisor", problem=f"{type(error).__name__}: {error}")


_KEYS = {"state": "spool.path", "user": "process.user", "group": "process.group"}
