"""Call-forward: whether the next hop would take a recipient, asked by MAIL and RCPT and then RSET."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen

from mailward import NULL, Address, NextHop, PeerError, Recipient, Sender
from mailward_relay.commands import mail_command, rcpt_command, unsendable
from mailward_relay.link import Link
from mailward_relay.pool import Pool
from mailward_relay.settings import RelaySettings
from mailward_relay.wire import LinkError

MOST_HOPS = 3
ASKABLE = ("smtp", "lmtp")


@frozen
class CallForward:
    """Asks next hops; ``route`` finds those of an address, over ``pool`` they are spoken to."""

    settings: RelaySettings
    pool: Pool
    route: Callable[[Address], Awaitable[tuple[NextHop, ...]]]

    async def knows(self, address: Address) -> bool:
        """Whether the next hop takes an address: 2xx yes, 5xx no. Raises PeerError where it does not say."""
        hops = [hop for hop in await self.route(address) if hop.transport in ASKABLE]
        if not hops:
            return True  # a folder takes everybody
        fault: PeerError = PeerError("no next hop")
        for hop in hops[:MOST_HOPS]:
            for fresh in (False, True):
                try:
                    async with self.pool.lease(hop, fresh=fresh) as link:
                        return await self._ask(link, address)
                except LinkError as error:
                    fault = error
        raise fault

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
