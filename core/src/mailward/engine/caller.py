"""The caller: asks one instance one hook, attributes what comes back, and names what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from attrs import evolve, frozen

from mailward.engine.bridge import Bridge, fault
from mailward.engine.instance import Instance
from mailward.hooks.failure import OnFailure
from mailward.hooks.markers import HookInfo
from mailward.values.action import Defer
from mailward.values.check import Check
from mailward.values.decision import Call, Decision
from mailward.values.errors import MailwardError, PluginFault
from mailward.values.finding import Finding, Kind

Progress = Callable[[str, str, str], None]
"""Told plugin, hook and part before each call, so that a process that dies in it can be attributed."""


@frozen
class Outcome:
    """What came of one call: the answers, or a failure; and the record of it."""

    answers: tuple[Any, ...]
    call: Call

    @property
    def failed(self) -> bool:
        """Whether the plugin failed (its on_failure applies)."""
        return bool(self.call.failure)


def _quiet(plugin: str, hook: str, part: str) -> None:
    return None


class Caller:
    """Calls hooks through a bridge. ``remaining_s`` of a call caps the plugin's own time-out."""

    def __init__(self, bridge: Bridge, progress: Progress = _quiet) -> None:
        self._bridge = bridge
        self._progress = progress

    async def ask(
        self,
        instance: Instance,
        hook: HookInfo,
        arguments: dict[str, Any],
        *,
        part: str = "",
        remaining_s: float = float("inf"),
        collect: Callable[[Any], Any] | None = None,
        timeout_s: float | None = None,
    ) -> Outcome:
        """Ask ``instance`` for ``hook``; a plugin's failure is an outcome, not an exception.

        Exceptions that the hook may raise by contract (`HookInfo.raises`) pass through.
        """
        implementation = instance.implementations[hook.name]
        passed = {name: arguments[name] for name in implementation.parameters}
        self._progress(instance.name, hook.name, part)
        started = monotonic()
        limit_s = min(instance.timeout_s if timeout_s is None else timeout_s, remaining_s)
        try:
            answers = await self._bridge.call(
                implementation,
                passed,
                collect or _gather(hook),
                max(limit_s, 0.001),
            )
        except hook.raises:
            raise
        except MailwardError as error:
            problem = error if isinstance(error, PluginFault) else fault(error)
            elapsed_ms = (monotonic() - started) * 1000
            return Outcome((), Call(instance.name, hook.name, elapsed_ms, part, problem.failure, problem.detail))
        elapsed_ms = (monotonic() - started) * 1000
        attributed = tuple(_attribute(answer, instance, elapsed_ms) for answer in answers) if answers else ()
        return Outcome(attributed, Call(instance.name, hook.name, elapsed_ms, part))


def _gather(hook: HookInfo) -> Callable[[Any], tuple[Any, ...]]:
    """Collect answers and check their types against the hook's contract."""

    def collect(answer: Any) -> tuple[Any, ...]:
        if answer is None:
            return ()
        if isinstance(answer, hook.returns):
            return (answer,)
        if not hook.many or isinstance(answer, (str, bytes, dict)) or not isinstance(answer, Iterable):
            raise PluginFault("type", _wrong(hook, answer))
        answers = tuple(item for item in answer if item is not None)
        for item in answers:
            if not isinstance(item, hook.returns):
                raise PluginFault("type", _wrong(hook, item))
        return answers

    return collect


def _wrong(hook: HookInfo, answer: object) -> str:
    allowed = " or ".join(kind.__name__ for kind in hook.returns) or "nothing"
    return f"returned {type(answer).__name__}; {hook.name} may return {allowed} or None"


def _attribute(answer: Any, instance: Instance, elapsed_ms: float) -> Any:
    if isinstance(answer, Finding):
        return evolve(
            answer,
            plugin=instance.name,
            elapsed_ms=round(elapsed_ms, 3),
            shadow=instance.shadow or answer.shadow,
        )
    if isinstance(answer, Decision):
        return evolve(answer, plugin=instance.name, shadow=instance.shadow or answer.shadow)
    if isinstance(answer, Check):
        return evolve(answer, plugin=instance.name)
    return answer


_FAILURE_FINDINGS: dict[OnFailure, tuple[Kind, bool]] = {
    OnFailure.DEFER: (Kind.FAILURE, True),
    OnFailure.UNCHECKED: (Kind.UNCHECKED, False),
    OnFailure.IGNORE: (Kind.NOTE, False),
}


def failure_finding(instance: Instance, call: Call) -> Finding:
    """The finding that a failed call leaves: the one place where on_failure becomes an effect."""
    kind, defers = _FAILURE_FINDINGS[instance.on_failure]
    return Finding(
        kind,
        instance.name,
        "failure",
        call.part,
        name=call.failure,
        detail=f"{call.hook} {call.failure}: {call.detail}",
        action=Defer() if defers else None,
        elapsed_ms=round(call.elapsed_ms, 3),
        shadow=instance.shadow,
    )
