"""Async hooks are awaited as asyncio awaits, though their first step is made without a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mailward.engine.bridge import Bridge, ThreadBridge, TimerBridge
from mailward.engine.instance import Implementation
from mailward.values.errors import PluginFault

BRIDGES = [TimerBridge, ThreadBridge]
Hook = Callable[[list[str]], Awaitable[str]]


def call(bridge: type[Bridge], hook: Hook, timeout_s: float = 20.0) -> tuple[Any, list[str]]:
    """What a hook answered, and what it noted down."""
    notes: list[str] = []
    implementation = Implementation(hook, ("notes",), is_async=True)

    async def main() -> Any:
        return await bridge().call(implementation, {"notes": notes}, lambda answer: answer, timeout_s)

    return asyncio.run(main()), notes


async def never_waits(notes: list[str]) -> str:
    return "at once"


async def waits_for_nothing(notes: list[str]) -> str:
    for _ in range(3):
        await asyncio.sleep(0)
    return "soon"


async def waits(notes: list[str]) -> str:
    await asyncio.sleep(0.001)
    await asyncio.sleep(0.001)
    return "later"


async def hears_of_failures(notes: list[str]) -> str:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_exception, KeyError("x"))
    try:
        await future
    except KeyError:
        return "heard"
    return "deaf"


async def has_a_deadline_of_its_own(notes: list[str]) -> str:
    try:
        async with asyncio.timeout(0.001):
            await asyncio.sleep(60)
    except TimeoutError:
        return "gave up"
    return "waited"


async def has_tasks(notes: list[str]) -> str:
    async with asyncio.TaskGroup() as group:
        one = group.create_task(waits(notes))
        two = group.create_task(waits_for_nothing(notes))
    return one.result() + two.result()


ANSWERS = {
    never_waits: "at once",
    waits_for_nothing: "soon",
    waits: "later",
    hears_of_failures: "heard",
    has_a_deadline_of_its_own: "gave up",
    has_tasks: "latersoon",
}


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("hook", ANSWERS)
def test_a_hook_may_wait_as_it_likes(bridge: type[Bridge], hook: Hook) -> None:
    assert call(bridge, hook)[0] == ANSWERS[hook]


async def waits_for_ever(notes: list[str]) -> str:
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(50):
            await asyncio.sleep(60)
    except asyncio.CancelledError:
        notes.append("cancelled")
        raise
    finally:
        notes.append("tidied up")
    return "never"


async def fails_later(notes: list[str]) -> str:
    await asyncio.sleep(0)
    raise LookupError("no such thing")


@pytest.mark.parametrize("bridge", BRIDGES)
def test_a_hook_that_is_overdue_is_cancelled_and_tidies_up(bridge: type[Bridge]) -> None:
    notes: list[str] = []
    implementation = Implementation(waits_for_ever, ("notes",), is_async=True)

    async def main() -> None:
        with pytest.raises(PluginFault, match="deadline"):
            await bridge().call(implementation, {"notes": notes}, lambda answer: answer, 0.01)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)  # the task itself is not cancelled

    asyncio.run(main())
    assert notes == ["cancelled", "tidied up"]


@pytest.mark.parametrize("bridge", BRIDGES)
def test_a_hook_that_fails_after_it_waited_is_told_with_its_place(bridge: type[Bridge]) -> None:
    with pytest.raises(PluginFault, match=r"LookupError: .*no such thing.* at test_awaited\.py"):
        call(bridge, fails_later)


@pytest.mark.parametrize("bridge", BRIDGES)
def test_whoever_waits_for_a_hook_can_be_cancelled(bridge: type[Bridge]) -> None:
    notes: list[str] = []
    implementation = Implementation(waits_for_ever, ("notes",), is_async=True)

    async def main() -> None:
        task = asyncio.create_task(bridge().call(implementation, {"notes": notes}, lambda answer: answer, 20.0))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert notes == ["cancelled", "tidied up"]
