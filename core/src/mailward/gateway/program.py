"""The program behind ``mailward serve``: builds everything, runs until told to stop, ends in good order."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from attrs import frozen

from mailward.delivery.runner import Runner
from mailward.engine.config import Config, load_config
from mailward.engine.engine import Engine
from mailward.engine.loop import run
from mailward.gateway.acceptance import Acceptance
from mailward.gateway.address import Listen
from mailward.gateway.log import configure, listener
from mailward.gateway.server import Server
from mailward.gateway.services import Services
from mailward.hooks.markers import Place
from mailward.scan.pool import Pool
from mailward.scan.protocol import Setup
from mailward.scan.remote.servers import Servers
from mailward.spool.committer import Committer
from mailward.spool.spool import Spool
from mailward.values.errors import ScanError, SpoolError
from mailward.values.event import Started, Stopped

EXIT_OK = 0
EXIT_CONFIG = 2
EXIT_FAILED = 1
DRAIN_S = 10.0
BACKLOG = 1024


@frozen(eq=False)
class Gateway:
    """A running gateway: bound sockets and what stands behind them."""

    engine: Engine
    runner: Runner
    pool: Pool
    servers: tuple[asyncio.Server, ...]
    connections: set[Server]
    listening: tuple[str, ...]

    async def drain(self) -> None:
        """Accept no more, tell idle clients to go, let messages in progress finish for a while."""
        for server in self.servers:
            server.close()
        end = asyncio.get_running_loop().time() + DRAIN_S
        while self.connections and asyncio.get_running_loop().time() < end:
            for connection in tuple(self.connections):
                await connection.leave()
            await asyncio.sleep(0.05)


async def open_gateway(config: Config, stack: AsyncExitStack) -> Gateway:
    """Build and start a gateway; what it opened is closed by ``stack``, last first.

    Raises ConfigError, SpoolError or ScanError where it cannot start.
    """
    addresses = [(number, text) for number, one in enumerate(config.listeners) for text in one.settings.listen]
    sockets = [(number, Listen.parse(text, config.source)) for number, text in addresses]
    bound = [(number, listen.bind(config.source)) for number, listen in sockets]
    for _, one in bound:
        stack.callback(one.close)
    engine = Engine(config, place=Place.GATEWAY)
    engine.listen(listener())
    spool = Spool(config.state, clock=engine.clock)
    spool.open()
    stack.callback(spool.close)
    committer = Committer(spool)
    stack.callback(committer.close)
    setup = Setup(config.text, config.source, str(config.base))
    pool = Pool(setup, config.core.scan, engine.emit, Servers.of(engine))
    stack.push_async_callback(pool.stop)
    await asyncio.gather(engine.start(), pool.start())
    stack.push_async_callback(engine.stop)
    runner = Runner(spool, committer, engine.gate, config.core.delivery, engine.hostname, engine.clock, engine.emit)
    spool.adopt((spool.slot,))
    recovered = await runner.start()
    stack.push_async_callback(runner.stop)
    services = Services(engine, Acceptance(engine, pool, committer, runner), spool)
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(services.listeners[number].connection, sock=one, backlog=BACKLOG)
        for number, one in bound
    ]
    listening = tuple(_name(one) for _, one in bound)
    engine.emit(Started(listen=listening, recovered=recovered or 0))
    return Gateway(engine, runner, pool, tuple(servers), services.connections, listening)


def _name(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return str(Listen(host, port))


async def _serve(config: Config) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with AsyncExitStack() as stack:
            gateway = await open_gateway(config, stack)
            _welcome(config, gateway)
            await stop.wait()
            await gateway.drain()
            gateway.engine.emit(Stopped())
    except (SpoolError, ScanError) as error:
        structlog.get_logger().error("cannot start", problem=str(error))
        return EXIT_FAILED
    return EXIT_OK


def _welcome(config: Config, gateway: Gateway) -> None:
    log = structlog.get_logger()
    plugins = [found.name for found in gateway.engine.policies.found]
    log.info("ready", listen=list(gateway.listening), plugins=plugins, config=config.source, state=str(config.state))


def _make_private(state: Path) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SpoolError(f"{state}: cannot be made: {error.strerror}") from error


def serve(path: Path | None) -> int:
    """Run the gateway on a configuration file, or on the built-in defaults; the exit status.

    Raises ConfigError where the configuration is wrong and SpoolError where its state folder cannot be
    made: nothing has been started then.
    """
    config = load_config(path)
    configure(config.core.log)
    _make_private(config.state)
    return run(_serve(config))
