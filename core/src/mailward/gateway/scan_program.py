"""The program behind ``mailward scan-server``: runs until told to stop; reads its certificate again on SIGHUP."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from mailward.engine.config import Config, load_config
from mailward.engine.log import configure
from mailward.engine.loop import run
from mailward.gateway.log import listener
from mailward.gateway.signals import STRAY
from mailward.hooks.log import get_logger
from mailward.scan.pool import Pool
from mailward.scan.protocol import Setup
from mailward.scan.remote.server import Identity, ScanServer
from mailward.values.errors import ConfigError, ScanError

EXIT_OK = 0
EXIT_FAILED = 1


def _pass_over(number: signal.Signals) -> None:
    get_logger().warning("signal without meaning here", signal=number.name)


async def _serve(config: Config, identity: Identity) -> int:
    loop = asyncio.get_running_loop()
    log = get_logger()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, stop.set)
    for number in STRAY:
        loop.add_signal_handler(number, _pass_over, number)
    pool = Pool(Setup(config.text, config.source, str(config.base)), config.core.scan, listener())
    server = ScanServer(config, identity, pool)

    def renew() -> None:
        try:
            identity.renew(config)
        except ConfigError as error:
            log.error("certificate and key stay as they were", problem=str(error))
        else:
            log.info("certificate and key read again")

    loop.add_signal_handler(signal.SIGHUP, renew)
    try:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(pool.stop)
            await pool.start()
            listening = await server.start()
            stack.push_async_callback(server.stop)
            log.info("ready", listen=list(listening), plugins=list(config.plugins), config=config.source)
            await stop.wait()
    except ScanError as error:
        log.error("cannot start", problem=str(error))
        return EXIT_FAILED
    log.info("stopped")
    return EXIT_OK


def serve(path: Path | None) -> int:
    """Run the scan server on a configuration file; the exit status. Raises ConfigError where that is wrong."""
    config = load_config(path)
    configure(config.core.log)
    return run(_serve(config, Identity(config)))
