"""A full disk is an answer (SpoolError), never half a message in the queue."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from mailward.spool.committer import Committer
from mailward.spool.entry import Entry
from mailward.spool.spool import Spool
from mailward.values.errors import SpoolError

LIMIT = 50_000


@pytest.fixture
def small_files(spool: Spool) -> Iterator[None]:
    """No file of this process grows over 50,000 bytes: what a full disk does to writes, without its mounting."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _files(spool: Spool) -> list[str]:
    return [path.name for path in (spool.root / "spool").glob("0/*/*")]


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("size", [LIMIT - 100, LIMIT + 1000, 500_000])
def test_a_message_that_does_not_fit_leaves_nothing(spool: Spool, make_entry: Callable[..., Entry], size: int) -> None:
    incoming = spool.begin("a1")
    with pytest.raises(SpoolError):  # noqa: PT012 - where it fails depends on the size
        incoming.write(b"x" * size)
        spool.commit(incoming, make_entry("a1"))
    incoming.discard()
    assert _files(spool) == []


@pytest.mark.usefixtures("small_files")
def test_a_copy_that_does_not_fit_takes_the_first_one_with_it(spool: Spool, make_entry: Callable[..., Entry]) -> None:
    incoming = spool.begin("a1")
    incoming.write(b"x" * 40_000)
    with pytest.raises(SpoolError):
        spool.commit(incoming, make_entry("a1"), make_entry("a2", prefix=b"p" * 20_000))
    assert _files(spool) == []


@pytest.mark.usefixtures("small_files")
def test_a_state_that_does_not_fit_leaves_the_last_one(spool: Spool, stored: Callable[..., Entry]) -> None:
    entry = stored(body=b"x" * 45_000)
    with pytest.raises(SpoolError):
        spool.append_state(evolve(entry, reason="r" * 10_000))
    assert spool.load(entry.id, entry.queue) == entry
    later = evolve(entry, attempts=1)
    spool.append_state(later)
    assert spool.load(entry.id, entry.queue) == later


@pytest.mark.usefixtures("small_files")
def test_others_of_the_same_batch_are_committed(spool: Spool, make_entry: Callable[..., Entry]) -> None:
    async def receive(committer: Committer, number: int) -> tuple[Entry, ...]:
        incoming = spool.begin(f"m{number}")
        incoming.write(b"x" * (LIMIT if number == 3 else 100))
        return await committer.commit(incoming, (make_entry(f"m{number}"),))

    async def run() -> list[object]:
        committer = Committer(spool)
        results = await asyncio.gather(*[receive(committer, number) for number in range(6)], return_exceptions=True)
        committer.close()
        return list(results)

    results = asyncio.run(run())
    assert [isinstance(result, SpoolError) for result in results] == [number == 3 for number in range(6)]
    assert sorted(_files(spool)) == ["m0", "m1", "m2", "m4", "m5"]


def _mounted(mount: Path, size: str) -> Iterator[Path]:
    mount.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size={size},mode=700 tmpfs {mount} 2>/dev/null") != 0:
        pytest.skip("a file system of our own cannot be mounted here")
    yield mount
    os.system(f"umount {mount}")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    yield from _mounted(tmp_path / "tiny", "256k")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Room for one segment of the journal and some files."""
    yield from _mounted(tmp_path / "small", "9m")


def test_a_disk_that_fills_up_under_the_journal_loses_nothing(
    small_disk: Path, make_entry: Callable[..., Entry]
) -> None:
    spool = Spool(small_disk)
    spool.open()
    body = b"x" * 60_000

    async def run() -> list[Entry]:
        committer = Committer(spool)
        kept: list[Entry] = []
        refused = 0
        for number in range(200):
            incoming = spool.begin(f"m{number:03}")
            incoming.write(body)
            try:
                kept += await committer.commit(incoming, (make_entry(f"m{number:03}"),))
            except SpoolError:
                refused += 1
        assert refused > 20
        # What is delivered makes room in the journal again, without a byte of free disk.
        for entry in kept[:130]:
            await committer.remove(entry)
        committer.close()
        return kept[130:]

    kept = asyncio.run(run())
    assert sorted(entry.id for entry in spool.recover()) == [entry.id for entry in kept]
    spool.close()
    spool.open()
    assert sorted(entry.id for entry in spool.recover()) == [entry.id for entry in kept]
    spool.close()


def test_a_disk_that_fills_up_and_empties_again(tiny_disk: Path, make_entry: Callable[..., Entry]) -> None:
    spool = Spool(tiny_disk)
    spool.open()
    committed: list[Entry] = []
    with pytest.raises(SpoolError):  # noqa: PT012 - how many fit is the disk's business
        for number in range(100):
            incoming = spool.begin(f"m{number}")
            try:
                incoming.write(b"x" * 20_000)
                committed.extend(spool.commit(incoming, make_entry(f"m{number}")))
            finally:
                incoming.discard()
    assert 5 < len(committed) < 20
    assert list(spool.recover()) == sorted(committed, key=lambda entry: entry.id)
    with pytest.raises(SpoolError):
        spool.append_state(evolve(committed[0], reason="r" * 30_000))
    spool.remove(committed.pop())
    spool.append_state(evolve(committed[0], attempts=1))
    assert {entry.id for entry in spool.recover()} == {entry.id for entry in committed}
    spool.close()
