"""How many connections at a time, and hosts that are left in peace."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from mailward import Clock, ConfigError, Context, Engine, Expiring, NextHop, Tally
from mailward.hooks.expiring import MOST_ENTRIES
from mailward_relay import Relay, RelaySettings
from mailward_relay.pool import Pool
from mailward_relay.route_settings import RouteSettings
from mailward_relay.unreachable import Unreachable, period_s
from mailward_relay.wire import LinkError


def test_kav_lim_01_connections_to_one_host_are_bounded(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening():
            relay = make_relay(max_per_host=3)
            results = await asyncio.gather(*(send(relay, server.port) for _ in range(30)))
            assert {result.status for (result,) in results} == {"delivered"}
            await relay.stop()
        assert server.connections == 3

    asyncio.run(run())


def test_a_route_has_a_bound_of_its_own(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening():
            relay = make_relay(route={"r": RouteSettings(hosts={f"127.0.0.1:{server.port}": 1}, max_per_host=1)})
            hop = NextHop("smtp", "127.0.0.1", server.port, route="r")
            results = await asyncio.gather(*(send(relay, 0, hop=hop) for _ in range(10)))
            assert {result.status for (result,) in results} == {"delivered"}
            await relay.stop()
        assert server.connections == 1

    asyncio.run(run())


def test_kav_lim_01_connections_to_all_hosts_are_bounded_and_idle_ones_make_room(
    make_relay: Any, send: Any, peer: Any
) -> None:
    async def run() -> None:
        servers = [peer() for _ in range(6)]
        relay = make_relay(max_connections=2)
        most = 0
        async with contextlib.AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server.listening())
                (result,) = await send(relay, server.port)
                assert result.status == "delivered"
                most = max(most, relay._pool._links)
            await relay.stop()
        assert most == 2
        assert sum(server.commands.count("QUIT") for server in servers) == 6

    asyncio.run(run())


def test_caps_hold_for_all_gateway_processes_but_each_has_one_link(peer: Any) -> None:
    async def run() -> None:
        server = peer()
        settings = RelaySettings(max_per_host=2)
        shared = Tally.make(2)
        tallies = [Tally(shared, column, 2) for column in range(2)]
        async with server.listening():
            hop = NextHop("smtp", "127.0.0.1", server.port)
            relays = [Relay(settings, Context(name="relay", hostname="gate.example", tally=tally)) for tally in tallies]
            pools: list[Pool] = [relay._pool for relay in relays]
            async with pools[0].lease(hop), pools[0].lease(hop), pools[1].lease(hop):
                assert server.connections == 3
                third = asyncio.create_task(pools[1]._take(pools[1]._host(hop), hop, True, None))
                await asyncio.sleep(0.2)
                assert server.connections == 3
                assert not third.done()
                third.cancel()
                await asyncio.gather(third, return_exceptions=True)
            for relay in relays:
                await relay.stop()
        for tally in tallies:
            assert tally.total("relay.links") == 0
            tally.close()

    asyncio.run(run())


def test_a_process_gives_back_what_it_has_beyond_its_share(peer: Any) -> None:
    async def run() -> None:
        server = peer()
        shared = Tally.make(2)
        tallies = [Tally(shared, column, 2) for column in range(2)]
        assert [tally.columns for tally in tallies] == [2, 2]
        async with server.listening():
            hop = NextHop("smtp", "127.0.0.1", server.port)
            settings = RelaySettings(max_per_host=2)
            relays = [Relay(settings, Context(name="relay", hostname="gate.example", tally=tally)) for tally in tallies]
            greedy, modest = (relay._pool for relay in relays)
            async with greedy.lease(hop), greedy.lease(hop):
                pass
            assert greedy._links == 1
            async with modest.lease(hop):
                assert tallies[0].total(f"relay.links {hop}") == 2
            for relay in relays:
                await relay.stop()
        for tally in tallies:
            tally.close()

    asyncio.run(run())


def test_who_waits_for_room_takes_a_link_that_comes_back(peer: Any) -> None:
    async def run() -> None:
        server = peer()
        shared = Tally.make(2)
        own, other = (Tally(shared, column, 2) for column in range(2))
        async with server.listening():
            hop = NextHop("smtp", "127.0.0.1", server.port)
            relay = Relay(RelaySettings(max_per_host=2), Context(name="relay", hostname="gate.example", tally=own))
            other.add(f"relay.links {hop}", 1)
            async with relay._pool.lease(hop) as link:
                waiting = asyncio.create_task(relay._pool._take(relay._pool._host(hop), hop, False, None))
                await asyncio.sleep(0.01)
                assert not waiting.done()
            assert await asyncio.wait_for(waiting, 20) is link
            assert server.connections == 1
            link.wire.abort()
            await relay.stop()
        own.close()
        other.close()

    asyncio.run(run())


def test_kav_que_02_a_host_that_was_not_reached_is_left_in_peace(make_relay: Any, send: Any, peer: Any) -> None:
    now = [0.0]

    async def run() -> None:
        server = peer(script={"GREETING": ["554 5.3.2 no", "220 peer ESMTP"]})
        async with server.listening():
            relay = make_relay(clock=Clock(monotonic=lambda: now[0]))
            (first,) = await send(relay, server.port)
            (second,) = await send(relay, server.port)
            assert (first.status, second.status, server.connections) == ("unreachable", "unreachable", 1)
            assert second.detail.startswith("not tried again yet: ")
            assert (first.untried, second.untried) == (False, True)
            assert second.reply == first.reply
            now[0] = 226.0
            (third,) = await send(relay, server.port)
            assert (third.status, server.connections) == ("delivered", 2)
            await relay.stop()

    asyncio.run(run())


def test_a_message_that_comes_again_early_was_sent_by_an_operator(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer(script={"GREETING": ["554 5.3.2 no", "220 peer ESMTP"]})
        async with server.listening():
            relay = make_relay()
            statuses = [(await send(relay, server.port, attempts=number))[0].status for number in (0, 1)]
            assert statuses == ["unreachable", "delivered"]
            await relay.stop()

    asyncio.run(run())


def test_a_host_that_has_enough_of_us_is_not_unreachable(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer(script={"GREETING": ["220 peer ESMTP", "421 4.7.0 one is enough", "220 peer ESMTP"]})
        async with server.listening():
            relay = make_relay(max_per_host=2)
            hop = NextHop("smtp", "127.0.0.1", server.port)
            async with relay._pool.lease(hop):
                (turned_away,) = await send(relay, server.port)
                assert turned_away.status == "unreachable"
                (served,) = await send(relay, server.port)
                assert served.status == "delivered"
            await relay.stop()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("wanted", "first_retry_s", "message"),
    [
        (300.0, 300.0, "is not less than delivery.retry_first_s = 300; the second attempt would never be made"),
        (59.0, 300.0, "out of range; allowed: 60 to 64800"),
        (64_801.0, 1e6, "out of range"),
    ],
)
def test_kav_que_02_the_quiet_time_is_less_than_the_first_retry(
    wanted: float, first_retry_s: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        period_s(wanted, first_retry_s)


def test_kav_que_02_the_quiet_time_follows_the_first_retry_unless_set() -> None:
    assert period_s(None, 300.0) == 225.0
    assert period_s(299.0, 300.0) == 299.0


def test_kav_que_02_the_rule_is_enforced_when_the_configuration_is_loaded(tmp_path: Any) -> None:
    file = tmp_path / "mailward.toml"
    file.write_text("plugins = ['relay']\n[delivery]\nretry_first_s = 100\n[relay]\nunreachable_cache_s = '2 min'\n")
    with pytest.raises(ConfigError, match=r"unreachable_cache_s = 120: is not less than delivery.retry_first_s = 100"):
        Engine.from_config(file)
    file.write_text("plugins = ['relay']\n[relay]\nunreachable_cache_s = '2 min'\nmx_cache_s = 59\n")
    with pytest.raises(ConfigError, match=r"relay.mx_cache_s = 59: out of range; allowed: 60 to 64800"):
        Engine.from_config(file)


def test_what_is_remembered_is_bounded() -> None:
    cache: Expiring[int, int] = Expiring(lambda: 0.0)
    for number in range(MOST_ENTRIES + 5):
        cache.put(number, number, 10.0)
    assert len(cache) == MOST_ENTRIES
    assert cache.get(0) is None
    assert cache.get(MOST_ENTRIES) == MOST_ENTRIES
    cache.forget(MOST_ENTRIES)
    assert cache.get(MOST_ENTRIES) is None


def test_notes_without_a_message_hold_everybody_off() -> None:
    notes = Unreachable(10.0, Clock(monotonic=lambda: 0.0))
    hop = NextHop("smtp", "x.example", 25)
    notes.note(hop, LinkError("down"))
    assert notes.why(hop) is not None
    notes.forget(hop)
    assert notes.why(hop) is None
