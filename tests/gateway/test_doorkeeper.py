"""Connections over a limit wait for room, and not for ever."""

from __future__ import annotations

import asyncio

from mailward import Seconds, Tally
from mailward.engine.gateway_settings import GatewaySettings
from mailward.gateway.doorkeeper import Doorkeeper

FEW = GatewaySettings(max_connections=2, max_connections_per_address=1, connection_wait_s=Seconds(30))
HASTY = GatewaySettings(max_connections=2, max_connections_per_address=1, connection_wait_s=Seconds(0))


def test_one_that_waits_comes_in_when_another_leaves() -> None:
    async def go() -> None:
        door = Doorkeeper(Tally())
        assert await door.enter("192.0.2.1", FEW) == ""
        assert await door.enter("192.0.2.2", FEW) == ""
        waiting = asyncio.ensure_future(door.enter("192.0.2.3", FEW))
        await asyncio.sleep(0)
        assert not waiting.done()
        door.leave("192.0.2.1")
        assert await asyncio.wait_for(waiting, 10) == ""
        assert await door.enter("192.0.2.4", HASTY) == "max_connections"

    asyncio.run(go())


def test_room_that_another_process_makes_is_seen() -> None:
    async def go() -> None:
        tally = Tally()
        here, there = Doorkeeper(tally), Doorkeeper(tally)
        for address in ("192.0.2.1", "192.0.2.2"):
            assert await there.enter(address, FEW) == ""
        waiting = asyncio.ensure_future(here.enter("192.0.2.3", FEW))
        await asyncio.sleep(0)
        there.leave("192.0.2.2")
        assert await asyncio.wait_for(waiting, 10) == ""

    asyncio.run(go())


def test_one_address_has_a_limit_of_its_own_and_this_machine_has_none() -> None:
    async def go() -> list[str]:
        door = Doorkeeper(Tally())
        named = [await door.enter("192.0.2.1", HASTY) for _ in range(2)]
        door.leave("192.0.2.1")
        return [*named, *[await door.enter("127.0.0.1", HASTY) for _ in range(2)]]

    assert asyncio.run(go()) == ["", "max_connections_per_address", "", ""]


def test_one_that_gives_up_waiting_leaves_no_trace() -> None:
    async def go() -> None:
        tally = Tally()
        door = Doorkeeper(tally)
        for address in ("192.0.2.1", "192.0.2.2"):
            await door.enter(address, FEW)
        waiting = asyncio.ensure_future(door.enter("192.0.2.3", FEW))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        for address in ("192.0.2.1", "192.0.2.2"):
            door.leave(address)
        assert tally.total("in") == 0
        assert tally.total("in 192.0.2.3") == 0

    asyncio.run(go())
