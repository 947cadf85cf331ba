"""Watching time: one sweep looks at everybody, and content has a slowest pace."""

from __future__ import annotations

import asyncio

from mailward.gateway.watch import SWEEP_S, Watch


class Timed:
    def __init__(self, watch: Watch, looks: int) -> None:
        self.watch = watch
        self.looks = looks
        self.seen: list[float] = []

    def check_time(self, now: float) -> None:
        self.seen.append(now)
        if len(self.seen) == self.looks:
            self.watch.discard(self)


def test_everybody_is_looked_at_until_he_leaves_and_then_the_watch_rests() -> None:
    async def go() -> None:
        watch = Watch()
        first, second = Timed(watch, 2), Timed(watch, 1)
        watch.add(first)
        watch.add(second)
        while len(watch):
            await asyncio.sleep(SWEEP_S / 5)
        await asyncio.sleep(SWEEP_S * 1.5)
        assert (len(first.seen), len(second.seen)) == (2, 1)
        watch.add(Timed(watch, 1))
        while len(watch):
            await asyncio.sleep(SWEEP_S / 5)

    asyncio.run(go())
