from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from mailward.delivery.runner import Runner
from mailward.engine.board import Board
from mailward.engine.delivery_settings import DeliverySettings
from mailward.hooks.clock import Clock
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.spool import Spool
from mailward.values.address import Address
from mailward.values.delivery import Delivery, NextHop, Result, Status
from mailward.values.envelope import Envelope, MessageInfo, Recipient, Sender
from mailward.values.event import Event

BODY = b"Subject: hello\r\nFrom: alice@example.com\r\n\r\nThe body.\r\n"
MX = NextHop("smtp", "mx.example.org", 25)


@define
class Letter:
    """What arrived at a next hop."""

    hop: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes


@define
class House:
    """A router with a world behind it: hops that are down, recipients that are refused."""

    routes: dict[str, tuple[NextHop, ...] | Exception] = field(factory=dict)
    down: set[str] = field(factory=set)
    answers: dict[str, Result] = field(factory=dict)
    ends: dict[str, Result] = field(factory=dict)
    faults: list[Exception] = field(factory=list)
    letters: list[Letter] = field(factory=list)
    tries: list[tuple[str, tuple[str, ...]]] = field(factory=list)
    seen: list[MessageInfo] = field(factory=list)
    before: Callable[[Delivery], object] | None = None
    forgets: set[str] = field(factory=set)
    in_progress: int = 0
    most_in_progress: int = 0

    async def route(self, recipient: Recipient, message: MessageInfo) -> tuple[NextHop, ...]:
        found = self.routes.get(str(recipient.address), self.routes.get(recipient.address.domain, (MX,)))
        if isinstance(found, Exception):
            raise found
        return found

    async def deliver(self, delivery: Delivery) -> tuple[Result, ...]:
        self.in_progress += 1
        self.most_in_progress = max(self.most_in_progress, self.in_progress)
        try:
            return await self._deliver(delivery)
        finally:
            self.in_progress -= 1

    async def _deliver(self, delivery: Delivery) -> tuple[Result, ...]:
        self.seen.append(delivery.message)
        hop, names = str(delivery.next_hop), tuple(str(one.address) for one in delivery.recipients)
        self.tries.append((hop, names))
        if self.before is not None:
            waiting = self.before(delivery)
            if waiting is not None:
                await waiting  # type: ignore[misc]
        if self.faults:
            raise self.faults.pop(0)
        if hop in self.down:
            return tuple(Result(one, Status.UNREACHABLE, None, "connection refused") for one in delivery.recipients)
        results = []
        taken = []
        for one in delivery.recipients:
            name = str(one.address)
            if name in self.forgets:
                continue
            answer = self.answers.get(name)
            if answer is None:
                taken.append(name)
            delivered = evolve(self.ends.get(name, Result(one, Status.DELIVERED)), recipient=one)
            results.append(delivered if answer is None else _for(one, answer))
        if taken:
            content = b"".join([chunk async for chunk in delivery.content.chunks()])
            self.letters.append(Letter(hop, str(delivery.sender.address), tuple(taken), content))
        return tuple(results)


def _for(recipient: Recipient, answer: Result) -> Result:
    return Result(recipient, answer.status, answer.reply, answer.detail)


@define
class Post:
    """A runner at work, and what it works on."""

    spool: Spool
    committer: Committer
    runner: Runner
    house: House
    events: list[Event]

    async def post(
        self, *recipients: str, sender: str = "alice@example.com", body: bytes = BODY, **more: object
    ) -> Entry:
        """Commit and submit a message."""
        given = [one if isinstance(one, Recipient) else Recipient(Address.parse(one)) for one in recipients]
        parameters = more.pop("parameters", ())
        incoming = self.spool.begin()
        incoming.write(body)
        envelope = Envelope(
            sender=Sender(Address.parse(sender), parameters),  # type: ignore[arg-type]
            recipients=tuple(given),
            id=incoming.id,
            received_at=self.spool.clock.time(),
        )
        more.setdefault("created_at", self.spool.clock.time())
        entry = Entry(incoming.id, envelope, **more)  # type: ignore[arg-type]
        committed = await self.committer.commit(incoming, (entry,))
        self.runner.submit(committed)
        return committed[0]

    def queue(self, queue: Queue | None = None) -> list[Entry]:
        return [entry for entry in self.spool.recover() if queue is None or entry.queue is queue]

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def office(tmp_path: Path, house: House) -> Callable[..., object]:
    """Opens the post office on ``tmp_path``: may be done again, as after a restart."""

    @asynccontextmanager
    async def open_office(
        clock: Clock | None = None, board: Board | None = None, **settings: object
    ) -> AsyncIterator[Post]:
        values: dict[str, Any] = {
            "retry_first_s": 0.05,
            "retry_max_s": 0.2,
            "lifetime_s": 3600.0,
            "delay_notice": False,
            **settings,
        }
        clock = clock or Clock()
        spool = Spool(tmp_path, clock=clock)
        spool.open()
        committer = Committer(spool)
        events: list[Event] = []
        runner = Runner(
            spool,
            committer,
            house,
            DeliverySettings(**values),
            "gate.example.net",
            clock,
            events.append,
            board,
        )
        await runner.start()
        try:
            yield Post(spool, committer, runner, house, events)
        finally:
            await runner.stop(0.5)
            committer.close()
            spool.close()

    return open_office
