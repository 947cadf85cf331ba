"""Events: observers hear them in order, mail never waits, a failing observer keeps nobody else from hearing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from structlog.testing import capture_logs

from mailward import Custom, Engine, Envelope, Event, Plugin, hookimpl

Build = Callable[..., Engine]


def event(number: int) -> Custom:
    return Custom(plugin="test", rule=str(number))


class Hears(Plugin):
    """Remembers what it hears."""

    def setup(self) -> None:
        self.heard: list[str] = []

    @hookimpl
    async def event(self, event: Event) -> None:
        assert isinstance(event, Custom)
        self.heard.append(event.rule)


class Fails(Plugin):
    """Fails at everything."""

    @hookimpl
    async def event(self, event: Event) -> None:
        raise RuntimeError("broken")


def heard(built: Engine) -> list[str]:
    (plugin,) = [instance.plugin for instance in built.policies.instances if isinstance(instance.plugin, Hears)]
    return plugin.heard


def test_observers_hear_everything_in_order(engine: Build) -> None:
    built = engine({"hears": Hears})

    async def main() -> None:
        async with built:
            for number in range(100):
                built.emit(event(number))

    asyncio.run(main())
    assert heard(built) == [str(number) for number in range(100)]


def test_what_happens_before_the_start_is_heard_too(engine: Build) -> None:
    built = engine({"hears": Hears})

    async def main() -> None:
        built.emit(event(1))
        async with built:
            built.emit(event(2))

    asyncio.run(main())
    assert heard(built) == ["1", "2"]


def test_an_event_has_the_time_of_the_clock(engine: Build) -> None:
    built = engine({"hears": Hears})
    times: list[float] = []
    built.listen(lambda one: times.append(one.at))
    built.emit(event(1))
    built.emit(Custom(plugin="test", rule="x", at=5.0))
    assert times[0] > 1_000_000_000
    assert times[1] == 5.0


def test_listeners_are_told_at_once(engine: Build) -> None:
    built = engine({"hears": Hears})
    told: list[Event] = []
    built.listen(told.append)
    built.emit(event(1))
    assert [one.name for one in told] == ["custom"]


def test_a_failing_observer_keeps_nobody_from_hearing(engine: Build) -> None:
    built = engine({"fails": Fails, "hears": Hears})

    async def main() -> None:
        async with built:
            built.emit(event(1))
            built.emit(event(2))

    with capture_logs() as logged:
        asyncio.run(main())
    assert heard(built) == ["1", "2"]
    assert [line["event"] for line in logged].count("observer failed") == 2


def test_an_observer_that_hangs_delays_no_emitter(engine: Build) -> None:
    release = asyncio.Event()

    class Hangs(Plugin):
        @hookimpl
        async def event(self, event: Event) -> None:
            await release.wait()

    built = engine({"hangs": Hangs})

    async def main() -> None:
        async with built:
            for number in range(1000):
                built.emit(event(number))
            release.set()

    asyncio.run(main())
    assert built.bus.lost == 0


def test_of_a_full_backlog_the_oldest_are_given_up_and_counted(engine: Build) -> None:
    built = engine({"hears": Hears})

    async def main() -> None:
        for number in range(10_005):
            built.emit(event(number))
        async with built:
            pass

    asyncio.run(main())
    assert built.bus.lost == 5
    assert heard(built)[0] == "5"
    assert len(heard(built)) == 10_000


def test_without_observers_nothing_is_kept(engine: Build) -> None:
    built = engine({"mute": Plugin})

    async def main() -> None:
        async with built:
            for number in range(20_000):
                built.emit(event(number))

    asyncio.run(main())
    assert built.bus.lost == 0


def test_events_from_threads_wake_the_observers(engine: Build) -> None:
    arrived = threading.Event()

    class Waits(Plugin):
        @hookimpl
        async def event(self, event: Event) -> None:
            arrived.set()

    built = engine({"waits": Waits})

    def emit_and_wait() -> bool:
        built.emit(event(1))
        return arrived.wait(30)

    async def main() -> bool:
        async with built:
            # Nothing else happens on the loop: only the event itself can wake it.
            return await asyncio.get_running_loop().run_in_executor(None, emit_and_wait)

    assert asyncio.run(main())


def test_a_plugin_emits_through_its_context(engine: Build) -> None:
    class Speaks(Plugin):
        @hookimpl
        def scan_message(self) -> None:
            self.context.emit(Custom(plugin=self.name, rule="spoke"))

    built = engine({"speaks": Speaks, "hears": Hears})

    async def main() -> None:
        async with built:
            await built.judge(Envelope(), b"Subject: x\r\n\r\n")

    asyncio.run(main())
    assert heard(built) == ["spoke"]
