"""The journal: nothing acknowledged is missing after a kill, a power failure, a failing or a full disk."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from mailward.spool.admin import act, find, listing
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.folders import Disk, Vanished
from mailward.spool.operate import Verb
from mailward.spool.segment import MARKS, RECORDS_AT, SEGMENT_BYTES
from mailward.spool.spool import Spool
from mailward.values.errors import SpoolError

BODY = b"Subject: hello\r\n\r\nThe body.\r\n"


@pytest.fixture
def commit(spool: Spool, make_entry: Callable[..., Entry]) -> Callable[..., Entry]:
    """Commits a message the way the gateway does, and gives its entry."""

    def one(*recipients: str, body: bytes = BODY, **fields: object) -> Entry:
        async def run() -> Entry:
            committer = Committer(spool)
            incoming = spool.begin()
            incoming.write(body)
            (entry,) = await committer.commit(incoming, (make_entry(incoming.id, *recipients, **fields),))
            committer.close()
            return entry

        return asyncio.run(run())

    return one


def _again(spool: Spool) -> list[Entry]:
    spool.close()
    spool.open()
    return list(spool.recover())


def _by_id(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.id)


def _segments(spool: Spool) -> list[Path]:
    return sorted((spool.root / "spool" / spool.slot / "journal").iterdir())


def _files(spool: Spool) -> list[str]:
    return sorted(path.parent.name for path in spool.root.glob("spool/*/*/*") if path.parent.name != "journal")


def _body(spool: Spool, entry: Entry) -> bytes:
    async def read() -> bytes:
        return b"".join([chunk async for chunk in spool.content(entry).chunks()])

    return asyncio.run(read())


def test_a_small_message_makes_no_file_and_is_found_again(spool: Spool, commit: Callable[..., Entry]) -> None:
    entry = commit()
    assert _files(spool) == []
    assert _again(spool) == [entry]
    assert spool.find(entry.id) == entry
    assert _body(spool, entry) == BODY


def test_what_was_removed_does_not_come_back_after_the_process_is_gone(
    spool: Spool, commit: Callable[..., Entry]
) -> None:
    gone, stays = commit(), commit()
    spool.remove(gone)
    assert _again(spool) == [stays]
    with pytest.raises(Vanished):
        spool.load(gone.id, Queue.FAST)


@pytest.mark.parametrize("queue", list(Queue))
def test_whoever_stays_gets_a_file_of_its_own(spool: Spool, commit: Callable[..., Entry], queue: Queue) -> None:
    entry = commit("bob@example.org", "carol@example.org")
    later = evolve(entry.left_for(entry.envelope.recipients[:1]), attempts=2, reason="why")
    moved = spool.move(later, queue)
    assert _files(spool) == [queue]
    assert _again(spool) == [moved]
    assert spool.path(moved).read_bytes().startswith(BODY)
    spool.remove(moved)
    assert _again(spool) == []


def test_a_record_whose_message_has_a_file_is_forgotten(spool: Spool, commit: Callable[..., Entry]) -> None:
    """A crash after the file was placed and before the mark."""
    entry = commit()
    segment = _segments(spool)[0].read_bytes()
    moved = spool.move(entry, Queue.SLOW)
    _segments(spool)[0].write_bytes(segment)
    assert _again(spool) == [moved]
    spool.remove(moved)
    assert _again(spool) == []


def test_the_later_of_two_records_counts(spool: Spool, commit: Callable[..., Entry]) -> None:
    """A crash after the verdict was written and before the mark of the unscanned message."""
    entry = commit(queue=Queue.INCOMING)
    unmarked = _segments(spool)[0].read_bytes()[:RECORDS_AT]

    async def judged() -> Entry:
        committer = Committer(spool)
        incoming = spool.begin(entry.id)
        incoming.write(BODY)
        (fast,) = await committer.commit(incoming, (evolve(entry, queue=Queue.FAST, policy="strict"),))
        committer.close()
        return fast

    fast = asyncio.run(judged())
    assert _again(spool) == [fast]
    with _segments(spool)[0].open("r+b") as file:
        file.write(unmarked)
    assert _again(spool) == [fast]


def test_the_count_of_started_work_survives(spool: Spool, commit: Callable[..., Entry]) -> None:
    entry = commit(queue=Queue.INCOMING)
    spool.journal.start(entry.id, 2)
    assert _again(spool) == [evolve(entry, started=2)]
    spool.journal.start(entry.id, 0)
    assert _again(spool) == [entry]


def test_segments_are_used_again(spool: Spool, commit: Callable[..., Entry]) -> None:
    body = b"x" * 60_000
    for _ in range(3 * SEGMENT_BYTES // len(body)):
        spool.remove(commit(body=body))
    assert len(_segments(spool)) <= 2
    last = commit(body=body)
    assert _again(spool) == [last]
    assert _body(spool, last) == body


def test_a_backlog_fills_as_many_segments_as_it_needs(spool: Spool, make_entry: Callable[..., Entry]) -> None:
    body = b"y" * 60_000

    async def run() -> list[Entry]:
        committer = Committer(spool)

        async def receive(number: int) -> Entry:
            incoming = spool.begin(f"m{number:04}")
            incoming.write(body)
            return (await committer.commit(incoming, (make_entry(f"m{number:04}"),)))[0]

        entries = await asyncio.gather(*map(receive, range(1500)))
        committer.close()
        return list(entries)

    entries = asyncio.run(run())
    assert len(_segments(spool)) > 8
    assert _again(spool) == entries
    for entry in entries[:3] + entries[-3:]:
        assert _body(spool, entry) == body
    for entry in entries:
        spool.remove(entry)
    assert _again(spool) == []
    assert len(_segments(spool)) <= 3


def test_a_segment_has_room_for_so_many_messages(spool: Spool, make_entry: Callable[..., Entry]) -> None:
    async def run() -> None:
        committer = Committer(spool)

        async def receive(number: int) -> None:
            incoming = spool.begin(f"m{number:05}")
            incoming.write(b"\r\n")
            await committer.commit(incoming, (make_entry(f"m{number:05}"),))

        await asyncio.gather(*map(receive, range(MARKS + 10)))
        committer.close()

    asyncio.run(run())
    assert len(_segments(spool)) == 2
    assert len(_again(spool)) == MARKS + 10


@define
class Broken:
    """A disk whose syncs of files fail on demand."""

    fails: int = 0
    synced: dict[int, bytes] = field(factory=dict)

    def sync(self, fd: int) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError(errno.EIO, "Input/output error")
        os.fsync(fd)


def test_what_cannot_be_synced_gets_no_250_and_is_not_found_later(
    tmp_path: Path, make_entry: Callable[..., Entry]
) -> None:
    disk = Broken()
    spool = Spool(tmp_path, disk=Disk(os.fsync, disk.sync))
    spool.open()

    async def run() -> list[object]:
        committer = Committer(spool)

        async def receive(name: str) -> tuple[Entry, ...]:
            incoming = spool.begin(name)
            incoming.write(BODY)
            return await committer.commit(incoming, (make_entry(name),))

        first = await receive("m1")
        disk.fails = 1
        failed = await asyncio.gather(receive("m2"), return_exceptions=True)
        last = await receive("m3")
        committer.close()
        return [*first, *failed, *last]

    first, failed, last = asyncio.run(run())
    assert isinstance(failed, SpoolError)
    assert _again(spool) == [first, last]
    spool.close()


def test_what_could_not_be_synced_does_not_come_back_after_a_power_failure(
    tmp_path: Path, make_entry: Callable[..., Entry]
) -> None:
    disk, marked = Broken(), []

    def sync(fd: int) -> None:
        disk.sync(fd)
        marked.append(os.pread(fd, RECORDS_AT, 0))

    spool = Spool(tmp_path, disk=Disk(os.fsync, sync))
    spool.open()

    async def run() -> None:
        committer = Committer(spool)
        for name, disk.fails in (("m1", 0), ("m2", 1)):
            incoming = spool.begin(name)
            incoming.write(BODY)
            await asyncio.gather(committer.commit(incoming, (make_entry(name),)), return_exceptions=True)
        committer.close()

    asyncio.run(run())
    (segment,) = _segments(spool)
    spool.close()
    # the records of the failed batch have reached the disk, and of the marks what was synced
    segment.write_bytes(marked[-1] + segment.read_bytes()[RECORDS_AT:])
    spool.open()
    assert [entry.id for entry in spool.recover()] == ["m1"]
    spool.close()


def test_where_no_segment_can_be_made_messages_get_files(
    spool: Spool, commit: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, start: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    entries = [commit(), commit()]
    assert _files(spool) == ["fast", "fast"]
    assert _segments(spool) == []
    assert _again(spool) == entries


def test_a_damaged_record_costs_no_other_message(spool: Spool, commit: Callable[..., Entry]) -> None:
    entries = [commit(body=BODY * 500) for _ in range(3)]
    (segment,) = _segments(spool)
    data = bytearray(segment.read_bytes())
    at = data.find(entries[1].id.encode())
    data[at + 2000] ^= 1
    segment.write_bytes(data)
    assert _by_id(_again(spool)) == _by_id([entries[0], entries[2]])
    (aside,) = (spool.root / "spool" / "0" / "damaged").iterdir()
    assert aside.read_bytes() == bytes(data)


@pytest.mark.parametrize("size_bytes", [SEGMENT_BYTES - 1, RECORDS_AT + 100, RECORDS_AT, 64])
def test_a_segment_that_was_cut_off_is_told_of(spool: Spool, commit: Callable[..., Entry], size_bytes: int) -> None:
    entry = commit()
    (segment,) = _segments(spool)
    os.truncate(segment, size_bytes)
    whole = segment.read_bytes()
    assert _again(spool) == ([entry] if size_bytes > RECORDS_AT + 100 else [])
    (aside,) = (spool.root / "spool" / "0" / "damaged").iterdir()
    assert aside.read_bytes() == whole


@pytest.mark.parametrize("place", [0, 1])
def test_damage_to_the_last_record_is_told_of(spool: Spool, commit: Callable[..., Entry], place: int) -> None:
    entries = [commit() for _ in range(place + 1)]
    (segment,) = _segments(spool)
    data = bytearray(segment.read_bytes())
    data[data.find(entries[-1].id.encode()) + 30] ^= 1
    segment.write_bytes(data)
    assert _again(spool) == entries[:-1]
    (aside,) = (spool.root / "spool" / "0" / "damaged").iterdir()
    assert aside.read_bytes() == bytes(data)


def test_damage_to_records_of_messages_that_are_gone_is_nobodys_concern(
    spool: Spool, commit: Callable[..., Entry]
) -> None:
    entries = [commit() for _ in range(4)]
    for entry in (entries[1], entries[3]):
        spool.remove(entry)
    (segment,) = _segments(spool)
    data = bytearray(segment.read_bytes())
    for entry in (entries[1], entries[3]):
        data[data.find(entry.id.encode()) + 30] ^= 1
    segment.write_bytes(data)
    assert _by_id(_again(spool)) == _by_id([entries[0], entries[2]])
    assert _files(spool) == []


@pytest.mark.parametrize("full", [False, True])
def test_a_segment_with_many_damaged_records_is_copied_once_and_kept_where_that_fails(
    tmp_path: Path, make_entry: Callable[..., Entry], full: bool
) -> None:
    copied: list[int] = []

    def sync(fd: int) -> None:
        if os.fstat(fd).st_size == SEGMENT_BYTES:
            copied.append(fd)
            if full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spool = Spool(tmp_path, disk=Disk(sync, os.fdatasync))
    spool.open()
    entries: list[Entry] = []

    async def run() -> None:
        committer = Committer(spool)
        for _ in range(20):
            incoming = spool.begin()
            incoming.write(BODY)
            entries.extend(await committer.commit(incoming, (make_entry(incoming.id),)))
        committer.close()

    asyncio.run(run())
    (segment,) = _segments(spool)
    data = bytearray(segment.read_bytes())
    for entry in entries[::2]:
        data[data.find(entry.id.encode()) + 30] ^= 1
    segment.write_bytes(data)
    assert _by_id(_again(spool)) == _by_id(entries[1::2])
    assert len(copied) == 1
    for entry in entries[1::2]:
        spool.remove(entry)
    spool.close()
    kept = [path for path in tmp_path.glob("spool/0/*/*") if path.read_bytes()[RECORDS_AT:] == bytes(data)[RECORDS_AT:]]
    assert sorted(path.parent.name for path in kept) == (["damaged", "journal"])


def test_a_file_that_is_no_segment_is_set_aside(spool: Spool, commit: Callable[..., Entry]) -> None:
    entry = commit()
    folder = spool.root / "spool" / "0" / "journal"
    (folder / "abc").write_bytes(b"something else")
    (folder / "abd").write_bytes(bytes(10_000))
    assert _again(spool) == [entry]
    assert _files(spool) == ["damaged"]
    assert len(_segments(spool)) == 1


def test_a_body_cannot_pretend_to_be_a_record(spool: Spool, commit: Callable[..., Entry]) -> None:
    first = commit()
    (segment,) = _segments(spool)
    forged = segment.read_bytes()[RECORDS_AT : RECORDS_AT + 2000]
    for _ in range(2000):
        spool.remove(commit(body=forged * 25))
    found = _again(spool)
    assert found == [first]


def test_a_listing_from_outside_sees_the_journal(spool: Spool, commit: Callable[..., Entry], tmp_path: Path) -> None:
    one, two, three = commit(created_at=3.0), commit(created_at=1.0), commit(created_at=2.0)
    spool.remove(three)
    held = spool.move(one, Queue.HOLD)
    assert listing(tmp_path) == [two, held]
    assert listing(tmp_path, Queue.FAST) == [two]
    found = find(tmp_path, two.id)
    assert found is not None
    assert found.entry == two
    assert found.path.read_bytes()[found.body_at :].startswith(BODY)


@pytest.mark.parametrize(("verb", "left"), [(Verb.DROP, []), (Verb.HOLD, [Queue.HOLD]), (Verb.RETRY, [Queue.FAST])])
def test_verbs_work_on_the_journal_where_no_gateway_runs(
    spool: Spool, commit: Callable[..., Entry], tmp_path: Path, verb: Verb, left: list[Queue]
) -> None:
    entry = commit()
    spool.close()
    (outcome,) = act(tmp_path, verb, [entry.id])
    assert outcome.ok
    assert [one.queue for one in listing(tmp_path)] == left


def test_the_journal_of_a_slot_left_over_is_taken_over(tmp_path: Path, make_entry: Callable[..., Entry]) -> None:
    old = Spool(tmp_path, "1")
    old.open()

    async def run() -> Entry:
        committer = Committer(old)
        incoming = old.begin()
        incoming.write(BODY)
        (entry,) = await committer.commit(incoming, (make_entry(incoming.id),))
        committer.close()
        return entry

    entry = asyncio.run(run())
    old.close()
    mine = Spool(tmp_path, "0")
    mine.open()
    assert mine.adopt(in_use=("0",)) == [(entry.id, Queue.FAST)]
    assert list(mine.recover()) == [entry]
    assert _again(mine) == [entry]
    assert _body(mine, entry) == BODY
    mine.close()


@given(st.data())
def test_rubbish_in_a_segment_never_gives_a_message_that_was_not_committed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("spool")
    spool = Spool(root)
    spool.open()

    async def run() -> list[Entry]:
        committer = Committer(spool)
        entries = []
        for number in range(3):
            incoming = spool.begin(f"m{number}")
            incoming.write(BODY * data.draw(st.integers(1, 300)))
            entries += await committer.commit(incoming, (Entry(f"m{number}"),))
        committer.close()
        return entries

    entries = asyncio.run(run())
    spool.close()
    (segment,) = _segments(spool)
    start = data.draw(st.integers(64, RECORDS_AT + 30_000))
    with segment.open("r+b") as file:
        file.seek(start)
        file.write(data.draw(st.binary(min_size=1, max_size=300)))
    spool.open()
    assert set(spool.recover()) <= set(entries)
    spool.close()


def test_a_message_that_has_a_file_too_is_taken_over_once(tmp_path: Path, make_entry: Callable[..., Entry]) -> None:
    old = Spool(tmp_path, "1")
    old.open()

    async def run() -> Entry:
        committer = Committer(old)
        incoming = old.begin()
        incoming.write(BODY)
        (entry,) = await committer.commit(incoming, (make_entry(incoming.id),))
        committer.close()
        return entry

    entry = asyncio.run(run())
    segments = {path: path.read_bytes() for path in (tmp_path / "spool" / "1" / "journal").iterdir()}
    old.move(entry, Queue.SLOW)
    old.close()
    for path, data in segments.items():
        path.write_bytes(data)  # the crash came between the file and the mark in the journal
    mine = Spool(tmp_path, "0")
    mine.open()
    assert mine.adopt(in_use=("0",)) == [(entry.id, Queue.SLOW)]
    assert [found.id for found in mine.recover()] == [entry.id]
    assert [found.id for found in _again(mine)] == [entry.id]
    mine.close()


def test_what_is_written_to_a_segment_that_was_deleted_gets_no_250(spool: Spool, commit: Callable[..., Entry]) -> None:
    commit()
    shutil.rmtree(spool.root / "spool")
    for _ in range(3):
        with pytest.raises(SpoolError, match="No such file or directory"):
            commit()


def test_a_segment_that_was_deleted_by_itself_is_replaced(spool: Spool, commit: Callable[..., Entry]) -> None:
    commit()
    (segment,) = _segments(spool)
    segment.unlink()
    with pytest.raises(SpoolError, match="No such file or directory"):
        commit()
    entry = commit()
    assert _again(spool) == [entry]
