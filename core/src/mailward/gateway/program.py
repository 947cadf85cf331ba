"""What a gateway process is made of, and how it is put together: `open_gateway` is the one place for that."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Protocol

import attrs
from attrs import evolve, field, frozen

from mailward.delivery.runner import Runner
from mailward.engine.board import Board
from mailward.engine.config import Config
from mailward.engine.engine import Engine
from mailward.gateway.acceptance import Acceptance
from mailward.gateway.bound import Bound
from mailward.gateway.counters import Counters
from mailward.gateway.listeners import Listeners
from mailward.gateway.log import listener
from mailward.gateway.server import Server
from mailward.gateway.services import Services
from mailward.gateway.unscanned import Unscanned
from mailward.scan.pool import Pool
from mailward.scan.protocol import Setup
from mailward.scan.remote.servers import Servers
from mailward.spool.committer import Committer
from mailward.spool.spool import Spool

_LOOK_S = 0.05


class HasStats(Protocol):
    """A component with figures."""

    def stats(self) -> attrs.AttrsInstance:
        """Plain numbers, in a class of attrs."""
        ...


@frozen(eq=False)
class Share:
    """What one gateway process has of the whole program.

    ``slot`` is its part of the spool; ``in_use`` are those of all processes that live: the mail of the
    rest is taken over where ``adopts``. ``workers`` is its part of the scan processes.
    """

    bound: tuple[Bound, ...]
    slot: str = "0"
    in_use: tuple[str, ...] = ("0",)
    adopts: bool = True
    workers: int = 1
    board: Board = field(factory=Board)


@frozen(eq=False)
class Gateway:
    """A gateway process at work."""

    engine: Engine
    spool: Spool
    runner: Runner
    unscanned: Unscanned
    pool: Pool
    services: Services
    listeners: Listeners
    counters: Counters
    recovered: int

    @property
    def connections(self) -> set[Server]:
        """The open connections."""
        return self.services.connections

    @property
    def components(self) -> dict[str, HasStats]:
        """What has figures of its own, by the word that their names begin with."""
        return {"in": self.services, "scan": self.pool, "queue": self.unscanned}

    @property
    def board(self) -> Board:
        """The board of the process."""
        return self.services.board

    def close(self) -> None:
        """Accept no more; whoever was accepted and is not greeted yet is told to try again later."""
        self.listeners.close()
        self.services.leaving = True

    async def drain(self, limit_s: float) -> None:
        """Once closed: tell idle clients to go, let messages in progress finish for so long; deliver no more."""
        end = asyncio.get_running_loop().time() + limit_s
        await asyncio.sleep(_LOOK_S)  # whoever was accepted and is not counted yet is told at the door
        while self.connections and asyncio.get_running_loop().time() < end:
            for connection in tuple(self.connections):
                await connection.leave()
            await asyncio.sleep(_LOOK_S)
        await self.unscanned.stop()
        await self.runner.stop()


async def open_gateway(config: Config, engine: Engine, share: Share, stack: AsyncExitStack) -> Gateway:
    """Start everything but the listening; what was opened is closed by ``stack``, last first.

    Raises ConfigError, SpoolError or ScanError where it cannot start.
    """
    counters = Counters()
    engine.listen(listener())
    engine.listen(counters.count)
    spool = Spool(config.state, share.slot, clock=engine.clock)
    spool.open()
    stack.callback(spool.close)
    committer = Committer(spool)
    stack.callback(committer.close)
    setup = Setup(config.text, config.source, str(config.base))
    pool = Pool(setup, evolve(config.core.scan, workers=share.workers), engine.emit, Servers.of(engine))
    stack.push_async_callback(pool.stop)
    engine.ourselves.listen(one.place for one in share.bound)
    await asyncio.gather(engine.start(), pool.start())
    stack.push_async_callback(engine.stop)
    delivery, board = config.core.delivery, share.board
    told = (engine.clock, engine.emit, board, config.core.gateway.postmaster)
    runner = Runner(spool, committer, engine.gate, delivery, engine.hostname, *told)
    unscanned = Unscanned(engine, pool, spool, committer, runner, board)
    if share.adopts:
        spool.adopt(share.in_use)
    recovered = await runner.start()
    stack.push_async_callback(runner.stop)
    recovered += await unscanned.start()
    stack.push_async_callback(unscanned.stop)
    services = Services(engine, Acceptance(engine, pool, committer, runner, board), spool, board)
    listeners = Listeners(share.bound, {one.section: one.connection for one in services.listeners}, board)
    return Gateway(engine, spool, runner, unscanned, pool, services, listeners, counters, recovered)
