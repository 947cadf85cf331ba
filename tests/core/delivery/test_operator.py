"""The operator's requests, carried out by a runner at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from mailward.spool.admin import act
from mailward.spool.control import Asked, Inbox
from mailward.spool.entry import Queue
from mailward.spool.operate import Outcome, Verb
from mailward.values.address import Address
from mailward.values.delivery import Result, Status
from mailward.values.envelope import Recipient
from mailward.values.errors import SpoolError
from mailward.values.event import Custom, Queued
from mailward.values.reply import Reply

Office = Callable[..., AbstractAsyncContextManager[Any]]
LATER = Result(Recipient(Address("any", "one")), Status.DEFERRED, Reply(451, "4.7.1", "Greylisted"))


async def _ask(root: Path, verb: Verb, message_id: str, to: str = "") -> Outcome:
    (outcome,) = await asyncio.to_thread(act, root, verb, [message_id], to=to)
    return outcome


async def until(condition: Callable[[], object]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen in time")


def test_a_held_message_is_released_and_delivered(office: Office, tmp_path: Path) -> None:
    async def run() -> None:
        async with office() as post:
            entry = await post.post("bob@example.org", queue=Queue.HOLD)
            assert (await _ask(tmp_path, Verb.RELEASE, entry.id)).ok
            await until(lambda: post.house.letters and post.queue() == [])
            (told,) = post.told(Custom)
            assert (told.rule, dict(told.fields)["message_id"]) == ("queue-release", entry.id)

    asyncio.run(run())


def test_a_slow_message_is_tried_now(office: Office, tmp_path: Path) -> None:
    async def run() -> None:
        async with office(retry_first_s=3600.0, retry_max_s=3600.0) as post:
            post.house.answers["bob@example.org"] = LATER
            entry = await post.post("bob@example.org")
            await until(lambda: post.told(Queued))
            post.house.answers.clear()
            assert (await _ask(tmp_path, Verb.RETRY, entry.id)).ok
            await until(lambda: post.house.letters)

    asyncio.run(run())


def test_a_slow_message_is_held_dropped_or_left_where_it_was(office: Office, tmp_path: Path) -> None:
    async def run() -> None:
        async with office(retry_first_s=3600.0, retry_max_s=3600.0) as post:
            post.house.answers["bob@example.org"] = LATER
            one, two, three = [await post.post("bob@example.org") for _ in range(3)]
            await until(lambda: post.runner.stats().slow == 3 and not post.runner.stats().active)
            assert (await _ask(tmp_path, Verb.HOLD, one.id)).ok
            assert (await _ask(tmp_path, Verb.DROP, two.id)).ok
            assert not (await _ask(tmp_path, Verb.RELEASE, three.id)).ok
            assert post.runner.stats().slow == 1
            assert [(entry.id, entry.queue) for entry in post.queue()] == [(three.id, "slow"), (one.id, "hold")]
            post.house.answers.clear()
            assert (await _ask(tmp_path, Verb.RETRY, three.id)).ok
            await until(lambda: len(post.queue()) == 1)
            assert len(post.house.letters) == 1

    asyncio.run(run())


def test_a_copy_is_forwarded_and_the_original_stays(office: Office, tmp_path: Path) -> None:
    async def run() -> None:
        async with office() as post:
            entry = await post.post("bob@example.org", queue=Queue.HOLD)
            assert (await _ask(tmp_path, Verb.FORWARD, entry.id, "admin@example.net")).ok
            await until(lambda: post.house.letters)
            assert post.house.letters[0].recipients == ("admin@example.net",)
            await until(lambda: post.queue() == [entry])

    asyncio.run(run())


def test_what_is_being_delivered_is_left_alone(office: Office, tmp_path: Path) -> None:
    async def run() -> None:
        async with office() as post:
            gate = asyncio.Event()
            post.house.before = lambda delivery: gate.wait()
            entry = await post.post("bob@example.org")
            await until(lambda: post.house.tries)
            outcome = await _ask(tmp_path, Verb.DROP, entry.id)
            assert outcome == Outcome(entry.id, False, "is being worked on at this moment")
            gate.set()
            await until(lambda: post.house.letters)

    asyncio.run(run())


def test_what_cannot_be_answered_yet_is_not_done_twice(office: Office, tmp_path: Path, monkeypatch: Any) -> None:
    async def run() -> None:
        tries = 0
        answer = Inbox.answer

        def full_at_first(self: Inbox, asked: Asked, outcomes: tuple[Outcome, ...]) -> None:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise SpoolError("No space left on device")
            answer(self, asked, outcomes)

        monkeypatch.setattr(Inbox, "answer", full_at_first)
        async with office() as post:
            entry = await post.post("bob@example.org", queue=Queue.HOLD)
            assert (await _ask(tmp_path, Verb.FORWARD, entry.id, "admin@example.net")).ok
            assert tries == 3
            await until(lambda: post.queue() == [entry])
            assert [letter.recipients for letter in post.house.letters] == [("admin@example.net",)]

    asyncio.run(run())
