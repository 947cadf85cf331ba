"""One hook call: what may be returned, what is a failure, and what on_failure makes of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from mailward import (
    Call,
    Copy,
    Decision,
    Defer,
    DnsFault,
    Engine,
    Envelope,
    Event,
    Finding,
    Hold,
    Kind,
    Plugin,
    Reply,
    Scan,
    Session,
    Verdict,
    hookimpl,
)
from mailward.engine.bridge import ThreadBridge, TimerBridge
from mailward.engine.config import load_config

Build = Callable[..., Engine]
MAIL = b"Subject: x\r\n\r\nhello\r\n"


def judged(built: Engine) -> tuple[Copy, Verdict]:
    verdict = asyncio.run(built.judge(Envelope(id="m1"), MAIL))
    return verdict.copies[0], verdict


def failures(verdict: Verdict) -> list[Call]:
    return [call for call in verdict.calls if call.failure]


class Plain(Plugin):
    @hookimpl
    def scan_message(self) -> Finding:
        return self.finding("seen", action=Hold())


class Listed(Plugin):
    @hookimpl
    def scan_message(self) -> list[Finding | None]:
        return [self.finding("seen", action=Hold()), None]


class Generator(Plugin):
    @hookimpl
    def scan_message(self) -> Iterator[Finding]:
        yield self.finding("seen", action=Hold())


class Coroutine(Plugin):
    @hookimpl
    async def scan_message(self) -> Finding:
        await asyncio.sleep(0)
        return self.finding("seen", action=Hold())


class AsyncGenerator(Plugin):
    @hookimpl
    async def scan_message(self) -> AsyncIterator[Finding]:
        await asyncio.sleep(0)
        yield self.finding("seen", action=Hold())


class Quick(Plugin):
    @hookimpl(quick=True)
    def scan_message(self) -> Finding:
        return self.finding("seen", action=Hold())


@pytest.mark.parametrize("kind", [Plain, Listed, Generator, Coroutine, AsyncGenerator, Quick])
@pytest.mark.parametrize("bridge", [ThreadBridge, TimerBridge])
def test_every_form_of_function_answers(engine: Build, kind: type[Plugin], bridge: type[Any]) -> None:
    config = engine({"mine": kind}).config
    copy, verdict = judged(Engine(config, bridge=bridge()))
    (finding,) = copy.findings
    assert (finding.plugin, finding.rule, finding.elapsed_ms > 0) == ("mine", "seen", True)
    assert copy.action == Hold()
    assert failures(verdict) == []


def test_plain_functions_run_beside_the_event_loop_and_quick_ones_on_it(engine: Build) -> None:
    threads: dict[str, int] = {}

    class Mine(Plugin):
        @hookimpl
        def scan_message(self) -> None:
            threads["plain"] = threading.get_ident()

        @hookimpl(quick=True)
        def disposition(self) -> None:
            threads["quick"] = threading.get_ident()

    judged(engine({"mine": Mine}))
    assert threads["plain"] != threading.get_ident() == threads["quick"]


class Raises(Plugin):
    @hookimpl
    def scan_message(self) -> Finding:
        raise RuntimeError("broken")


class RaisesLate(Plugin):
    @hookimpl
    def scan_message(self) -> Iterator[Finding]:
        yield self.finding("seen", kind=Kind.NOTE)
        raise RuntimeError("broken")


class RaisesAsync(Plugin):
    @hookimpl
    async def scan_message(self) -> Finding:
        raise RuntimeError("broken")


class Exits(Plugin):
    @hookimpl
    def scan_message(self) -> Finding:
        raise SystemExit(3)


class ExitsAsync(Plugin):
    @hookimpl
    async def scan_message(self) -> Finding:
        raise SystemExit(3)


class EndsIteration(Plugin):
    @hookimpl
    def scan_message(self) -> Finding:
        return next(iter(()))


class LetsPeerErrorRise(Plugin):
    @hookimpl
    async def scan_message(self) -> Finding:
        raise DnsFault("no answer")


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        (Raises, "RuntimeError: broken at test_caller.py:"),
        (RaisesLate, "RuntimeError: broken at test_caller.py:"),
        (RaisesAsync, "RuntimeError: broken at test_caller.py:"),
        (Exits, "SystemExit: 3 at test_caller.py:"),
        (ExitsAsync, "SystemExit: 3 at test_caller.py:"),
        (EndsIteration, "StopIteration"),
        (LetsPeerErrorRise, "DnsFault: no answer at test_caller.py:"),
    ],
)
@pytest.mark.parametrize("bridge", [ThreadBridge, TimerBridge])
def test_what_raises_has_failed_and_is_named(engine: Build, kind: type[Plugin], detail: str, bridge: type[Any]) -> None:
    config = engine({"mine": kind}).config
    copy, verdict = judged(Engine(config, bridge=bridge()))
    (call,) = failures(verdict)
    assert (call.plugin, call.hook, call.failure) == ("mine", "scan_message", "raised")
    assert detail in call.detail
    assert copy.action == Defer()


class HangsAsync(Plugin):
    timeout_s = 0.05

    @hookimpl
    async def scan_message(self) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError


class BusyLoop(Plugin):
    timeout_s = 0.05

    @hookimpl(quick=True)
    def scan_message(self) -> Finding:
        while True:
            pass


class BusyGenerator(Plugin):
    timeout_s = 0.05

    @hookimpl(quick=True)
    def scan_message(self) -> Iterator[Finding]:
        yield self.finding("seen", kind=Kind.NOTE)
        while True:
            pass


class CatchesAll(Plugin):
    timeout_s = 0.05

    @hookimpl(quick=True)
    def scan_message(self) -> Finding:
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue


@pytest.mark.parametrize("kind", [HangsAsync, BusyLoop, BusyGenerator, CatchesAll])
@pytest.mark.parametrize("bridge", [ThreadBridge, TimerBridge])
def test_what_hangs_is_interrupted_at_its_deadline(engine: Build, kind: type[Plugin], bridge: type[Any]) -> None:
    config = engine({"mine": kind}).config
    copy, verdict = judged(Engine(config, bridge=bridge()))
    (call,) = failures(verdict)
    assert (call.plugin, call.failure) == ("mine", "deadline")
    assert copy.action == Defer()


def test_a_plain_function_that_hangs_in_its_thread_is_given_up(engine: Build) -> None:
    release = threading.Event()

    class Mine(Plugin):
        timeout_s = 0.05

        @hookimpl
        def scan_message(self) -> None:
            release.wait()

    try:
        copy, verdict = judged(engine({"mine": Mine}))
    finally:
        release.set()
    assert [call.failure for call in failures(verdict)] == ["deadline"]
    assert copy.action == Defer()


def test_when_too_many_threads_hang_further_calls_fail_at_once_and_recover(engine: Build) -> None:
    release = threading.Event()

    class Mine(Plugin):
        @hookimpl
        def scan_message(self) -> Finding:
            release.wait()
            return self.finding("seen", kind=Kind.NOTE)

    config = engine({"mine": Mine}, "[mine]\ntimeout_s = 0.05").config

    async def main() -> list[list[str]]:
        built = Engine(config, bridge=ThreadBridge(threads=4, max_stuck=2))
        seen = []
        for _ in range(3):
            verdict = await built.judge(Envelope(), MAIL)
            seen.append([call.detail for call in failures(verdict)])
        release.set()
        while failures(await built.judge(Envelope(), MAIL)):
            await asyncio.sleep(0.01)
        await built.stop()
        return seen

    try:
        first, second, third = asyncio.run(main())
    finally:
        release.set()
    assert first == second == ["no answer in time"]
    assert third == ["2 earlier calls of plain functions still hang"]


@pytest.mark.parametrize("answer", ["text", 5, {}, {"a": 1}, b"x", ["text"], Decision(), Reply(550)])
@pytest.mark.parametrize("bridge", [ThreadBridge, TimerBridge])
def test_the_wrong_type_is_a_failure_that_names_both_types(engine: Build, answer: Any, bridge: type[Any]) -> None:
    class Mine(Plugin):
        @hookimpl
        def scan_message(self) -> Any:
            return answer

    config = engine({"mine": Mine}).config
    copy, verdict = judged(Engine(config, bridge=bridge()))
    (call,) = failures(verdict)
    assert call.failure == "type"
    wrong = type(answer[0] if isinstance(answer, list) else answer).__name__
    assert call.detail == f"returned {wrong}; scan_message may return Finding or None"
    assert copy.action == Defer()


def test_progress_is_told_before_each_call(engine: Build) -> None:
    class Mine(Plugin):
        @hookimpl
        def scan_part(self, scan: Scan) -> None:
            told.append("called")

    told: list[object] = []
    config = engine({"mine": Mine}).config
    built = Engine(config, progress=lambda *call: told.append(call))
    asyncio.run(built.judge(Envelope(), MAIL))
    assert told == [("mine", "scan_part", "1"), "called"]


def test_time_spent_is_summed_by_plugin_and_hook(engine: Build) -> None:
    class Mine(Plugin):
        @hookimpl
        def scan_part(self) -> None:
            """Nothing."""

    raw = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\na\r\n--x\r\n\r\nb\r\n--x--\r\n"
    verdict = asyncio.run(engine({"mine": Mine}).judge(Envelope(), raw))
    (call,) = verdict.calls
    assert (call.plugin, call.hook, call.failure) == ("mine", "scan_part", "")
    assert call.elapsed_ms > 0


def test_a_hook_that_is_cancelled_is_no_failure(engine: Build) -> None:
    entered = asyncio.Event()

    class Mine(Plugin):
        @hookimpl
        async def connect(self, session: Session) -> None:
            entered.set()
            await asyncio.Event().wait()

    built = engine({"mine": Mine})
    seen: list[Event] = []
    built.listen(seen.append)

    async def main() -> None:
        task = asyncio.create_task(built.gate.connect(Session()))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == []


def test_the_built_in_defaults_make_an_engine() -> None:
    found = Engine(load_config(None)).policies.found
    assert [one.name for one in found] == ["relay", "archives", "content", "antivirus"]
