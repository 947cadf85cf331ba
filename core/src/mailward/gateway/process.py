"""A gateway process: ``python -m mailward.gateway.process LINK_FD``, started by the supervisor.

It reads the configuration that it is given, says what that asks for, and starts when it is told to.
From then on it shows that its event loop turns, and does what the supervisor says.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from mailward.engine.board import DESCRIPTORS, Board
from mailward.engine.config import Config, load_config, parse_config
from mailward.engine.engine import Engine
from mailward.engine.log import configure
from mailward.engine.loop import run
from mailward.gateway.bound import Bound
from mailward.gateway.descriptors import Descriptors
from mailward.gateway.figures import figures
from mailward.gateway.link import (
    MAX_LINE_BYTES,
    Adopt,
    Adopted,
    Ask,
    Beat,
    Failed,
    Faulty,
    Leave,
    Left,
    Load,
    Message,
    Open,
    Opened,
    Prepare,
    Prepared,
    Tell,
    Throw,
    line,
    read_line,
)
from mailward.gateway.plan import plan_of, private_temp
from mailward.gateway.privileges import account, become, end_with
from mailward.gateway.program import Gateway, Share, open_gateway
from mailward.gateway.signals import STRAY
from mailward.gateway.tell import told
from mailward.hooks.log import get_logger
from mailward.hooks.markers import Place
from mailward.hooks.tally import Tally
from mailward.values.errors import ConfigError, ScanError, SpoolError
from mailward.values.event import Stopped

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIG = 2
_MAX_DESCRIPTORS = 250
_FOR_THE_SUPERVISOR = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)


class _Handshake:
    """The first messages, read and written in turn, with descriptors coming along."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def say(self, message: Message) -> None:
        self._link.sendall(line(message))

    def hear(self) -> tuple[Message, list[int]]:
        """The next message and its descriptors. Raises EOFError where the supervisor is gone."""
        data = b""
        descriptors: list[int] = []
        while not data.endswith(b"\n"):
            piece, found, _, _ = socket.recv_fds(self._link, 65536, _MAX_DESCRIPTORS)
            if not piece:
                raise EOFError
            data += piece
            descriptors += found
        return read_line(data), descriptors


def _load(load: Load) -> Config:
    if load.text is None:
        return load_config(None)
    return parse_config(load.text, load.source, Path(load.base))


def start(link: socket.socket) -> int:
    """Go through the first steps, then run; the exit status."""
    handshake, parent = _Handshake(link), os.getppid()
    load, _ = handshake.hear()
    assert isinstance(load, Load)
    tally = Tally()
    try:
        config = _load(load)
        configure(config.core.log)
        engine = Engine(config, place=Place.GATEWAY, tally=tally)
        who = account(config.core.process.user, config.core.process.group, config.source)
        plan = plan_of(config, engine)
    except ConfigError as error:
        handshake.say(Faulty(error.source, tuple(error.problems)))
        return EXIT_CONFIG
    handshake.say(plan)
    prepare, descriptors = handshake.hear()
    assert isinstance(prepare, Prepare)
    become(who)
    end_with(parent)
    tally_fd, hang_fd, *sockets = descriptors
    faulthandler.register(signal.SIGUSR2, file=hang_fd, all_threads=False)
    tally.join(tally_fd, prepare.number, prepare.columns, bytes.fromhex(prepare.key))
    os.close(tally_fd)
    bound = tuple(Bound(name, socket.socket(fileno=fd)) for name, fd in zip(prepare.listen, sockets, strict=True))
    board = Board(prepare.switches)
    share = Share(bound, prepare.slot, prepare.in_use, prepare.number == 0, prepare.workers, board)
    return run(Process(link, config, engine, share, prepare).run())


class Process:
    """The process between `Prepare` and its end."""

    def __init__(self, link: socket.socket, config: Config, engine: Engine, share: Share, prepare: Prepare) -> None:
        self._link = link
        self._config = config
        self._engine = engine
        self._share = share
        self._prepare = prepare
        self._told_short = frozenset(prepare.short)
        self._descriptors = Descriptors(config.core.health, f"gateway process {os.getpid()}", engine.emit)

    async def run(self) -> int:
        """Open the gateway, obey until told to leave; the exit status."""
        self._reader, self._writer = await asyncio.open_connection(sock=self._link, limit=MAX_LINE_BYTES)
        try:
            async with AsyncExitStack() as stack:
                try:
                    private_temp(self._config, self._share.slot)
                    gateway = await open_gateway(self._config, self._engine, self._share, stack)
                except ConfigError as error:
                    return await self._cannot(Faulty(error.source, tuple(error.problems)), EXIT_CONFIG)
                except (SpoolError, ScanError, TimeoutError, OSError) as error:
                    return await self._cannot(Failed(str(error) or type(error).__name__), EXIT_FAILED)
                gc.collect(1)
                gc.freeze()  # what was loaded stays: no collection need look at it, which takes 40 ms each time
                self._say(Prepared(gateway.recovered))
                beats = asyncio.create_task(self._beat(gateway))
                await self._obey(gateway)
                beats.cancel()
                self._say(self._figures(gateway))
        finally:
            self._writer.close()
        return EXIT_OK

    async def _cannot(self, answer: Message, status: int) -> int:
        self._say(answer)
        await self._writer.drain()
        return status

    def _say(self, message: Message) -> None:
        self._writer.write(line(message))

    async def _beat(self, gateway: Gateway) -> None:
        while True:
            self._descriptors.look()
            self._note_shortage(gateway)
            self._say(self._figures(gateway))
            await asyncio.sleep(self._prepare.beat_s)

    def _note_shortage(self, gateway: Gateway) -> None:
        own = frozenset({DESCRIPTORS}) if self._descriptors.short else frozenset()
        gateway.board.short = self._told_short | own

    def _figures(self, gateway: Gateway, number: int = 0) -> Beat:
        return figures(gateway, self._descriptors, number)

    async def _obey(self, gateway: Gateway) -> None:
        """Do what the supervisor says until he says `Leave` or is gone."""
        while data := await self._reader.readline():
            message = read_line(data)
            match message:
                case Open():
                    await gateway.listeners.open()
                    self._say(Opened(gateway.listeners.addresses))
                case Throw():
                    self._told_short = frozenset(message.short)
                    self._note_shortage(gateway)
                    gateway.board.set(message.switches)
                case Adopt():
                    await self._adopt(gateway, message)
                case Tell():
                    self._engine.emit(told(message))
                case Ask():
                    self._say(self._figures(gateway, message.number))
                case Leave():
                    gateway.close()
                    self._say(Left())
                    await gateway.drain(message.limit_s)
                    if message.stopped:
                        self._engine.emit(Stopped())
                    return
                case _:
                    get_logger().error("supervisor said what he should not", message=type(message).__name__)

    async def _adopt(self, gateway: Gateway, adopt: Adopt) -> None:
        try:
            self._say(Adopted(await gateway.runner.adopt(adopt.in_use)))
        except SpoolError as error:  # it is tried again with the next one
            get_logger().error("mail of an ended process cannot be taken over", problem=str(error))


def _pass_over(number: int, frame: object) -> None:
    """Do nothing: the supervisor hears the signal too, or it means nothing."""


def main() -> None:
    """Run on the descriptor that the command line names."""
    for number in (*_FOR_THE_SUPERVISOR, *STRAY):
        # not SIG_IGN, which programs that plugins start would inherit
        signal.signal(number, _pass_over)
    link = socket.socket(fileno=int(sys.argv[1]))
    try:
        status = start(link)
    except (EOFError, ConnectionError):  # the supervisor is gone, and with him the reason to be here
        status = EXIT_FAILED
    sys.exit(status)


if __name__ == "__main__":
    main()
