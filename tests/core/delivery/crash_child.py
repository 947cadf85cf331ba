"""Receives and delivers without pause until it is killed.

Appends to a log: ``accepted ID`` after a commit (what a 250 would say), and
``delivered ID RECIPIENT`` as a next hop would note it.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from mailward.delivery.runner import Runner
from mailward.engine.delivery_settings import DeliverySettings
from mailward.hooks.clock import Clock
from mailward.hooks.settings import Seconds
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry
from mailward.spool.spool import Spool
from mailward.values.address import Address
from mailward.values.delivery import Delivery, NextHop, Result, Status
from mailward.values.envelope import Envelope, MessageInfo, Recipient, Sender
from mailward.values.reply import Reply

LOG = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
RECEIVES = sys.argv[3] == "receive"


def note(*words: object) -> None:
    os.write(LOG, (" ".join(map(str, words)) + "\n").encode())


class World:
    async def route(self, recipient: Recipient, message: MessageInfo) -> tuple[NextHop, ...]:
        return (NextHop("smtp", recipient.address.domain, 25),)

    async def deliver(self, delivery: Delivery) -> tuple[Result, ...]:
        await asyncio.sleep(random.uniform(0.0, 0.02))
        if RECEIVES and random.random() < 0.3:
            return tuple(Result(one, Status.DEFERRED, Reply(451)) for one in delivery.recipients)
        async for _ in delivery.content.chunks():
            pass
        for one in delivery.recipients:
            note("delivered", delivery.message.id, one.address)
        return tuple(Result(one, Status.DELIVERED) for one in delivery.recipients)


async def receive(spool: Spool, committer: Committer, runner: Runner) -> None:
    while True:
        incoming = spool.begin()
        incoming.write(b"Subject: x\r\n\r\nbody\r\n" * random.choice((1, 10_000)))
        recipients = tuple(Recipient(Address("user", f"d{number}.example")) for number in range(random.randint(1, 3)))
        envelope = Envelope(sender=Sender(Address("alice", "example.com")), recipients=recipients, id=incoming.id)
        entry = Entry(incoming.id, envelope, created_at=spool.clock.time())
        committed = await committer.commit(incoming, (entry,))
        note("accepted", entry.id, *[one.address for one in recipients])
        runner.submit(committed)
        await asyncio.sleep(0.01)


async def main() -> None:
    spool = Spool(Path(sys.argv[1]))
    spool.open()
    committer = Committer(spool)
    settings = DeliverySettings(retry_first_s=Seconds(0.05), retry_max_s=Seconds(0.1), concurrency=20)
    runner = Runner(spool, committer, World(), settings, "gate.example.net", Clock(), lambda event: None)
    await runner.start()
    note("ready")
    if RECEIVES:
        await asyncio.gather(*[receive(spool, committer, runner) for _ in range(5)])
    while len(runner):
        await asyncio.sleep(0.02)
    await runner.stop()
    committer.close()
    spool.close()


if __name__ == "__main__":
    asyncio.run(main())
