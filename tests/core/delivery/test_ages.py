"""The time of day is set by days while messages wait: none grows old by it, none waits longer for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from attrs import evolve, field, frozen

from mailward.delivery.ages import LEAST_JUMP_S, Ages, Jumps, born_later
from mailward.hooks.clock import Clock
from mailward.spool.entry import Entry, Queue
from mailward.values.address import Address
from mailward.values.delivery import Delivery, Result, Status
from mailward.values.envelope import Recipient
from mailward.values.event import Bounced, Delivered, Queued
from mailward.values.reply import Reply

Office = Callable[..., AbstractAsyncContextManager[Any]]
LATER = Result(Recipient(Address("any", "one")), Status.DEFERRED, Reply(451, "4.7.1", "Greylisted"))
DAY_S = 86_400.0
jumps = pytest.mark.parametrize(
    "by_s", [DAY_S, 30 * DAY_S, -DAY_S, -30 * DAY_S], ids=lambda by_s: f"{by_s / DAY_S:g} d"
)


@frozen
class Wall:
    """The time of day, which the test sets; the other clock goes its way."""

    set_by_s: list[float] = field(factory=lambda: [0.0])

    @property
    def clock(self) -> Clock:
        return Clock(time=lambda: time.time() + self.set_by_s[0])

    def set(self, by_s: float) -> None:
        self.set_by_s[0] += by_s


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it did not happen in time"
        await asyncio.sleep(0.005)


@jumps
def test_a_message_that_waits_is_tried_in_its_time_and_is_not_returned(office: Office, by_s: float) -> None:
    async def run() -> None:
        wall = Wall()
        async with office(wall.clock) as post:
            post.house.answers["bob@example.org"] = LATER
            await post.post("bob@example.org")
            await until(lambda: post.told(Queued))
            wall.set(by_s)
            tried = len(post.told(Delivered))
            await until(lambda: len(post.told(Delivered)) >= tried + 3)
            post.house.answers.clear()
            await until(lambda: post.house.letters and post.queue() == [])
            assert post.house.letters[0].recipients == ("bob@example.org",)
            assert post.told(Bounced) == []

    asyncio.run(run())


@jumps
def test_a_message_under_way_keeps_its_age(office: Office, by_s: float) -> None:
    async def run() -> None:
        wall, gate = Wall(), asyncio.Event()

        def wait(delivery: Delivery) -> object:
            return gate.wait()

        async with office(wall.clock) as post:
            post.house.before = wait
            post.house.answers["bob@example.org"] = LATER
            await post.post("bob@example.org")
            await until(lambda: post.house.tries)
            wall.set(by_s)
            gate.set()
            await until(lambda: post.told(Queued))
            (waiting,) = post.queue(Queue.SLOW)
            now = wall.clock.time()
            assert now - 60 < waiting.created_at <= now
            post.house.answers.clear()
            await until(lambda: post.house.letters and post.queue() == [])
            assert post.told(Bounced) == []

    asyncio.run(run())


def test_a_message_that_came_after_the_clock_was_set_is_as_old_as_it_is(office: Office) -> None:
    async def run() -> None:
        wall = Wall()
        async with office(wall.clock, retry_first_s=600.0, retry_max_s=600.0) as post:
            post.house.answers = {"bob@example.org": LATER, "carol@example.org": LATER}
            before = await post.post("bob@example.org")
            await until(lambda: post.told(Queued))
            wall.set(DAY_S)
            after = await post.post("carol@example.org")
            await until(lambda: len(post.told(Queued)) == 2 and not post.runner.stats().active)
            for entry in post.queue(Queue.SLOW):
                post.runner.submit([evolve(entry, retry_at=0.0)])
            await until(lambda: len(post.told(Delivered)) == 4)
            created = {entry.id: entry.created_at for entry in post.queue(Queue.SLOW)}
            assert created[before.id] == pytest.approx(before.created_at + DAY_S, abs=60)
            assert created[after.id] == after.created_at

    asyncio.run(run())


def test_after_a_restart_nobody_waits_for_a_time_that_was_written_before_the_clock_was_set_back(
    office: Office,
) -> None:
    async def run() -> None:
        wall = Wall()
        async with office(wall.clock) as post:
            post.house.answers["bob@example.org"] = LATER
            await post.post("bob@example.org")
            await until(lambda: post.told(Queued))
            await post.runner.stop(5.0)
        wall.set(-DAY_S)
        post.house.answers.clear()
        async with office(wall.clock) as post:
            await until(lambda: post.house.letters and post.queue() == [])

    asyncio.run(run())


def test_a_clock_that_is_kept_right_is_no_clock_that_is_set() -> None:
    now = [1000.0, 0.0]
    found = Jumps(Clock(time=lambda: now[0], monotonic=lambda: now[1]))
    now[0] += LEAST_JUMP_S - 1
    assert found.look() == 0.0
    now[0] += 2  # what was too little before is not forgotten
    assert found.look() == LEAST_JUMP_S + 1
    assert found.look() == 0.0
    now[0], now[1] = now[0] + 3600, now[1] + 3600
    assert found.look() == 0.0


def test_nothing_is_from_the_future() -> None:
    assert born_later(Entry("m", created_at=500.0), 0.0, 100.0).created_at == 100.0
    entry = Entry("m", created_at=50.0)
    assert born_later(entry, 0.0, 100.0) is entry


def test_only_what_was_there_when_the_clock_was_set_is_moved() -> None:
    now, there = [1000.0, 0.0], {"old"}
    ages = Ages(Clock(time=lambda: now[0], monotonic=lambda: now[1]), lambda: there)
    for _ in range(2):
        now[0] += 100
        ages.look()
    there.add("new")
    ages.look()
    assert ages.in_time(Entry("old", created_at=900.0)).created_at == 1100.0
    assert ages.in_time(Entry("new", created_at=1200.0)).created_at == 1200.0
    ages.forget("old")
    assert ages.in_time(Entry("old", created_at=1100.0)).created_at == 1100.0
