"""What the sender is told of delays and successes, and how often (KAV-DSN-01, SMS-FLOW-03, SAV-Q-03)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mailward.engine.board import Board
from mailward.spool.entry import Queue
from mailward.values.address import Address
from mailward.values.delivery import Result, Status
from mailward.values.envelope import Recipient
from mailward.values.event import Notified, Queued, Reordered
from mailward.values.reply import Reply
from mailward.values.switches import Switches


async def until(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


def _bob(notify: str = "") -> Recipient:
    return Recipient(Address("bob", "example.org"), (("NOTIFY", notify),) if notify else ())


LATER = Result(_bob(), Status.DEFERRED, Reply(451, "4.2.0", "Later"))


@pytest.mark.parametrize(("notify", "times"), [("", 1), ("DELAY", 1), ("FAILURE", 0), ("NEVER", 0)])
def test_sms_flow_03_a_delay_is_told_once_at_the_first_failure(
    office: Any, house: Any, notify: str, times: int
) -> None:
    async def run() -> None:
        house.answers["bob@example.org"] = LATER
        async with office(delay_notice=True) as post:
            await post.post(_bob(notify))
            await until(lambda: len(post.told(Queued)) >= 3)
            assert len(post.told(Notified)) == times
            assert [letter.recipients for letter in house.letters] == [("alice@example.com",)] * times
            if times:
                assert b"Action: delayed" in house.letters[0].content
                assert b"Will-Retry-Until: " in house.letters[0].content
            assert [entry.warned for entry in post.queue()] == [times == 1]
        # A restart does not make it tell again.
        async with office(delay_notice=True) as post:
            await until(lambda: post.told(Queued))
            assert post.told(Notified) == []

    asyncio.run(run())


def test_a_delay_may_be_told_only_after_some_time(office: Any, house: Any) -> None:
    async def run() -> None:
        house.answers["bob@example.org"] = LATER
        async with office(delay_notice=True, delay_notice_after_s=1000.0) as post:
            entry = await post.post(_bob())
            await until(lambda: len(post.told(Queued)) >= 2)
            assert post.told(Notified) == []
            old = await post.post(_bob(), created_at=entry.created_at - 1001)
            await until(lambda: post.told(Notified))
            assert [event.message_id for event in post.told(Notified)] == [old.id]

    asyncio.run(run())


def test_a_delay_of_a_null_sender_is_told_nobody(office: Any, house: Any) -> None:
    async def run() -> None:
        house.answers["bob@example.org"] = LATER
        async with office(delay_notice=True) as post:
            await post.post(_bob("DELAY"), sender="")
            await until(lambda: len(post.told(Queued)) >= 2)
            assert post.told(Notified) == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("notify", "result", "setting", "action"),
    [
        ("SUCCESS", Result(_bob(), Status.DELIVERED, final=True), True, b"delivered"),
        ("SUCCESS", Result(_bob(), Status.DELIVERED, final=True), False, b"delivered"),
        ("SUCCESS", Result(_bob(), Status.DELIVERED, relayed=True), True, b"relayed"),
        ("SUCCESS", Result(_bob(), Status.DELIVERED, relayed=True), False, None),
        ("SUCCESS", Result(_bob(), Status.DELIVERED), True, None),
        ("FAILURE", Result(_bob(), Status.DELIVERED, final=True), True, None),
        ("", Result(_bob(), Status.DELIVERED, final=True), True, None),
    ],
)
def test_kav_dsn_01_success_is_told_where_asked_and_where_nobody_else_will(
    office: Any, house: Any, notify: str, result: Result, setting: bool, action: bytes | None
) -> None:
    async def run() -> None:
        async with office(dsn_on_relaying=setting) as post:
            house.ends["bob@example.org"] = result
            await post.post(_bob(notify), parameters=(("ENVID", "abc"),))
            await until(lambda: not post.queue() and not len(post.runner))
        letters = [letter.content for letter in house.letters if letter.sender == ""]
        assert len(letters) == (action is not None)
        if action is not None:
            assert b"Action: " + action + b"\r\nStatus: 2.0.0" in letters[0]
            assert b"Original-Envelope-Id: abc" in letters[0]
            assert b"text/rfc822-headers" in letters[0]

    asyncio.run(run())


def test_sav_q_03_reordering_is_an_event_with_its_count(office: Any, house: Any) -> None:
    async def run() -> None:
        async with office(retry_first_s=3600.0, retry_max_s=3600.0) as post:
            house.down.add("smtp:mx.example.org:25")
            for _ in range(3):
                await post.post("bob@example.org")
            await until(lambda: len(post.told(Queued)) == 3)
            house.down.clear()
            await post.post("carol@example.org")
            await until(lambda: len(house.letters) == 4)
            (event,) = post.told(Reordered)
            assert (event.next_hop, event.moved) == ("smtp:mx.example.org:25", 3)

    asyncio.run(run())


@pytest.mark.parametrize("switches", [Switches(deliver=False), Switches(send=False)])
def test_sav_dlv_01_while_delivery_is_off_nothing_is_attempted(office: Any, house: Any, switches: Switches) -> None:
    async def run() -> None:
        board = Board(switches)
        async with office(board=board) as post:
            await post.post("bob@example.org")
            await post.post("carol@example.org", queue=Queue.SLOW)
            await asyncio.sleep(0.3)
            assert house.tries == []
            assert len(post.queue()) == 2
            board.set(Switches())
            await until(lambda: len(house.letters) == 2)

    asyncio.run(run())


def test_sav_q_06_what_was_done_is_counted(office: Any, house: Any) -> None:
    async def run() -> None:
        house.answers["late@example.org"] = LATER
        house.answers["no@example.org"] = Result(_bob(), Status.FAILED, Reply(550, "5.1.1", "No"))
        async with office(retry_first_s=3600.0, retry_max_s=3600.0) as post:
            await post.post("bob@example.org", "carol@example.org")
            await post.post("late@example.org", "no@example.org")
            await post.post("eve@example.org", queue=Queue.HOLD)
            await post.post("eve@example.org", queue=Queue.QUARANTINE)
            await until(lambda: post.runner.stats().slow == 1 and len(house.letters) == 2)
            await until(lambda: not post.runner.stats().active)
            stats = post.runner.stats()
            assert (stats.attempts, stats.sent_messages, stats.sent_recipients) == (3, 2, 3)
            assert (stats.deferred_recipients, stats.failed_recipients, stats.dsn_generated) == (1, 1, 1)
            assert (stats.held, stats.quarantined, stats.fast, stats.expired_messages) == (1, 1, 0, 0)

    asyncio.run(run())
