"""Where sync and async meet: one function calls any hook implementation under a deadline.

`ThreadBridge` is for processes with an event loop that must not stall (gateway, embedders): plain
functions run in threads. `TimerBridge` is for scan processes, which work on one message at a time:
plain functions run in place and are interrupted by a timer.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Any, Protocol

from mailward.engine.instance import Implementation
from mailward.values.errors import MailwardError, PluginFault

Collect = Callable[[Any], Any]
"""Turns what an implementation returned (perhaps a generator) into what the caller wants, under the deadline."""


class _Overdue(BaseException):
    """The timer rang. Not an Exception, so that a plugin's ``except Exception`` does not keep it."""


class _Timer:
    """Interrupts plain functions in the main thread; one interval timer for the process.

    The handler is installed once, because that costs more than all the rest of a quick call.
    """

    def __init__(self) -> None:
        self._armed = False
        self._installed = False

    def _ring(self, signum: int, frame: object) -> None:
        if self._armed:
            self._armed = False
            raise _Overdue

    def call(self, function: Callable[..., Any], arguments: dict[str, Any], collect: Collect, timeout_s: float) -> Any:
        """Call and collect, interrupted after ``timeout_s``; elsewhere than in the main thread without limit."""
        if threading.current_thread() is not threading.main_thread() or _bound(timeout_s) is None:
            return collect(function(**arguments))
        if not self._installed:
            signal.signal(signal.SIGALRM, self._ring)
            self._installed = True
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, timeout_s)
        try:
            return collect(function(**arguments))
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)


_TIMER = _Timer()
"""SIGALRM belongs to the process, and so does this."""


class Bridge(Protocol):
    """Calls a hook implementation and collects its answer."""

    async def call(
        self, implementation: Implementation, arguments: dict[str, Any], collect: Collect, timeout_s: float
    ) -> Any:
        """What ``collect`` made of the answer; raises PluginFault where there is none."""
        ...


def _bound(timeout_s: float) -> float | None:
    return None if timeout_s == float("inf") else timeout_s


async def _finish(answer: Any, collect: Collect) -> Any:
    if isinstance(answer, Awaitable):
        answer = await answer
    if isinstance(answer, AsyncIterator):
        answer = [item async for item in answer]
    return collect(answer)


class _Rest:
    """What is left of a coroutine that has begun: its first step was made by hand, and it waits for ``first``."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], first: Any) -> None:
        self._coroutine = coroutine
        self._first = first

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, waits_for = self._coroutine, self._first
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:  # to whom it is meant
                step = partial(coroutine.throw, error)
            else:
                step = partial(coroutine.send, sent)
            try:
                waits_for = step()
            except StopIteration as end:
                return end.value


async def _awaited(function: Callable[..., Any], arguments: dict[str, Any], collect: Collect, timeout_s: float) -> Any:
    """Most async hooks most times wait for nothing: their first step is their last, and needs no timer."""
    started = monotonic()
    finishing = _finish(function(**arguments), collect)
    try:
        waits_for = finishing.send(None)
    except StopIteration as end:
        answer = end.value
    else:
        async with asyncio.timeout(_bound(timeout_s - (monotonic() - started))):
            answer = await _Rest(finishing, waits_for)
    if monotonic() - started > timeout_s:
        # it never waited for anything, so nothing could interrupt it
        raise TimeoutError
    return answer


def fault(error: BaseException) -> PluginFault:
    """What an exception of a plugin is called in findings and events: its type, text and place."""
    if isinstance(error, (_Overdue, TimeoutError)):
        return PluginFault("deadline", "no answer in time")
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    return PluginFault("raised", f"{type(error).__name__}: {error}{place}")


class TimerBridge:
    """For processes that work on one thing at a time."""

    async def call(
        self, implementation: Implementation, arguments: dict[str, Any], collect: Collect, timeout_s: float
    ) -> Any:
        """See `Bridge`."""
        try:
            if implementation.is_async:
                return await _awaited(implementation.function, arguments, collect, timeout_s)
            return _TIMER.call(implementation.function, arguments, collect, timeout_s)
        except (MailwardError, MemoryError):  # out of memory is the whole process's end, not this call's
            raise
        except (Exception, SystemExit, _Overdue) as error:  # the isolation boundary of plugins
            raise fault(error) from error


class ThreadBridge:
    """For processes whose event loop must go on: plain functions run in threads.

    A plain function that outlives its deadline keeps its thread until it returns; once
    ``max_stuck`` of them hang, further plain functions fail at once instead of queueing up.
    """

    def __init__(self, threads: int = 32, max_stuck: int = 16) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="mailward-hook")
        self._max_stuck = max_stuck
        self._stuck = 0

    async def call(
        self, implementation: Implementation, arguments: dict[str, Any], collect: Collect, timeout_s: float
    ) -> Any:
        """See `Bridge`."""
        try:
            if implementation.is_async:
                return await _awaited(implementation.function, arguments, collect, timeout_s)
            if implementation.quick:
                return _TIMER.call(implementation.function, arguments, collect, timeout_s)
            return await self._in_thread(implementation.function, arguments, collect, timeout_s)
        except MailwardError:
            raise
        except (Exception, SystemExit, _Overdue) as error:  # the isolation boundary of plugins
            raise fault(error) from error

    async def _in_thread(
        self, function: Callable[..., Any], arguments: dict[str, Any], collect: Collect, timeout_s: float
    ) -> Any:
        if self._stuck >= self._max_stuck:
            raise PluginFault("deadline", f"{self._stuck} earlier calls of plain functions still hang")

        def run() -> Any:
            try:
                return collect(function(**arguments))
            except StopIteration as error:  # no future can hold one: it would hang
                raise RuntimeError("StopIteration") from error

        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, run)
        try:
            return await asyncio.wait_for(asyncio.shield(future), _bound(timeout_s))
        except TimeoutError:
            self._stuck += 1
            future.add_done_callback(self._unstick)
            raise

    def _unstick(self, future: asyncio.Future[Any]) -> None:
        self._stuck -= 1
        if not future.cancelled():
            future.exception()

    def close(self) -> None:
        """Let the threads go; those that hang are left behind."""
        self._pool.shutdown(wait=False, cancel_futures=True)
