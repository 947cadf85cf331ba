"""One delivery attempt: route every recipient, then hand the message to their next hops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from attrs import evolve, frozen

from mailward.values.content import Content
from mailward.values.delivery import Delivery, NextHop, Result, Status
from mailward.values.envelope import MessageInfo, Recipient
from mailward.values.errors import NoRoute, PeerError, PluginFault, SpoolError

_ROUTES_AT_A_TIME = 20


class Router(Protocol):
    """Who knows the way and can go it: the engine, through the `route` and `deliver` hooks."""

    async def route(self, recipient: Recipient, message: MessageInfo) -> tuple[NextHop, ...]:
        """The next hops of a recipient in order of preference.

        Raises NoRoute where there is none for good; PeerError or PluginFault where that is not known.
        """
        ...

    async def deliver(self, delivery: Delivery) -> tuple[Result, ...]:
        """Carry out one transaction: a result for each recipient. Raises PeerError, PluginFault, SpoolError."""
        ...


@frozen
class Group:
    """Recipients that share the same next hops."""

    hops: tuple[NextHop, ...]
    recipients: tuple[Recipient, ...]


@frozen
class Attempt:
    """One attempt at one message, through ``router``, within ``limit`` transactions at a time.

    ``progress`` is awaited with the results of each group while others are still under way, so that
    what is delivered can be written down.
    """

    router: Router
    message: MessageInfo
    content: Content
    limit: asyncio.Semaphore
    progress: Callable[[tuple[Result, ...]], Awaitable[None]]

    async def run(self) -> tuple[Result, ...]:
        """Try every recipient of the message: one result for each."""
        groups, results = await self._routes()
        if len(groups) == 1:
            return (*results, *await self._deliver(groups[0]))
        for done in await asyncio.gather(*[self._report(group) for group in groups]):
            results.extend(done)
        return tuple(results)

    async def _report(self, group: Group) -> tuple[Result, ...]:
        results = await self._deliver(group)
        await self.progress(results)
        return results

    async def _routes(self) -> tuple[list[Group], list[Result]]:
        recipients = self.message.envelope.recipients
        found: list[tuple[NextHop, ...] | Result] = []
        if len(recipients) == 1:
            found.append(await self._route(recipients[0]))
        for start in range(0, len(recipients) if len(recipients) > 1 else 0, _ROUTES_AT_A_TIME):
            some = recipients[start : start + _ROUTES_AT_A_TIME]
            found.extend(await asyncio.gather(*[self._route(recipient) for recipient in some]))
        results: list[Result] = []
        groups: dict[tuple[NextHop, ...], list[Recipient]] = {}
        for recipient, answer in zip(recipients, found, strict=True):
            if isinstance(answer, Result):
                results.append(answer)
            else:
                groups.setdefault(answer, []).append(recipient)
        return [Group(hops, tuple(members)) for hops, members in groups.items()], results

    async def _route(self, recipient: Recipient) -> tuple[NextHop, ...] | Result:
        try:
            hops = await self.router.route(recipient, self.message)
        except NoRoute as error:
            return Result(recipient, Status.FAILED, error.reply, "no route")
        except (PeerError, PluginFault) as error:
            return Result(recipient, Status.DEFERRED, None, f"routing failed: {error}")
        return hops or Result(recipient, Status.DEFERRED, None, "no plugin knows a next hop")

    async def _deliver(self, group: Group) -> tuple[Result, ...]:
        """Try the group's next hops in order; who is reached by none of them stays unreachable."""
        settled: list[Result] = []
        pending = group.recipients
        unreachable: tuple[Result, ...] = ()
        for hop in group.hops:
            results = await self._transact(pending, hop)
            unreachable = tuple(result for result in results if result.status is Status.UNREACHABLE)
            settled.extend(result for result in results if result.status is not Status.UNREACHABLE)
            pending = tuple(result.recipient for result in unreachable)
            if not pending:
                break
        return (*settled, *unreachable)

    async def _transact(self, recipients: tuple[Recipient, ...], hop: NextHop) -> tuple[Result, ...]:
        delivery = Delivery(self.message, self.message.envelope.sender, recipients, hop, self.content)
        try:
            async with self.limit:
                answered = {result.recipient: result for result in await self.router.deliver(delivery)}
        except (PeerError, PluginFault, SpoolError) as error:
            answered = {}
            missing = f"delivery failed: {error}"
        else:
            missing = "the transport gave no result"
        results = [answered.get(one, Result(one, Status.DEFERRED, None, missing)) for one in recipients]
        return tuple(result if result.next_hop else evolve(result, next_hop=str(hop)) for result in results)
