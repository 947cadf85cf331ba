"""The transports ``smtp`` and ``lmtp``: a delivery becomes transactions, these become results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailward import Content, ConversationLog, Delivery, Recipient, Result, Status
from mailward_relay.chunking import ChunkFailures, Chunking
from mailward_relay.link import Link
from mailward_relay.ours import LoopError
from mailward_relay.pool import Pool
from mailward_relay.recording import not_reached, recorded
from mailward_relay.settings import RelaySettings
from mailward_relay.suited import Unsuitable, check_fit, seven_bit
from mailward_relay.transaction import ChunkRefusedError, Outcome, Transaction, judge
from mailward_relay.unreachable import Attempt
from mailward_relay.wire import LinkError

WITH_PARAMETERS = frozenset({"size", "8bitmime", "smtputf8", "dsn"})
"""Extensions that add parameters to MAIL and RCPT (RFC 1870, RFC 6152, RFC 6531, RFC 3461)."""


class SmtpTransport:
    """Delivers to SMTP and LMTP servers over kept connections."""

    def __init__(
        self,
        settings: RelaySettings,
        pool: Pool,
        monotonic: Callable[[], float],
        log: Any,
        conversations: ConversationLog,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._monotonic = monotonic
        self._log = log
        self._conversations = conversations
        self._chunk_failures = ChunkFailures(monotonic)

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
            _result(recipient, outcomes[place], hop, elapsed_ms) for place, recipient in enumerate(delivery.recipients)
        ]

    async def _attempt(self, delivery: Delivery, recipients: tuple[Recipient, ...]) -> list[Outcome]:
        """One transaction.

        A second one follows on a fresh connection where a kept one turned out to be stale, and one with DATA
        where BDAT was not understood.
        """
        fresh = False
        while True:
            try:
                return await self._transact(delivery, recipients, fresh=fresh)
            except ChunkRefusedError as fault:
                hop = str(delivery.next_hop)
                self._log.warning("BDAT refused, going on with DATA", next_hop=hop, detail=fault.detail)
            except _StaleLinkError:
                fresh = True
            except LoopError as fault:
                # Hosts that are worse would send it to us too; the next attempt knows that we are here.
                return self._not_reached(delivery, recipients, fault, Status.DEFERRED)
            except LinkError as fault:
                return self._not_reached(delivery, recipients, fault, Status.UNREACHABLE)

    def _not_reached(
        self, delivery: Delivery, recipients: tuple[Recipient, ...], fault: LinkError, status: Status
    ) -> list[Outcome]:
        not_reached(self._conversations, delivery, fault)
        return [Outcome(status, fault.reply, fault.detail, untried=fault.untried)] * len(recipients)

    async def _transact(self, delivery: Delivery, recipients: tuple[Recipient, ...], *, fresh: bool) -> list[Outcome]:
        attempt = Attempt(delivery.message.id, delivery.message.attempts)
        async with self._pool.lease(delivery.next_hop, fresh=fresh, attempt=attempt) as link:
            reused = link.reused
            try:
                outcomes = await self._carry(delivery, recipients, link)
            except ChunkRefusedError:
                raise
            except LinkError as fault:
                if reused:
                    raise _StaleLinkError(fault.detail, fault.reply) from fault
                raise
            return await self._plainer(delivery, recipients, link, outcomes)

    async def _carry(self, delivery: Delivery, recipients: tuple[Recipient, ...], link: Link) -> list[Outcome]:
        """The outcomes of content that suits the peer. Raises LinkError."""
        how = link.described
        try:
            check_fit(delivery, link)
            if "8bitmime" in link.extensions:
                outcomes = await self._converse(delivery, recipients, link, delivery.content)
            else:
                async with seven_bit(delivery, self._settings.downgrade, self._log) as made:
                    how = f"{how}; {made.note}" if made.note else how
                    outcomes = await self._converse(delivery, recipients, link, made.content)
        except Unsuitable as error:
            refused = judge(error.reply)
            outcomes = [Outcome(refused.status, refused.reply, error.detail)] * len(recipients)
        return [_told(outcome, how, link) for outcome in outcomes]

    async def _plainer(
        self, delivery: Delivery, recipients: tuple[Recipient, ...], link: Link, outcomes: list[Outcome]
    ) -> list[Outcome]:
        """The outcomes, with those of a second transaction for whom the parameters of MAIL or RCPT were refused.

        A peer that offers extensions and does not know their parameters (555, RFC 5321 section 4.1.1.11) is taken
        for one that does not offer them, as long as the link lasts.
        """
        refused = [place for place, one in enumerate(outcomes) if one.reply is not None and one.reply.code == 555]
        if not refused or link.extensions.keys().isdisjoint(WITH_PARAMETERS) or not link.wire.usable:
            return outcomes
        reply = outcomes[refused[0]].reply
        hop = str(delivery.next_hop)
        self._log.warning("parameters refused, going on without", next_hop=hop, detail=str(reply))
        link.extensions = {name: said for name, said in link.extensions.items() if name == "pipelining"}
        try:
            again = await self._carry(delivery, tuple(recipients[place] for place in refused), link)
        except LinkError as fault:
            # others may have the message already, so this is no reason to begin anew
            again = [Outcome(Status.DEFERRED, fault.reply, fault.detail)] * len(refused)
        settled = dict(zip(refused, again, strict=True))
        return [settled.get(place, outcome) for place, outcome in enumerate(outcomes)]

    async def _converse(
        self, delivery: Delivery, recipients: tuple[Recipient, ...], link: Link, content: Content
    ) -> list[Outcome]:
        wanted = self._settings.chunking and not delivery.message.attempts
        chunking = Chunking(wanted, delivery.next_hop, self._chunk_failures)
        with recorded(self._conversations, delivery, link):
            return await Transaction(link, self._settings, delivery.sender, recipients, content, chunking).run()


class _StaleLinkError(LinkError):
    """A kept connection failed where a fresh one may do."""


def _told(outcome: Outcome, said: str, link: Link) -> Outcome:
    """The outcome with how it came about, and who answers a sender that wants to know of success.

    RFC 3461 section 5.2: a peer that offers DSN does; else a relaying one has us say so, and a mailbox is
    where delivery ends.
    """
    ours = outcome.status is Status.DELIVERED and "dsn" not in link.extensions
    detail = f"{said}; {outcome.detail}" if outcome.detail else said
    return Outcome(
        outcome.status,
        outcome.reply,
        detail,
        outcome.too_many,
        relayed=ours and not link.lmtp,
        final=ours and link.lmtp,
    )


def _result(recipient: Recipient, outcome: Outcome, hop: str, elapsed_ms: float) -> Result:
    return Result(
        *(recipient, outcome.status, outcome.reply, outcome.detail, hop, elapsed_ms),
        relayed=outcome.relayed,
        final=outcome.final,
        untried=outcome.untried,
    )
