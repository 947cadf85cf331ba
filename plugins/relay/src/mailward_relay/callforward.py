"""Call-forward: whether the next hop would take a recipient, asked by MAIL and RCPT and then RSET."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from attrs import field, frozen

from mailward import NULL, Address, Expiring, NextHop, PeerError, Recipient, Sender
from mailward_relay.commands import mail_command, rcpt_command, unsendable
from mailward_relay.link import Link
from mailward_relay.pool import Pool
from mailward_relay.settings import RelaySettings
from mailward_relay.wire import LinkError

MOST_HOPS = 3
ASKABLE = ("smtp", "lmtp")

ANSWER_S = 8.0
"""For one next hop: all of them together stay within the time that a plugin has for a recipient."""

SILENT_S = 30.0
"""How long a next hop that did not answer in time is not asked: who waits is a client with its message."""


@frozen
class CallForward:
    """Asks next hops; ``route`` finds those of an address, over ``pool`` they are spoken to."""

    settings: RelaySettings
    pool: Pool
    route: Callable[[Address], Awaitable[tuple[NextHop, ...]]]
    monotonic: Callable[[], float]
    _silent: Expiring[NextHop, str] = field(init=False)

    @_silent.default
    def _none_is_silent(self) -> Expiring[NextHop, str]:
        return Expiring(self.monotonic)

    async def knows(self, address: Address) -> bool:
        """Whether the next hop takes an address: 2xx yes, 5xx no. Raises PeerError where it does not say."""
        hops = [hop for hop in await self.route(address) if hop.transport in ASKABLE]
        if not hops:
            return True  # a folder takes everybody
        fault: PeerError = PeerError("no next hop")
        for hop in hops[:MOST_HOPS]:
            silent = self._silent.get(hop)
            if silent is not None:
                fault = PeerError(silent)
                continue
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await self._call(hop, address)
            except LinkError as error:
                fault = error
            except TimeoutError:
                fault = PeerError(f"{hop} gave no answer in {ANSWER_S:g} s")
                self._silent.put(hop, str(fault), SILENT_S)
        raise fault

    async def _call(self, hop: NextHop, address: Address) -> bool:
        """One next hop; on a kept connection that has gone stale, a second time on a fresh."""
        try:
            async with self.pool.lease(hop) as link:
                return await self._ask(link, address)
        except LinkError:
            async with self.pool.lease(hop, fresh=True) as link:
                return await self._ask(link, address)

    async def _ask(self, link: Link, address: Address) -> bool:
        if unsendable(address, link.extensions) is not None:
            return False
        timeout_s, wire = self.settings.rcpt_timeout_s, link.wire
        utf8 = not str(address).isascii()
        commands = [
            *([b"RSET"] if link.dirty else []),
            mail_command(Sender(NULL), 0, link.extensions, utf8=utf8),
            rcpt_command(Recipient(address), link.extensions),
        ]
        link.dirty = True
        link.messages += 1
        for command in commands:
            wire.send(command + b"\r\n", replies=1)
            reply = await wire.reply(timeout_s)
            if reply.code == 421:
                raise LinkError(f"{link.peer} closes the connection", reply)
            if reply.temporary or (reply.refuses and command != commands[-1]):
                raise PeerError(f"{link.peer} answered {reply.code} to {command.split(b' ')[0].decode()}")
        return not reply.refuses
