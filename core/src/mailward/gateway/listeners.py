"""The listening sockets of one gateway process: opened and closed as the board says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from mailward.engine.board import Board
from mailward.gateway.bound import Bound, deafen
from mailward.values.switches import Switches

BACKLOG = 1024
Protocols = Mapping[str, Callable[[], asyncio.BaseProtocol]]
"""From the name of a listener to what makes the protocol of a connection to it."""


class Listeners:
    """Listens on bound sockets while the switch ``receive`` is on.

    The sockets themselves stay bound, so that nobody else gets the ports: those who connect while
    nobody listens are refused by the system.
    """

    def __init__(self, bound: Iterable[Bound], protocols: Protocols, board: Board) -> None:
        self._bound = tuple(bound)
        self._protocols = protocols
        self._board = board
        self._servers: list[asyncio.Server] = []
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._left = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens, or would."""
        return tuple(one.address for one in self._bound)

    async def open(self) -> None:
        """Listen, and follow the switch from now on."""
        self._board.watch(self._thrown)
        await self._follow()

    def close(self) -> None:
        """Take no more connections; the sockets go on listening for whoever else holds them."""
        self._left = True
        for server in self._servers:
            server.close()
        self._servers.clear()
        for one in self._bound:
            one.socket.close()

    def _thrown(self, switches: Switches) -> None:
        task = asyncio.get_running_loop().create_task(self._follow())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self) -> None:
        async with self._turn:
            receive = self._board.now.receive
            if self._left or receive is bool(self._servers):
                return
            if receive:
                for one in self._bound:
                    self._servers.append(await self._serve(one))
            else:
                for server in self._servers:
                    server.close()
                self._servers.clear()
                for one in self._bound:
                    deafen(one.socket)

    async def _serve(self, one: Bound) -> asyncio.Server:
        # a copy, because closing the server closes the descriptor it was given
        loop = asyncio.get_running_loop()
        return await loop.create_server(self._protocols[one.name], sock=one.socket.dup(), backlog=BACKLOG)
