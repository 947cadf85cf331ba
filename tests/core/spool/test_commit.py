from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define, evolve, field

from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import Disk
from mailward.spool.spool import Spool
from mailward.values.edit import Splice
from mailward.values.errors import SpoolError


@define
class CountingDisk:
    """Counts syncs of files and folders, and can fail the next ones."""

    files: int = 0
    folders: int = 0
    fail_files: int = 0
    fail_folders: int = 0
    hold: list[Callable[[], None]] = field(factory=list)

    def fsync(self, fd: int) -> None:
        while self.hold:
            self.hold.pop()()
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            self.folders += 1
            if self.fail_folders:
                self.fail_folders -= 1
                raise OSError(errno.EIO, "Input/output error")
        else:
            self.files += 1
            if self.fail_files:
                self.fail_files -= 1
                raise OSError(errno.ENOSPC, "No space left on device")
        os.fsync(fd)

    def disk(self) -> Disk:
        return Disk(self.fsync, self.fsync)


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root / "spool" / "0")) for path in root.glob("spool/0/*/*"))


@pytest.fixture
def counting() -> CountingDisk:
    return CountingDisk()


@pytest.fixture
def counted(tmp_path: Path, counting: CountingDisk) -> Iterator[Spool]:
    spool = Spool(tmp_path, disk=counting.disk())
    spool.open()
    counting.files = counting.folders = 0
    yield spool
    spool.close()


BIG = b"x" * 65_534 + b"\r\n\r\n"
"""A body that gets a file of its own."""


async def _receive(committer: Committer, spool: Spool, entry: Entry, body: bytes = b"x\r\n") -> tuple[Entry, ...]:
    incoming = spool.begin(entry.id)
    incoming.write(body)
    return await committer.commit(incoming, (entry,))


def test_concurrent_commits_share_one_sync(
    counted: Spool, counting: CountingDisk, make_entry: Callable[..., Entry]
) -> None:
    async def run() -> None:
        committer = Committer(counted)
        await asyncio.gather(*[_receive(committer, counted, make_entry(f"m{number}")) for number in range(40)])
        committer.close()

    asyncio.run(run())
    # One for the new segment; the first commit may run alone, the others wait for it together.
    assert counting.files <= 20
    assert counting.folders == 1
    assert len(list(counted.recover())) == 40


def test_concurrent_commits_of_big_messages_share_the_folder_sync(
    counted: Spool, counting: CountingDisk, make_entry: Callable[..., Entry]
) -> None:
    async def run() -> None:
        committer = Committer(counted)
        await asyncio.gather(*[_receive(committer, counted, make_entry(f"m{number}"), BIG) for number in range(40)])
        committer.close()

    asyncio.run(run())
    assert counting.files == 40
    # The first commit may run alone, the others wait for it together.
    assert counting.folders <= 20
    assert len(list(counted.recover())) == 40


def test_a_commit_alone_costs_one_file_and_one_folder_sync(
    counted: Spool, counting: CountingDisk, make_entry: Callable[..., Entry]
) -> None:
    incoming = counted.begin("a1")
    incoming.write(b"x\r\n")
    counted.commit(incoming, make_entry("a1"))
    assert (counting.files, counting.folders) == (1, 1)


@pytest.mark.parametrize("size", [10, 300_000])
@pytest.mark.parametrize("flushed", [False, True])
def test_policies_that_differ_get_files_of_their_own(
    spool: Spool, make_entry: Callable[..., Entry], size: int, flushed: bool
) -> None:
    body = os.urandom(size)
    incoming = spool.begin("a1")
    incoming.write(body)
    if flushed:
        incoming.flush()
    wanted = (
        make_entry("a1", "bob@example.org"),
        make_entry("a2", "carol@example.org", queue=Queue.HOLD, policy="strict", splices=(Splice(0, 2, b"edit"),)),
        make_entry("a1", "dave@example.org", queue=Queue.QUARANTINE),
    )
    entries = spool.commit(incoming, *wanted)
    assert [entry.size_bytes for entry in entries] == [size] * 3
    assert entries[:2] == tuple(evolve(entry, size_bytes=size) for entry in wanted[:2])
    assert entries[2].origin == "a1"
    assert len({entry.id for entry in entries}) == 3
    assert {entry.id: entry for entry in spool.recover()} == {entry.id: entry for entry in entries}
    for entry in entries:
        assert spool.path(entry).read_bytes()[:size] == body


@pytest.mark.parametrize("failing", ["fail_files", "fail_folders"])
def test_what_cannot_be_synced_is_not_in_the_queue(
    counted: Spool, counting: CountingDisk, make_entry: Callable[..., Entry], tmp_path: Path, failing: str
) -> None:
    setattr(counting, failing, 1)
    incoming = counted.begin("a1")
    incoming.write(b"x\r\n")
    with pytest.raises(SpoolError):
        counted.commit(incoming, make_entry("a1"), make_entry("a2", queue=Queue.HOLD))
    assert _files(tmp_path) == []


def test_one_failure_in_a_batch_leaves_the_others_alone(
    counted: Spool, counting: CountingDisk, make_entry: Callable[..., Entry]
) -> None:
    counting.fail_files = 1

    async def run() -> list[object]:
        committer = Committer(counted)
        jobs = [_receive(committer, counted, make_entry(f"m{number}"), BIG) for number in range(10)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        committer.close()
        return list(results)

    results = asyncio.run(run())
    assert sum(isinstance(result, SpoolError) for result in results) == 1
    assert len(list(counted.recover())) == 9


def test_impossible_splices_are_refused_before_the_commit(
    spool: Spool, make_entry: Callable[..., Entry], tmp_path: Path
) -> None:
    incoming = spool.begin("a1")
    incoming.write(b"x\r\n")
    with pytest.raises(SpoolError):
        spool.commit(incoming, make_entry("a1", splices=(Splice(0, 99, b""),)))
    assert _files(tmp_path) == []


def test_cancelling_does_not_undo_a_commit_that_has_begun(
    counted: Spool, counting: CountingDisk, make_entry: Callable[..., Entry]
) -> None:
    async def run() -> tuple[Entry, ...]:
        loop = asyncio.get_running_loop()
        committer = Committer(counted)
        unclaimed: asyncio.Future[tuple[Entry, ...]] = loop.create_future()
        committer.unclaimed = unclaimed.set_result
        task = asyncio.create_task(_receive(committer, counted, make_entry("a1")))
        counting.hold.append(lambda: asyncio.run_coroutine_threadsafe(_cancel(task), loop).result(5))
        with pytest.raises(asyncio.CancelledError):
            await task
        entries = await asyncio.wait_for(unclaimed, 5)
        committer.close()
        return entries

    async def _cancel(task: asyncio.Task[tuple[Entry, ...]]) -> None:
        task.cancel()

    entries = asyncio.run(run())
    assert [entry.id for entry in entries] == ["a1"]
    assert [entry.id for entry in counted.recover()] == ["a1"]


def test_a_commit_cancelled_before_it_begins_leaves_nothing(
    counted: Spool, counting: CountingDisk, make_entry: Callable[..., Entry], tmp_path: Path
) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        committer = Committer(counted)
        first = asyncio.create_task(_receive(committer, counted, make_entry("a1"), BIG))
        late: list[asyncio.Task[tuple[Entry, ...]]] = []

        async def begin_and_cancel() -> None:
            late.append(asyncio.create_task(_receive(committer, counted, make_entry("a2"))))
            await asyncio.sleep(0)
            late[0].cancel()

        counting.hold.append(lambda: asyncio.run_coroutine_threadsafe(begin_and_cancel(), loop).result(5))
        await first
        with pytest.raises(asyncio.CancelledError):
            await late[0]
        committer.close()

    asyncio.run(run())
    assert _files(tmp_path) == ["fast/a1"]


def test_a_closed_committer_refuses(spool: Spool, make_entry: Callable[..., Entry]) -> None:
    async def run() -> None:
        committer = Committer(spool)
        committer.close()
        incoming = spool.begin("a1")
        incoming.write(b"x\r\n")
        with pytest.raises(SpoolError):
            await committer.commit(incoming, (make_entry("a1"),))
        incoming.discard()

    asyncio.run(run())
