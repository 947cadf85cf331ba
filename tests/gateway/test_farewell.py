"""Refused clients that may have spoken already: how many are listened to, and how long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from mailward.engine.gateway_settings import GatewaySettings
from mailward.gateway import farewell
from mailward.gateway.farewell import MAX_FAREWELLS, Farewells
from mailward.gateway.reader import LineReader
from mailward.gateway.server import Server
from mailward.values.reply import Reply

NO = Reply(554, "5.7.1", "No")


class Refused:
    """A connection as far as a farewell needs one. To be made on an event loop."""

    def __init__(self) -> None:
        self.lines = LineReader()
        self.settings = GatewaySettings()
        self.recorder = None
        self.said: list[Reply] = []
        self.counted = True

    async def say(self, reply: Reply) -> None:
        self.said.append(reply)

    def count_out(self) -> None:
        self.counted = False

    @contextmanager
    def no_hurry(self) -> Iterator[None]:
        yield


async def answer(farewells: Farewells, refused: Refused) -> Reply | None:
    return await farewells.answer(cast(Server, refused), NO)


def test_so_many_refused_clients_are_listened_to_and_no_more() -> None:
    async def go() -> None:
        farewells = Farewells()
        silent = [Refused() for _ in range(MAX_FAREWELLS)]
        tasks = [asyncio.create_task(answer(farewells, one)) for one in silent]
        await asyncio.sleep(0)
        assert all(one.said == [NO] and not one.counted for one in silent)
        other = Refused()
        assert await answer(farewells, other) == NO  # it is said by the caller, who closes then
        assert not other.said
        silent[0].lines.feed_data(b"EHLO client.example\r\nQUIT\r\n")
        last = await tasks[0]
        assert last is not None
        assert last.code == 221
        assert silent[0].said == [NO, NO]
        tasks.append(asyncio.create_task(answer(farewells, other)))
        await asyncio.sleep(0)
        assert other.said == [NO]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tasks = [asyncio.create_task(answer(farewells, one)) for one in silent]
        await asyncio.sleep(0)
        assert silent[-1].said == [NO, NO]  # nobody who was cut off keeps a place
        for task in tasks:
            task.cancel()

    asyncio.run(go())


def test_a_refused_client_that_says_nothing_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farewell, "FAREWELL_S", 0.01)

    async def go() -> None:
        refused = Refused()
        refused.lines.feed_data(b"EHLO client.exam")
        assert await answer(Farewells(), refused) is None
        assert refused.said == [NO]

    asyncio.run(go())


def test_a_line_without_end_ends_the_farewell() -> None:
    async def go() -> None:
        refused = Refused()
        refused.lines.feed_data(b"EHLO " + b"x" * 200_000)
        assert await answer(Farewells(), refused) is None

    asyncio.run(go())
