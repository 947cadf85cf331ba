"""Connections that are kept, and how many."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


def statuses(results: list[Any]) -> list[str]:
    return [str(result.status) for result in results]


def test_sav_dlv_04_connection_is_reused_and_says_so(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening():
            relay = make_relay()
            results = [(await send(relay, server.port))[0] for _ in range(5)]
            await relay.stop()
        assert statuses(results) == ["delivered"] * 5
        assert [result.detail.partition(" (")[2] for result in results] == ["actual)", *["cached)"] * 4]
        assert server.connections == 1
        assert [c for c in server.commands if c[:4] in ("EHLO", "RSET", "QUIT")] == ["EHLO gate.example", "QUIT"]

    asyncio.run(run())


def test_connection_is_given_up_after_so_many_messages(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening():
            relay = make_relay(max_messages=2)
            for _ in range(5):
                await send(relay, server.port)
            await relay.stop()
        assert server.connections == 3
        assert server.commands.count("QUIT") == 3

    asyncio.run(run())


def test_idle_connection_is_closed_politely(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening():
            relay = make_relay(idle_s=0.1)
            await send(relay, server.port)
            await asyncio.sleep(0.4)
            assert server.commands[-1] == "QUIT"
            await send(relay, server.port)
            await relay.stop()
        assert server.connections == 2

    asyncio.run(run())


def test_nothing_is_kept_where_idle_time_is_zero(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening():
            relay = make_relay(idle_s=0.0)
            for _ in range(2):
                await send(relay, server.port)
            await relay.stop()
        assert server.connections == 2

    asyncio.run(run())


def test_bound_for_one_host(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening():
            relay = make_relay(max_per_host=3)
            results = await asyncio.gather(*(send(relay, server.port) for _ in range(30)))
            await relay.stop()
        assert {str(result.status) for (result,) in results} == {"delivered"}
        assert server.connections == 3
        assert len(server.messages) == 30

    asyncio.run(run())


@pytest.mark.parametrize("script", [{"MAIL": ["250 ok", "close", "250 ok"]}, {"MAIL": ["250 ok", "421 bye", "250 ok"]}])
def test_stale_connection_is_tried_once_more_on_a_fresh_one(
    make_relay: Any, send: Any, peer: Any, script: dict[str, Any]
) -> None:
    async def run() -> None:
        server = peer(script=script)
        async with server.listening():
            relay = make_relay()
            results = [(await send(relay, server.port))[0] for _ in range(2)]
            await relay.stop()
        assert statuses(results) == ["delivered"] * 2
        assert results[1].detail.endswith("(actual)")
        assert server.connections == 2
        assert len(server.messages) == 2

    asyncio.run(run())


def test_connection_that_the_peer_closed_meanwhile_is_not_used(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        relay = make_relay()
        first = peer()
        async with first.listening():
            await send(relay, first.port)
        second = peer(port=first.port)
        async with second.listening():
            await asyncio.sleep(0.05)
            (result,) = await send(relay, second.port)
            await relay.stop()
        assert (result.status, second.connections) == ("delivered", 1)

    asyncio.run(run())


def test_fresh_connection_that_fails_is_not_tried_again(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer(script={"MAIL": "close"})
        async with server.listening():
            relay = make_relay()
            (result,) = await send(relay, server.port)
            await relay.stop()
        assert (result.status, server.connections) == ("unreachable", 1)

    asyncio.run(run())


def test_connection_that_failed_after_the_end_of_data_is_not_kept(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer(script={"END": ["close", "250 ok"]})
        async with server.listening():
            relay = make_relay()
            results = [(await send(relay, server.port))[0] for _ in range(2)]
            await relay.stop()
        assert statuses(results) == ["deferred", "delivered"]
        assert server.connections == 2

    asyncio.run(run())


def test_stop_does_not_wait_for_a_peer_that_does_not_say_goodbye(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer(script={"QUIT": "stall"})
        async with server.listening():
            relay = make_relay()
            await asyncio.gather(*(send(relay, server.port) for _ in range(5)))
            began = asyncio.get_running_loop().time()
            await relay.stop()
            assert asyncio.get_running_loop().time() - began < 4

    asyncio.run(run())


def test_hosts_are_forgotten(make_relay: Any, send: Any, peer: Any, unused_port: int) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening():
            relay = make_relay(idle_s=0.05)
            await send(relay, server.port)
            await send(relay, unused_port)
            await asyncio.sleep(0.2)
            assert relay._pool._hosts == {}
            await relay.stop()

    asyncio.run(run())
