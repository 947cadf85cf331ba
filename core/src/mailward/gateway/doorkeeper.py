"""How many connections are open, in all processes together; those over a limit wait for room (SAV-CON-02)."""

from __future__ import annotations

import asyncio
from collections import deque

from mailward.engine.gateway_settings import GatewaySettings
from mailward.hooks.tally import Tally

LOOK_AGAIN_S = 0.25
MAX_WAITING = 256
"""Connections of one process that may wait; each holds a descriptor."""

TOTAL = "in"
_HOST_ITSELF = frozenset({"127.0.0.1", "::1"})


class Doorkeeper:
    """Lets connections in while there is room."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, address: str, settings: GatewaySettings) -> str:
        """Count a connection in, once there is room; else the name of the limit after ``connection_wait_s``."""
        limit = self._try(address, settings)
        if not limit or len(self._waiting) >= MAX_WAITING:
            return limit
        loop = asyncio.get_running_loop()
        end = loop.time() + settings.connection_wait_s
        while limit and loop.time() < end:
            # room made by another process is seen only by looking again
            turn = loop.create_future()
            self._waiting.append(turn)
            timer = loop.call_later(min(LOOK_AGAIN_S, max(end - loop.time(), 0)), _wake, turn)
            try:
                await turn
            finally:
                timer.cancel()
                if turn in self._waiting:
                    self._waiting.remove(turn)
            limit = self._try(address, settings)
        return limit

    def leave(self, address: str) -> None:
        """Count a connection out that was let in."""
        self._tally.add(TOTAL, -1)
        self._tally.add(f"{TOTAL} {address}", -1)
        if self._waiting:
            _wake(self._waiting.popleft())

    def _try(self, address: str, settings: GatewaySettings) -> str:
        own = f"{TOTAL} {address}"
        if self._tally.add(TOTAL, 1) > settings.max_connections:
            self._tally.add(TOTAL, -1)
            return "max_connections"
        of_address = self._tally.add(own, 1)
        if of_address > settings.max_connections_per_address and address not in _HOST_ITSELF:
            self._tally.add(own, -1)
            self._tally.add(TOTAL, -1)
            return "max_connections_per_address"
        return ""


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
