"""What an operator can tell the program, however he tells it: the verbs of `mailward ctl`, and control files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
from attrs import evolve

from mailward.supervisor.control import Answer, Request
from mailward.supervisor.figures import stats, status
from mailward.supervisor.folder import StateProblem

if TYPE_CHECKING:
    from mailward.supervisor.supervisor import Supervisor

SWITCHES: dict[str, tuple[str, bool]] = {
    "pause": ("deliver", False),
    "resume": ("deliver", True),
    "reject": ("accept", False),
    "accept": ("accept", True),
    "receive-on": ("receive", True),
    "receive-off": ("receive", False),
    "scan-on": ("scan", True),
    "scan-off": ("scan", False),
    "send-on": ("send", True),
    "send-off": ("send", False),
}
"""The verbs that throw a switch (SAV-DLV-01, SAV-DLV-02, KAV-MGT-01)."""

VERBS = (*SWITCHES, "reload", "status", "stats", "stop")


class Commands:
    """Carries verbs out. ``stop`` begins the end of the program, and returns at once."""

    def __init__(self, supervisor: Supervisor, stop: Callable[[], None]) -> None:
        self._supervisor = supervisor
        self._stop = stop
        self._others: dict[str, Callable[[str], Awaitable[Answer]]] = {
            "reload": self._reload,
            "status": self._status,
            "stats": self._stats,
            "stop": self._end,
        }

    async def carry_out(self, request: Request, by: str = "ctl") -> Answer:
        """Do what is asked; what came of it."""
        if request.verb in SWITCHES:
            return self._throw(*SWITCHES[request.verb], persist=request.persist, by=by)
        other = self._others.get(request.verb)
        return (
            await other(by) if other else Answer(False, f"there is no {request.verb!r}; there are {', '.join(VERBS)}")
        )

    def _throw(self, switch: str, on: bool, *, persist: bool, by: str) -> Answer:
        supervisor = self._supervisor
        try:
            supervisor.folder.keep(switch, on, persist=persist)
        except StateProblem as error:
            return Answer(False, str(error))
        before = supervisor.orders.switches
        supervisor.orders.switches = evolve(before, **{switch: on})
        if supervisor.orders.switches != before:
            supervisor.throw()
            supervisor.tell("switch_thrown", switch=switch, on=on, by=by)
        return Answer(True, f"{switch} is {'on' if on else 'off'}")

    async def _reload(self, by: str) -> Answer:
        outcome = await self._supervisor.reload(by)
        return Answer(outcome.ok, outcome.text, outcome.problems)

    async def _status(self, by: str) -> Answer:
        facts = await status(self._supervisor)
        return Answer(True, facts=msgspec.Raw(msgspec.json.encode(facts)))

    async def _stats(self, by: str) -> Answer:
        facts = await stats(self._supervisor)
        return Answer(True, facts=msgspec.Raw(msgspec.json.encode(facts)))

    async def _end(self, by: str) -> Answer:
        self._stop()
        return Answer(True, "ends once messages in progress are finished")
