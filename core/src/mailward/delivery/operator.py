"""Requests of the operator, carried out by the gateway that owns the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from mailward.hooks.log import get_logger
from mailward.spool.control import Asked, Inbox
from mailward.spool.entry import Entry
from mailward.spool.operate import Operated, Outcome, operate
from mailward.spool.spool import Spool
from mailward.values.errors import SpoolError
from mailward.values.event import Custom, Event

_log = get_logger("mailward.delivery")
POLL_S = 1.0


def nothing_to_put_back() -> None:
    """What `Attempts.withdraw` gives where it does not know the message."""


class Attempts(Protocol):
    """What the operator must know of the attempts at messages: the runner, and whoever scans."""

    def withdraw(self, message_id: str) -> Callable[[], None] | None:
        """Take a message out of the schedule; how to put it back, or None while an attempt is in progress."""
        ...

    def submit(self, entries: Sequence[Entry]) -> None:
        """Take entries into the schedule."""
        ...


@frozen(eq=False)
class Operator:
    """Looks for requests about once a second, carries them out and answers them."""

    spool: Spool
    attempts: Attempts
    emit: Callable[[Event], None]

    async def run(self) -> None:
        """Go on until cancelled."""
        inbox = Inbox(self.spool.control)
        unanswered: dict[str, tuple[Outcome, ...]] = {}
        while True:
            await asyncio.sleep(POLL_S)
            try:
                for asked in inbox.asked():
                    # what was done and could not be answered (a full disk) is not done again
                    if asked.token not in unanswered:
                        unanswered[asked.token] = await self._carry_out(asked)
                    inbox.answer(asked, unanswered[asked.token])
                    del unanswered[asked.token]
            except SpoolError as error:
                _log.error("control folder cannot be used", problem=str(error))

    async def _carry_out(self, asked: Asked) -> tuple[Outcome, ...]:
        outcomes: list[Outcome] = []
        for message_id in asked.request.ids:
            put_back = self.attempts.withdraw(message_id)
            if put_back is None:
                outcomes.append(Outcome(message_id, False, "is being worked on at this moment"))
                continue
            done = Operated(Outcome(message_id, False, "interrupted"))
            try:
                done = await asyncio.to_thread(operate, self.spool, asked.request, message_id)
            finally:
                self._follow(asked, message_id, done, put_back)
            outcomes.append(done.outcome)
        return tuple(outcomes)

    def _follow(self, asked: Asked, message_id: str, done: Operated, put_back: Callable[[], None]) -> None:
        if not done.outcome.ok or (done.entry is not None and done.entry.id != message_id):
            put_back()
        if done.entry is not None:
            self.attempts.submit((done.entry,))
        if done.outcome.ok:
            fields = (("message_id", message_id), ("outcome", done.outcome.text))
            self.emit(Custom(plugin="core", rule=f"queue-{asked.request.verb}", fields=fields))
