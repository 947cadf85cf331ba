"""Delivery when the disk does not take what must be written: no loss, no second copy."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import define

from mailward.delivery.runner import Runner
from mailward.engine.delivery_settings import DeliverySettings
from mailward.hooks.clock import Clock
from mailward.hooks.settings import Seconds
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import Disk
from mailward.spool.spool import Spool
from mailward.values.address import Address
from mailward.values.delivery import Delivery, NextHop, Result, Status
from mailward.values.envelope import Envelope, MessageInfo, Recipient, Sender
from mailward.values.event import Bounced, Delivered, Event
from mailward.values.reply import Reply


@define
class FailingDisk:
    """Fails the syncs of files while ``broken``."""

    broken: bool = False
    failed: int = 0

    def sync(self, fd: int) -> None:
        if self.broken and stat.S_ISREG(os.fstat(fd).st_mode):
            self.failed += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        os.fsync(fd)


@define
class Peers:
    """Takes mail for bob, refuses carol for good, and dave for now; the disk breaks as the answers come."""

    disk: FailingDisk
    breaks: bool = True
    bob: int = 0

    async def route(self, recipient: Recipient, message: MessageInfo) -> tuple[NextHop, ...]:
        return (NextHop("smtp", "mx", 25),)

    async def deliver(self, delivery: Delivery) -> tuple[Result, ...]:
        if self.breaks:
            self.disk.broken = True
        answers = {
            "bob": (Status.DELIVERED, None),
            "carol": (Status.FAILED, Reply(550, "5.1.1", "No")),
            "dave": (Status.DEFERRED, Reply(451, "4.2.0", "Later")),
            "alice": (Status.DELIVERED, None),
        }
        self.bob += any(one.address.local == "bob" for one in delivery.recipients)
        return tuple(Result(one, *answers[one.address.local]) for one in delivery.recipients)


async def _until(condition: Callable[[], object]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


@pytest.mark.parametrize("names", [("bob", "dave"), ("carol",), ("bob", "carol")])
def test_a_disk_that_fails_for_a_while(tmp_path: Path, names: tuple[str, ...]) -> None:
    async def run() -> None:
        disk = FailingDisk()
        peers, events = Peers(disk), list[Event]()
        spool = Spool(tmp_path, disk=Disk(disk.sync, disk.sync))
        spool.open()
        committer = Committer(spool)
        settings = DeliverySettings(retry_first_s=Seconds(0.1), retry_max_s=Seconds(0.1), delay_notice=False)
        runner = Runner(spool, committer, peers, settings, "gate.example.net", Clock(), events.append)
        await runner.start()
        incoming = spool.begin()
        incoming.write(b"Subject: x\r\n\r\nbody\r\n")
        recipients = tuple(Recipient(Address(name, "example.org")) for name in names)
        envelope = Envelope(sender=Sender(Address("alice", "example.com")), recipients=recipients, id=incoming.id)
        entry = Entry(incoming.id, envelope, created_at=spool.clock.time())
        runner.submit(await committer.commit(incoming, (entry,)))
        await _until(lambda: disk.failed)
        await asyncio.sleep(0.1)
        peers.breaks = disk.broken = False
        if "carol" in names:
            await _until(lambda: any(isinstance(event, Bounced) for event in events))
        await _until(lambda: [len(one.envelope.recipients) for one in spool.recover()] == [1] * ("dave" in names))
        assert peers.bob == ("bob" in names)
        await _until(lambda: any(isinstance(event, Delivered) for event in events))
        await runner.stop(1.0)
        committer.close()
        assert [one.queue for one in spool.recover()] == [Queue.SLOW] * ("dave" in names)
        spool.close()

    asyncio.run(run())
