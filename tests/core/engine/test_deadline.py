"""The deadline of a message, and the timer that interrupts."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable

import pytest

from mailward import Delivery, Engine, Envelope, Finding, Kind, MessageInfo, NextHop, Plugin, Result, Sender, hookimpl
from mailward.engine.bridge import TimerBridge
from mailward.engine.caller import Caller
from mailward.engine.judge import Judge
from mailward.engine.registry import Registry
from mailward.mime import Message
from mailward.values.errors import ScanError

Build = Callable[..., Engine]
MAIL = b"Subject: x\r\n\r\nhello\r\n"


def judge_within(built: Engine, deadline_s: float) -> None:
    judge = Judge(Caller(TimerBridge()), Registry().hooks, built.policies)
    with Message.from_bytes(MAIL) as message:
        asyncio.run(judge.judge(Envelope(), message, deadline_s))


def test_a_message_that_takes_too_long_has_no_verdict(engine: Build) -> None:
    class Slow(Plugin):
        @hookimpl
        def scan_part(self) -> None:
            while True:
                pass

        @hookimpl
        def scan_message(self) -> Finding:
            return self.finding("never", kind=Kind.NOTE)

    with pytest.raises(ScanError) as caught:
        judge_within(engine({"slow": Slow}), 0.05)
    assert caught.value.reason == "deadline"
    assert "slow.scan_message" in caught.value.detail


def test_the_deadline_of_the_message_caps_that_of_the_plugin(engine: Build) -> None:
    class Slow(Plugin):
        timeout_s = 3600.0

        @hookimpl
        async def disposition(self) -> None:
            await asyncio.Event().wait()

    built = engine({"slow": Slow})
    judge = Judge(Caller(TimerBridge()), Registry().hooks, built.policies)
    with Message.from_bytes(MAIL) as message:
        verdict = asyncio.run(judge.judge(Envelope(), message, 0.05))
    assert [call.failure for call in verdict.calls if call.failure] == ["deadline"]


def test_no_timer_is_left_behind(engine: Build) -> None:
    class Quick(Plugin):
        @hookimpl(quick=True)
        def scan_message(self) -> None:
            running.append(signal.getitimer(signal.ITIMER_REAL)[0] > 0)

    running: list[bool] = []
    asyncio.run(engine({"quick": Quick}).judge(Envelope(), MAIL))
    assert running == [True]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_in_another_thread_than_the_main_one_there_is_no_timer(engine: Build) -> None:
    class Quick(Plugin):
        @hookimpl(quick=True)
        def scan_message(self) -> None:
            running.append(signal.getitimer(signal.ITIMER_REAL)[0] > 0)

    running: list[bool] = []
    built = engine({"quick": Quick})
    thread = threading.Thread(target=lambda: asyncio.run(built.judge(Envelope(), MAIL)))
    thread.start()
    thread.join()
    assert running == [False]


def test_deliver_has_no_deadline_of_the_core(engine: Build) -> None:
    class Carrier(Plugin):
        timeout_s = 0.01

        @hookimpl(quick=True)
        def deliver(self, delivery: Delivery) -> list[Result]:
            running.append(signal.getitimer(signal.ITIMER_REAL)[0] > 0)
            return []

    class Nothing:
        size_bytes = 0

    running: list[bool] = []
    info = MessageInfo("m1", Envelope(), 0)
    delivery = Delivery(info, Sender(), (), NextHop("pigeon"), Nothing())  # type: ignore[arg-type]
    asyncio.run(engine({"carrier": Carrier}).gate.deliver(delivery))
    assert running == [False]
