"""The spool against a model: whatever is done in whatever order, and however it ends."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import stat
import tempfile
from pathlib import Path

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from mailward.spool.admin import listing
from mailward.spool.change import Change
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import Disk
from mailward.spool.segment import PAGE
from mailward.spool.spool import Spool
from mailward.values.address import Address
from mailward.values.envelope import Envelope, Recipient

queues = st.sampled_from(Queue)
sizes = st.sampled_from([0, 10, 4_000, 60_000, 70_000])


def _body(entry: Entry) -> bytes:
    return (entry.id.encode() * (entry.size_bytes // len(entry.id) + 1))[: entry.size_bytes]


class SpoolMachine(RuleBasedStateMachine):
    """Commits, changes and removals of messages; kills, power failures and failing syncs between them."""

    messages = Bundle("messages")

    @initialize()
    def open(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.disk = Disk(self._sync, self._sync)
        self.spool = Spool(self.root, disk=self.disk)
        self.spool.open()
        self.failing = False
        self.synced: dict[int, bytes] = {}
        self.known: dict[str, Entry] = {}
        self.once: dict[str, list[Entry]] = {}
        self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            shutil.rmtree(self.root)

    def _sync(self, fd: int) -> None:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            os.fsync(fd)
            return
        if self.failing:
            self.failing = False
            raise OSError(errno.EIO, "Input/output error")
        self.synced[info.st_ino] = os.pread(fd, info.st_size, 0)

    def _do(self, change: Change) -> bool:
        (error,) = self.spool.carry_out_in_journal([change])
        return error is None

    def _keep(self, entry: Entry) -> str:
        self.known[entry.id] = entry
        self.once.setdefault(entry.id, []).append(entry)
        return entry.id

    @rule(target=messages, queue=queues, size=sizes, copies=st.integers(1, 2))
    def commit(self, queue: Queue, size: int, copies: int) -> str:
        entries = []
        for _ in range(copies):
            self.count += 1
            recipients = (Recipient(Address("bob", "example.org")), Recipient(Address("eve", "example.org")))
            origin = entries[0].id if entries else ""
            envelope = Envelope(recipients=recipients)
            entries.append(Entry(f"m{self.count}", envelope, origin=origin, queue=queue, size_bytes=size))
        incoming = self.spool.begin(entries[0].id)
        incoming.write(_body(entries[0]))
        arrival = self.spool.arrival(incoming, tuple(entries))
        if self._do(arrival):
            for entry in arrival.entries[1:]:
                self.once.setdefault(entry.id, [])
                self.known[entry.id] = entry
                self.once[entry.id].append(entry)
            return self._keep(arrival.entries[0])
        return entries[0].id

    @rule(message=messages, queue=queues, attempts=st.integers(1, 9))
    def change(self, message: str, queue: Queue, attempts: int) -> None:
        before = self.known.get(message)
        if before is None:
            return
        entry = evolve(before.left_for(before.envelope.recipients[:1]), queue=queue, attempts=attempts)
        if self._do(self.spool.change_of(entry, before.queue)):
            self._keep(entry)

    @rule(message=messages, count=st.integers(0, 3))
    def start_work(self, message: str, count: int) -> None:
        if message in self.spool.journal:
            self.spool.journal.start(message, count)
            self._keep(self.known[message].with_started(count))

    @rule(message=consumes(messages))
    def remove(self, message: str) -> None:
        entry = self.known.get(message)
        if entry is not None and self._do(self.spool.removal(entry)):
            del self.known[message]

    @rule()
    def next_sync_fails(self) -> None:
        self.failing = True

    def _restart(self) -> dict[str, Entry]:
        self.spool.close()
        self.failing = False
        self.spool = Spool(self.root, disk=self.disk)
        self.spool.open()
        return {entry.id: entry for entry in self.spool.recover()}

    @rule()
    def kill(self) -> None:
        assert self._restart() == self.known

    @rule(seed=st.integers(0, 2**32))
    def power_failure(self, seed: int) -> None:
        """Of what was not synced any page may be on disk or not."""
        chance = random.Random(seed)
        self.spool.close()
        for segment in (self.root / "spool" / "0" / "journal").iterdir():
            now, synced = segment.read_bytes(), self.synced[segment.stat().st_ino]
            with segment.open("r+b") as file:
                for at in range(0, len(now), PAGE):
                    if now[at : at + PAGE] != synced[at : at + PAGE] and chance.random() < 0.5:
                        file.seek(at)
                        file.write(synced[at : at + PAGE])
        found = self._restart()
        for message, entry in self.known.items():
            assert message in found
            assert found[message] == entry or found[message].with_started(entry.started) == entry
        for message, entry in found.items():
            # It may have been removed moments before, and it may be as it was then.
            assert any(entry.with_started(0) == one.with_started(0) for one in self.once[message])
        self.known = found
        for message, entry in found.items():
            self.once[message].append(entry)

    @invariant()
    def content_is_whole(self) -> None:
        for entry in list(self.known.values())[-2:]:
            content = self.spool.content(entry)

            async def read(content: object = content) -> bytes:
                return b"".join([chunk async for chunk in content.chunks()])  # type: ignore[attr-defined]

            origin = evolve(entry, id=entry.origin or entry.id)
            assert asyncio.run(read()) == _body(origin)

    @invariant()
    def the_journal_counts_right(self) -> None:
        for queue in Queue:
            assert self.spool.journal.count(queue) == len(self.spool.journal.ids(queue))

    @rule()
    def listed_from_outside(self) -> None:
        assert {entry.id: entry for entry in listing(self.root)} == self.known


SpoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
test_the_spool_keeps_to_the_model = SpoolMachine.TestCase
