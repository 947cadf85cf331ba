"""Segments without header: what was in them comes to hold, whole, once, and never by itself to a recipient."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from mailward.spool.admin import act, damaged, listing
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.operate import Outcome, Verb
from mailward.spool.record import full_record
from mailward.spool.segment import (
    RECORDS_AT,
    SEGMENT_BYTES,
    Header,
    header_bytes,
    record_pieces,
)
from mailward.spool.spool import Spool

BODY = b"Subject: hello\r\n\r\nThe body.\r\n"
Commit = Callable[..., Entry]


@pytest.fixture
def commit(spool: Spool, make_entry: Callable[..., Entry]) -> Commit:
    """Commits a message to the journal, each in a batch of its own, and gives its entry."""

    def one(body: bytes = BODY, **fields: object) -> Entry:
        async def run() -> Entry:
            committer = Committer(spool)
            incoming = spool.begin()
            incoming.write(body)
            (entry,) = await committer.commit(incoming, (make_entry(incoming.id, **fields),))
            committer.close()
            return entry

        return asyncio.run(run())

    return one


def destroy(spool: Spool, *spans: tuple[int, int], fill: bytes = b"\0") -> Path:
    """Destroy the header and more of the only segment, and open the spool again; the file that was set aside."""
    spool.close()
    (segment,) = (spool.root / "spool" / "0" / "journal").iterdir()
    data = bytearray(segment.read_bytes())
    for start, end in ((0, 64), *spans):
        data[start:end] = fill * (end - start)
    segment.write_bytes(data)
    spool.open()
    assert list(spool.recover()) == []
    spool.close()
    (aside,) = damaged(spool.root)
    return aside


def recover(spool: Spool, aside: Path) -> Outcome:
    (outcome,) = act(spool.root, Verb.RECOVER, [aside.name])
    return outcome


def held(spool: Spool) -> dict[str, Entry]:
    found = listing(spool.root)
    assert {entry.queue for entry in found} <= {Queue.HOLD}
    return {entry.id: entry for entry in found}


def test_all_that_is_not_gone_comes_to_hold_whole(spool: Spool, commit: Commit) -> None:
    entries = [commit(BODY + b"%d\r\n" % number, prefix=b"X-Trace: 1\r\n") for number in range(6)]
    for entry in (entries[1], entries[5]):
        spool.remove(entry)
    left = [entries[number] for number in (0, 2, 3, 4)]
    aside = destroy(spool)
    outcome = recover(spool, aside)
    assert (outcome.ok, outcome.text.split("; ")) == (
        True,
        ["4 put in hold", "0 in the queue already", "2 gone before", "nothing else was in it: deleted"],
    )
    found = held(spool)
    assert [evolve(found[one.id], queue=one.queue, reason=one.reason) for one in left] == left
    assert {entry.reason for entry in found.values()} == {
        "recovered from a damaged journal segment; it may have been delivered before"
    }
    spool.open()
    for entry in left:
        kept = spool.load(entry.id, Queue.HOLD)
        body = BODY + b"%d\r\n" % entries.index(entry)
        assert spool.path(kept).read_bytes()[: kept.size_bytes] == body
    assert not aside.exists()
    assert damaged(spool.root) == []


def test_where_the_marks_are_destroyed_too_what_was_delivered_is_held_and_not_sent_again(
    spool: Spool, commit: Commit
) -> None:
    entries = [commit() for _ in range(3)]
    spool.remove(entries[0])
    outcome = recover(spool, destroy(spool, (0, 4096)))
    assert outcome.text.startswith("3 put in hold; 0 in the queue already; 0 gone")
    assert held(spool).keys() == {entry.id for entry in entries}


def test_what_was_never_scanned_says_so(spool: Spool, commit: Commit) -> None:
    entry = commit(queue=Queue.INCOMING)
    assert recover(spool, destroy(spool)).ok
    assert "never scanned: reprocess it" in held(spool)[entry.id].reason


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"x"])
def test_where_the_first_record_is_destroyed_the_marks_tell(spool: Spool, commit: Commit, fill: bytes) -> None:
    entries = [commit() for _ in range(4)]
    spool.remove(entries[2])
    aside = destroy(spool, (RECORDS_AT, RECORDS_AT + 4096), fill=fill)
    outcome = recover(spool, aside)
    assert outcome.ok
    assert "the rest cannot be read" in outcome.text
    assert held(spool).keys() == {entries[1].id, entries[3].id}
    (kept,) = damaged(spool.root)
    assert kept.name == aside.name + "recovered"
    again = recover(spool, kept)
    assert (again.ok, "was recovered before" in again.text) == (False, True)


def test_where_nothing_tells_what_counts_nothing_is_taken(spool: Spool, commit: Commit, make_entry: Commit) -> None:
    """A message can have records in it, and whoever wrote it may have hoped for this day."""
    forged = b"".join(record_pieces(bytes(8), 1, *_letter(make_entry)))
    commit(BODY + 8 * forged)
    commit(BODY + 8 * forged)
    aside = destroy(spool, (0, RECORDS_AT + 4096))
    outcome = recover(spool, aside)
    assert not outcome.ok
    assert "neither its first record nor its marks can be read" in outcome.text
    assert held(spool) == {}
    assert aside.exists()


def test_records_in_a_damaged_message_are_none(spool: Spool, commit: Commit, make_entry: Commit) -> None:
    forged = b"".join(record_pieces(b"guessed.", 1, *_letter(make_entry)))
    commit(BODY + 4000 * b"x" + forged)
    last = commit()
    recover(spool, destroy(spool, (RECORDS_AT + 300, RECORDS_AT + 310)))
    assert held(spool).keys() == {last.id}


def _letter(make_entry: Commit) -> tuple[Entry, bytes, bytes]:
    entry = make_entry("forged1")
    return entry, full_record(entry), b"Subject: forged\r\n\r\n"


def test_messages_of_an_earlier_use_of_the_segment_are_not_taken(spool: Spool, commit: Commit) -> None:
    early = [commit() for _ in range(5)]
    for entry in early:
        spool.remove(entry)
    spool.journal.close()
    spool.close()
    spool.open()  # the segment is empty now, and is used again
    late = [commit() for _ in range(2)]
    outcome = recover(spool, destroy(spool))
    assert outcome.text.startswith("2 put in hold; 0 in the queue already; 0 gone before; nothing else")
    assert held(spool).keys() == {entry.id for entry in late}


def test_a_message_that_is_in_the_queue_is_not_doubled(spool: Spool, commit: Commit) -> None:
    entries = [commit() for _ in range(2)]
    aside = destroy(spool)
    whole = aside.read_bytes()
    assert recover(spool, aside).ok
    aside.write_bytes(whole)  # as where the power failed before the file was deleted
    assert recover(spool, aside).text.startswith("0 put in hold; 2 in the queue already")
    assert held(spool).keys() == {entry.id for entry in entries}


def test_what_is_no_segment_without_header_is_left_alone(spool: Spool) -> None:
    folder = spool.root / "spool" / "0" / "damaged"
    spool.close()
    whole = header_bytes(Header(b"generate", 1)).ljust(SEGMENT_BYTES, b"\0")
    contents = {"copy": whole, "message": BODY, "zeros": bytes(SEGMENT_BYTES)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    outcomes = act(spool.root, Verb.RECOVER, [*contents, "nowhere"])
    assert not any(outcome.ok for outcome in outcomes)
    texts = {outcome.id: outcome.text for outcome in outcomes}
    assert "was taken over" in texts["copy"]
    assert "no journal segment" in texts["message"]
    assert "no journal segment" in texts["zeros"]
    assert texts["nowhere"] == "not among the damaged files"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents
