"""Start, stop, order and limits of delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from mailward.spool.entry import Queue
from mailward.values.address import Address
from mailward.values.delivery import Delivery, NextHop, Result, Status
from mailward.values.envelope import Recipient
from mailward.values.event import Delivered, Queued
from mailward.values.reply import Reply

Office = Callable[..., AbstractAsyncContextManager[Any]]
LATER = Result(Recipient(Address("any", "one")), Status.DEFERRED, Reply(451, "4.7.1", "Greylisted"))


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it did not happen in time"
        await asyncio.sleep(0.005)


def test_a_restart_takes_up_what_is_there(office: Office) -> None:
    async def run() -> None:
        async with office() as post:
            post.house.before = lambda delivery: asyncio.sleep(60)
            in_progress = await post.post("bob@example.org")
            await until(lambda: post.house.tries)
            held = await post.post("held@example.org", queue=Queue.HOLD, reason="unchecked")
            slow = await post.post("slow@example.org", queue=Queue.SLOW, retry_at=post.spool.clock.time() + 5.0)
            assert {(event.message_id, event.queue) for event in post.told(Queued)} == {
                (held.id, "hold"),
                (slow.id, "slow"),
            }
            await post.runner.stop(0.05)
            late = await post.post("late@example.org")
        post.house.before = None
        async with office(retry_max_s=60.0) as post:
            await until(lambda: len(post.house.letters) == 3)
            order = [letter.recipients[0] for letter in post.house.letters]
            assert set(order[:2]) == {"bob@example.org", "late@example.org"}
            assert order[2] == "slow@example.org"
            await until(lambda: len(post.queue()) == 1)
            assert post.queue() == [held]
        assert in_progress.id != late.id

    asyncio.run(run())


def test_stop_lets_attempts_in_progress_finish(office: Office) -> None:
    async def run() -> None:
        async with office() as post:
            post.house.before = lambda delivery: asyncio.sleep(0.2)
            await post.post("bob@example.org")
            await until(lambda: post.house.tries)
            await post.runner.stop(5.0)
            assert len(post.house.letters) == 1
            assert post.queue() == []

    asyncio.run(run())


def test_what_is_delivered_is_written_down_while_others_are_under_way(office: Office) -> None:
    async def run() -> None:
        gate = asyncio.Event()

        def wait(delivery: Delivery) -> object:
            return gate.wait() if delivery.next_hop.host == "slowhost" else None

        async with office() as post:
            post.house.before = wait
            post.house.routes["slow.example"] = (NextHop("smtp", "slowhost", 25),)
            await post.post("bob@example.org", "carol@slow.example")
            await until(lambda: post.house.letters)
            await until(lambda: len(post.queue()[0].envelope.recipients) == 1)
            (entry,) = post.queue()
            assert str(entry.envelope.recipients[0].address) == "carol@slow.example"
            gate.set()
            await until(lambda: post.queue() == [])
            await until(lambda: len(post.told(Delivered)) == 1)

    asyncio.run(run())


def test_no_more_than_so_many_at_a_time(office: Office) -> None:
    async def run() -> None:
        async with office(concurrency=3) as post:
            gate = asyncio.Event()
            post.house.before = lambda delivery: gate.wait()
            for number in range(20):
                await post.post(f"user{number}@example.org", f"user{number}@example.net")
            await until(lambda: post.house.in_progress == 3)
            gate.set()
            await until(lambda: len(post.house.letters) == 20)
            assert post.house.most_in_progress == 3
            await until(lambda: post.queue() == [])

    asyncio.run(run())


def test_a_hop_that_answers_again_gets_its_mail_at_once(office: Office) -> None:
    async def run() -> None:
        async with office(retry_first_s=3600.0, retry_max_s=3600.0) as post:
            post.house.down.add("smtp:mx.example.org:25")
            for number in range(5):
                await post.post(f"user{number}@example.org")
            await until(lambda: len(post.told(Queued)) == 5)
            post.house.down.clear()
            await post.post("new@example.org")
            await until(lambda: len(post.house.letters) == 6)

    asyncio.run(run())


def test_slow_messages_to_a_dead_host_do_not_hold_up_the_fast_queue(office: Office) -> None:
    async def run() -> None:
        def hang(delivery: Delivery) -> object:
            return asyncio.sleep(60) if delivery.next_hop.host == "dead" else None

        async with office(concurrency=4) as post:
            post.house.before = hang
            post.house.routes["dead.example"] = (NextHop("smtp", "dead", 25),)
            for number in range(10):
                await post.post(f"user{number}@dead.example", queue=Queue.SLOW, retry_at=1.0)
            await until(lambda: len(post.house.tries) == 2)
            for number in range(10):
                await post.post(f"user{number}@example.org")
            await until(lambda: len(post.house.letters) == 10)
            assert len([hop for hop, _ in post.house.tries if "dead" in hop]) == 2

    asyncio.run(run())


def test_a_file_that_went_away_is_no_loss_to_the_others(office: Office) -> None:
    async def run() -> None:
        async with office(retry_first_s=0.2) as post:
            post.house.answers["bob@example.org"] = LATER
            await post.post("bob@example.org")
            await until(lambda: post.told(Queued))
            (slow,) = post.queue(Queue.SLOW)
            post.spool.remove(slow)
            await until(lambda: not len(post.runner))
            await post.post("carol@example.org")
            await until(lambda: post.house.letters)

    asyncio.run(run())
