"""What it costs to have a message safely on disk and to be rid of it again: the spool beside other designs.

    ./dev exec python bench/spool.py [FOLDER]

Each design commits messages for so many sessions with one thread that batches whatever is pending, as the
gateway does, and removes each message as soon as its commit is answered. CPU is that of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

from attrs import frozen

from mailward.spool.committer import Committer
from mailward.spool.entry import Entry
from mailward.spool.spool import Spool
from mailward.values.address import Address
from mailward.values.envelope import Envelope, Recipient

RECORD = b"r" * 900
SEGMENT_BYTES = 8 * 1024 * 1024
MARKS_BYTES = 36_864
SIZES = {4096: 4000, 51_200: 2000}
SESSIONS = (10, 50)


class Design(Protocol):
    """A way to keep messages."""

    removes_in_thread: bool

    def commit(self, ids: list[str], body: bytes) -> None:
        """Make a batch durable."""
        ...

    def remove(self, ids: list[str]) -> None:
        """Forget messages."""
        ...


class Files:
    """A file each: create, write, fsync, rename, fsync of the folder; later unlink."""

    removes_in_thread = True

    def __init__(self, root: Path) -> None:
        (root / "tmp").mkdir()
        (root / "fast").mkdir()
        self.tmp, self.fast = (os.open(root / name, os.O_RDONLY) for name in ("tmp", "fast"))

    def _file(self, name: str) -> tuple[str, int]:
        return name, os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self.tmp)

    def commit(self, ids: list[str], body: bytes) -> None:
        """Make a batch durable."""
        made = [self._file(name) for name in ids]
        for _, fd in made:
            os.pwritev(fd, [body, RECORD], 0)
        for _, fd in made:
            os.fdatasync(fd)
        for name, (old, fd) in zip(ids, made, strict=True):
            os.rename(old, name, src_dir_fd=self.tmp, dst_dir_fd=self.fast)
            os.close(fd)
        os.fsync(self.fast)

    def remove(self, ids: list[str]) -> None:
        """Forget messages."""
        for name in ids:
            os.unlink(name, dir_fd=self.fast)


class Recycled(Files):
    """Files that are written over: no block is allocated and none given back."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.spare: list[str] = []

    def _file(self, name: str) -> tuple[str, int]:
        if not self.spare:
            return super()._file(name)
        old = self.spare.pop()
        return old, os.open(old, os.O_RDWR, dir_fd=self.tmp)

    def remove(self, ids: list[str]) -> None:
        """Forget messages."""
        for name in ids:
            os.rename(name, name, src_dir_fd=self.fast, dst_dir_fd=self.tmp)
        self.spare += ids


class Segments:
    """Segments written in full at first; a mark in place for each message that is gone."""

    removes_in_thread = False
    written = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.places: dict[str, tuple[int, int]] = {}
        self.live: dict[int, int] = {}
        self.free: list[int] = []
        self._begin()

    def _begin(self) -> None:
        if self.free:
            self.fd = self.free.pop()
        else:
            self.fd = os.open(self.root / f"segment{len(self.live)}", os.O_RDWR | os.O_CREAT, 0o600)
            if self.written:
                os.pwrite(self.fd, bytes(SEGMENT_BYTES), 0)
            else:
                os.posix_fallocate(self.fd, 0, SEGMENT_BYTES)
            os.fsync(self.fd)
        self.at, self.count, self.live[self.fd] = MARKS_BYTES, 0, 0

    def commit(self, ids: list[str], body: bytes) -> None:
        """Make a batch durable."""
        data = (body + RECORD) * len(ids)
        if self.at + len(data) > SEGMENT_BYTES:
            self._begin()
        os.pwrite(self.fd, data, self.at)
        os.fdatasync(self.fd)
        self.at += len(data)
        for name in ids:
            self.places[name] = (self.fd, self.count)
            self.count += 1
            self.live[self.fd] += 1

    def remove(self, ids: list[str]) -> None:
        """Forget messages."""
        for name in ids:
            fd, number = self.places.pop(name)
            os.pwrite(fd, b"12345678", 64 + 8 * number)
            self.live[fd] -= 1
            if not self.live[fd] and fd != self.fd:
                self.free.append(fd)


class MarkedByThread(Segments):
    """The same, marks written by the committing thread."""

    removes_in_thread = True


class Reserved(Segments):
    """The same, segments only reserved and not written in full at first."""

    written = False


DESIGNS: dict[str, Callable[[Path], Design]] = {
    "a file each": Files,
    "recycled files": Recycled,
    "segments": Segments,
    "segments, marks by thread": MarkedByThread,
    "segments, reserved": Reserved,
}


@frozen
class Cost:
    """What a run took."""

    seconds: float
    cpu_s: float


async def measured(messages: int, sessions: int, one: Callable[[str], Awaitable[None]]) -> Cost:
    """Run ``one`` for every message, in so many sessions."""
    numbers = iter(range(messages))

    async def session() -> None:
        for number in numbers:
            await one(f"m{number:08}")

    started, before = time.perf_counter(), time.process_time()
    await asyncio.gather(*[session() for _ in range(sessions)])
    return Cost(time.perf_counter() - started, time.process_time() - before)


async def bare(design: Design, body: bytes, messages: int, sessions: int) -> Cost:
    """A design alone, behind the thread and nothing else."""
    loop = asyncio.get_running_loop()
    pending: SimpleQueue[tuple[str, asyncio.Future[None] | None] | None] = SimpleQueue()

    def work() -> None:
        going = True
        while going:
            jobs = [pending.get()]
            with contextlib.suppress(Empty):
                while len(jobs) < 100:
                    jobs.append(pending.get_nowait())
            going = None not in jobs
            batch = [job for job in jobs if job is not None]
            design.remove([name for name, future in batch if future is None])
            futures = [future for _, future in batch if future is not None]
            if futures:
                design.commit([name for name, future in batch if future is not None], body)
                loop.call_soon_threadsafe(lambda done=futures: [one.set_result(None) for one in done])

    thread = threading.Thread(target=work)
    thread.start()

    async def one(name: str) -> None:
        future: asyncio.Future[None] = loop.create_future()
        pending.put((name, future))
        await future
        if design.removes_in_thread:
            pending.put((name, None))
        else:
            design.remove([name])

    cost = await measured(messages, sessions, one)
    pending.put(None)
    thread.join()
    return cost


async def real(root: Path, body: bytes, messages: int, sessions: int) -> Cost:
    """The spool as the gateway uses it."""
    spool = Spool(root)
    spool.open()
    committer = Committer(spool)
    recipients = (Recipient(Address("user", "example.org")),)

    async def one(name: str) -> None:
        incoming = spool.begin(name)
        incoming.write(body)
        (entry,) = await committer.commit(incoming, (Entry(name, Envelope(recipients=recipients, id=name)),))
        await committer.remove(entry)

    cost = await measured(messages, sessions, one)
    committer.close()
    spool.close()
    return cost


def main() -> None:
    """Measure all designs and the spool itself."""
    print("| design | size | sessions | commits/s | CPU us/message |\n|---|---|---|---|---|")
    for size, messages in SIZES.items():
        body = os.urandom(size)
        for sessions in SESSIONS:
            for name in (*DESIGNS, "the spool"):
                root = Path(tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None))
                work = DESIGNS[name](root) if name in DESIGNS else None
                run = bare(work, body, messages, sessions) if work else real(root, body, messages, sessions)
                cost = asyncio.run(run)
                shutil.rmtree(root)
                rate, cpu = messages / cost.seconds, cost.cpu_s / messages * 1e6
                print(f"| {name} | {size} | {sessions} | {rate:,.0f} | {cpu:.0f} |", flush=True)


if __name__ == "__main__":
    main()
