from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mailward.spool.entry import Entry, Failure, Queue
from mailward.spool.image import MAGIC
from mailward.spool.record import Damaged, full_record, read_record, state_record
from mailward.values.action import ACTIONS, Action, Forward, Quarantine, Reject, Tag
from mailward.values.address import Address
from mailward.values.edit import Splice
from mailward.values.envelope import Envelope, Recipient, Sender, Session
from mailward.values.finding import Finding, Kind
from mailward.values.reply import Reply

texts = st.text(st.characters(), max_size=20)  # lone surrogates included
parameters = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
addresses = st.builds(Address, texts, st.text(st.characters(exclude_characters="@"), max_size=20))
replies = st.builds(Reply, st.integers(200, 599), texts, texts)
actions = st.sampled_from(
    [kind() for name, kind in ACTIONS.items() if name != "forward"]
    + [Forward(to=Address("bob", "example.org"), subject="x"), Tag("s", (("X-A", "b"),)), Reject(Reply(554, "", "no"))]
)
findings = st.builds(
    Finding, st.sampled_from(Kind), texts, texts, texts, texts, st.floats(-5, 5), texts, st.none() | actions
)
recipients = st.builds(Recipient, addresses, parameters, st.sampled_from([None, True, False]))
envelopes = st.builds(
    Envelope,
    session=st.builds(Session, texts, texts, st.integers(0, 65535), texts),
    sender=st.builds(Sender, addresses, parameters),
    recipients=st.lists(recipients, max_size=3).map(tuple),
    id=texts,
    received_at=st.floats(0, 1e10),
    findings=st.lists(findings, max_size=3).map(tuple),
)
splices = st.builds(Splice, st.integers(0, 99), st.integers(0, 99), st.binary(max_size=30))
entries = st.builds(
    Entry,
    id=st.just("id1"),
    envelope=envelopes,
    origin=texts,
    queue=st.just(Queue.HOLD),
    policy=texts,
    size_bytes=st.integers(0, 2**40),
    prefix=st.binary(max_size=40),
    splices=st.lists(splices, max_size=2).map(tuple),
    reason=texts,
    created_at=st.floats(0, 1e10),
    attempts=st.integers(0, 100),
    retry_at=st.floats(0, 1e10),
    started=st.integers(0, 3),
    results=st.lists(st.builds(Failure, texts, st.none() | replies, texts, texts, st.floats(0, 1e10)), max_size=2).map(
        tuple
    ),
    warned=st.booleans(),
)


@given(entries)
def test_a_full_record_gives_the_entry_back(entry: Entry) -> None:
    record = full_record(entry)
    assert read_record("id1", Queue.HOLD, record, None) == entry
    assert record.isascii()
    assert MAGIC not in record


@given(entries, entries)
def test_a_state_record_overrides_all_that_can_change_and_nothing_else(first: Entry, later: Entry) -> None:
    read = read_record("id1", Queue.HOLD, full_record(first), state_record(later))
    assert read == evolve(
        later,
        envelope=first.envelope.only(later.envelope.recipients),
        origin=first.origin,
        policy=first.policy,
        size_bytes=first.size_bytes,
        prefix=first.prefix,
        splices=first.splices,
    )


def test_the_folder_decides_the_queue() -> None:
    entry = Entry("id1", queue=Queue.SLOW)
    assert read_record("id1", Queue.FAST, full_record(entry), None).queue is Queue.FAST


def test_an_action_of_another_version_loses_nothing_but_itself() -> None:
    class Shred(Action):
        name = "shred"

    finding = Finding(Kind.SPAM, "p", "r", action=Shred())
    entry = Entry("id1", Envelope(findings=(finding, Finding(Kind.NOTE, "p", "r", action=Quarantine()))))
    read = read_record("id1", Queue.FAST, full_record(entry), None)
    assert [found.action for found in read.envelope.findings] == [Action(), Quarantine()]


@pytest.mark.parametrize("full", [b"", b"{}", b"[]", b"null", b'{"id":"id1","envelope":7}', b'{"id":"other"}', b"\xff"])
def test_nonsense_is_reported_as_damage(full: bytes) -> None:
    with pytest.raises(Damaged):
        read_record("id1", Queue.FAST, full, None)


@given(st.binary(max_size=60))
def test_any_state_record_is_read_or_reported(state: bytes) -> None:
    with pytest.raises(Damaged):
        read_record("id1", Queue.FAST, full_record(Entry("id1")), state)
