"""The transport ``smtp``: a delivery becomes transactions, these become results."""

from __future__ import annotations

from collections.abc import Callable

from mailward import Delivery, Recipient, Result, Status
from mailward_relay.pool import Pool
from mailward_relay.settings import RelaySettings
from mailward_relay.targets import SMTP_PORT
from mailward_relay.transaction import Outcome, Transaction
from mailward_relay.wire import LinkError


class SmtpTransport:
    """Delivers to SMTP servers over kept connections."""

    def __init__(self, settings: RelaySettings, pool: Pool, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._pool = pool
        self._monotonic = monotonic

    async def deliver(self, delivery: Delivery) -> list[Result]:
        """One result for each recipient, in their order."""
        started = self._monotonic()
        outcomes: dict[int, Outcome] = {}
        waiting = list(range(len(delivery.recipients)))
        while waiting:
            batch, waiting = waiting[: self._settings.max_recipients], waiting[self._settings.max_recipients :]
            found = await self._attempt(delivery, tuple(delivery.recipients[place] for place in batch))
            outcomes.update(zip(batch, found, strict=True))
            if any(outcome.status is Status.UNREACHABLE for outcome in found):
                outcomes.update((place, found[0]) for place in waiting)
                break
            # Only where the peer took others: a peer that says so of every recipient would never end.
            if any(not outcome.too_many for outcome in found):
                waiting = [p for p, outcome in zip(batch, found, strict=True) if outcome.too_many] + waiting
        elapsed_ms = round((self._monotonic() - started) * 1000, 3)
        hop = str(delivery.next_hop)
        return [
            Result(recipient, outcomes[place].status, outcomes[place].reply, outcomes[place].detail, hop, elapsed_ms)
            for place, recipient in enumerate(delivery.recipients)
        ]

    async def _attempt(self, delivery: Delivery, recipients: tuple[Recipient, ...]) -> list[Outcome]:
        """One transaction; on a kept connection that turns out to be stale, a second one on a fresh."""
        try:
            return await self._transact(delivery, recipients, fresh=False)
        except _StaleLinkError:
            pass
        except LinkError as fault:
            return [_unreachable(fault)] * len(recipients)
        try:
            return await self._transact(delivery, recipients, fresh=True)
        except LinkError as fault:
            return [_unreachable(fault)] * len(recipients)

    async def _transact(self, delivery: Delivery, recipients: tuple[Recipient, ...], *, fresh: bool) -> list[Outcome]:
        hop = delivery.next_hop
        async with self._pool.lease(hop.host, hop.port or SMTP_PORT, fresh=fresh) as link:
            reused = link.reused
            how = f"connected to {link.peer} ({'cached' if reused else 'actual'}{', TLS' if link.tls else ''})"
            try:
                outcomes = await Transaction(link, self._settings, delivery.sender, recipients, delivery.content).run()
            except LinkError as fault:
                if reused:
                    raise _StaleLinkError(fault.detail, fault.reply) from fault
                raise
            return [Outcome(o.status, o.reply, f"{how}; {o.detail}" if o.detail else how, o.too_many) for o in outcomes]


class _StaleLinkError(LinkError):
    """A kept connection failed where a fresh one may do."""


def _unreachable(fault: LinkError) -> Outcome:
    return Outcome(Status.UNREACHABLE, fault.reply, fault.detail)
