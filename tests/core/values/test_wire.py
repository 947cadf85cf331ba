"""Values as JSON: what is written is read again, and hostile JSON is a WireError and nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import (
    NULL,
    Action,
    AddHeader,
    Address,
    Bounce,
    Call,
    Copy,
    Decision,
    Defer,
    Delete,
    DeletePart,
    Deliver,
    Drop,
    Envelope,
    Finding,
    Forward,
    Hold,
    Kind,
    Placeholder,
    PrefixSubject,
    Quarantine,
    Recipient,
    Reject,
    RemoveHeader,
    Repair,
    ReplaceContent,
    ReplacePart,
    Reply,
    Sender,
    Session,
    Tag,
    Verdict,
)
from mailward.spool.entry import Entry, Failure, Queue
from mailward.values import action as actions
from mailward.values import edit as edits
from mailward.values.edit import Edit, Splice
from mailward.values.wire import WireError, dump, load, plain

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.floats(0, 2e9)
COUNTS = st.integers(0, 2**40)
ADDRESSES = st.builds(Address, TEXT, TEXT) | st.just(NULL)
REPLIES = st.builds(Reply, st.integers(200, 599), TEXT, TEXT)
MESSAGE_ACTIONS = st.one_of(
    st.builds(Forward, to=ADDRESSES, subject=TEXT),
    st.builds(Bounce, TEXT),
    st.builds(Defer, TEXT),
    st.builds(Reject, REPLIES),
    *(st.just(kind()) for kind in (Deliver, Drop, Hold, Quarantine)),
)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple)
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    MESSAGE_ACTIONS,
    st.builds(Placeholder, TEXT),
    st.builds(Tag, TEXT, PAIRS),
    *(st.just(kind()) for kind in (Delete, Repair)),
)
EDITS = st.one_of(
    st.builds(AddHeader, TEXT, TEXT),
    st.builds(DeletePart, TEXT),
    st.builds(PrefixSubject, TEXT),
    st.builds(RemoveHeader, TEXT),
    st.builds(ReplaceContent, TEXT, st.binary(max_size=30)),
    st.builds(ReplacePart, TEXT, TEXT, TEXT),
)
FINDINGS = st.builds(
    Finding,
    st.sampled_from(Kind),
    TEXT,
    TEXT,
    part=TEXT,
    name=TEXT,
    score=st.floats(-1e6, 1e6),
    detail=TEXT,
    action=st.none() | ACTIONS,
    elapsed_ms=TIMES,
    shadow=st.booleans(),
)
SOME_FINDINGS = st.lists(FINDINGS, max_size=2).map(tuple)
DECISIONS = st.builds(
    Decision,
    ACTIONS,
    st.lists(EDITS, max_size=2).map(tuple),
    SOME_FINDINGS,
    plugin=TEXT,
    reason=TEXT,
    shadow=st.booleans(),
)
RECIPIENTS = st.lists(st.builds(Recipient, ADDRESSES, PAIRS, st.none() | st.booleans()), max_size=3).map(tuple)
SPLICES = st.lists(st.builds(Splice, COUNTS, COUNTS, st.binary(max_size=30)), max_size=2).map(tuple)
VERDICTS = st.builds(
    Verdict,
    TEXT,
    st.lists(
        st.builds(
            Copy,
            TEXT,
            RECIPIENTS,
            MESSAGE_ACTIONS,
            st.none() | DECISIONS,
            SOME_FINDINGS,
            SPLICES,
            st.lists(DECISIONS, max_size=1).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    st.lists(st.builds(Call, TEXT, TEXT, TIMES, TEXT, TEXT, TEXT), max_size=2).map(tuple),
    TIMES,
    st.lists(TEXT, max_size=2).map(tuple),
)
SESSIONS = st.builds(Session, TEXT, TEXT, COUNTS, TEXT, TEXT, TEXT, TEXT, TEXT, TIMES)
ENVELOPES = st.builds(Envelope, SESSIONS, st.builds(Sender, ADDRESSES, PAIRS), RECIPIENTS, TEXT, TIMES, SOME_FINDINGS)
ENTRIES = st.builds(
    Entry,
    TEXT,
    ENVELOPES,
    TEXT,
    st.sampled_from(Queue),
    TEXT,
    COUNTS,
    st.binary(max_size=30),
    SPLICES,
    TEXT,
    TIMES,
    COUNTS,
    TIMES,
    COUNTS,
    st.lists(st.builds(Failure, TEXT, st.none() | REPLIES, TEXT, TEXT, TIMES), max_size=2).map(tuple),
    st.booleans(),
)


@given(VERDICTS)
def test_a_verdict_comes_back_as_it_went(verdict: Verdict) -> None:
    assert load(dump(verdict), Verdict) == verdict


@given(ENVELOPES)
def test_an_envelope_comes_back_as_it_went(envelope: Envelope) -> None:
    assert load(dump(envelope), Envelope) == envelope


@given(ENTRIES)
def test_a_queue_entry_comes_back_as_it_went(entry: Entry) -> None:
    assert load(dump(entry), Entry) == entry


@given(VERDICTS)
def test_what_is_printed_for_programs_is_json(verdict: Verdict) -> None:
    assert json.loads(json.dumps(plain(verdict))) == json.loads(dump(verdict))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_wire_error(data: bytes) -> None:
    reads(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_a_value_or_a_wire_error(value: Any) -> None:
    reads(json.dumps(value).encode())


def _changed(value: Any, path: list[int], new: Any) -> Any:
    """``value`` with ``new`` in the place that ``path`` leads to."""
    if not path or not isinstance(value, (dict, list)) or not value:
        return new
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = _changed(value[key], path[1:], new)
    return copy


@given(VERDICTS, st.lists(st.integers(0, 9), min_size=1, max_size=6), JSON)
def test_a_verdict_with_anything_put_into_it_is_a_value_or_a_wire_error(
    verdict: Verdict, path: list[int], new: Any
) -> None:
    reads(json.dumps(_changed(json.loads(dump(verdict)), path, new)).encode())


def reads(data: bytes) -> None:
    for kind in (Verdict, Envelope, Entry, Finding, Decision):
        with contextlib.suppress(WireError):
            assert isinstance(load(data, kind), kind)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b'{"id": {}}',
        b'{"id": "x", "copies": 5}',
        b'{"id": "x", "copies": [{"policy": "p", "recipients": [], "action": {"type": "Delete"}}]}',
        b'{"id": "x", "copies": [{"policy": "p", "recipients": [], "action": {"type": "Plugin"}}]}',
        b'{"id": "x", "copies": [{"policy": "p", "recipients": [], "action": {"type": ["Drop"]}}]}',
        b'{"id": "x", "copies": [{"policy": "p", "recipients": [], "action": {}}]}',
        b'{"id": "x", "copies": [{"policy": "p", "recipients": [], "action": null}]}',
        b'{"id": "x", "copies": [{"policy": "p", "recipients": [], "action": {"type": "Defer", "text": 1, "x": [}}]}',
        b'{"id": "", "copies": [{"policy": "", "recipients": [], "action": {"type": "Reject", "reply": {"code": 9}}}]}',
        b'{"id": "x", "copies": [], "elapsed_ms": "soon"}',
        b'{"id": "x", "copies": [], "elapsed_ms": 1e999}',
        b'\xff{"id": "x", "copies": []}',
    ],
)
def test_what_is_no_verdict_is_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError, match="not a Verdict"):
        load(data, Verdict)


def _below(kind: type[Any]) -> set[str]:
    """The names of all classes below one: by name, for a class with slots leaves one that it was made from."""
    return {one.__name__ for one in kind.__subclasses__() if one.__module__ == kind.__module__}.union(
        *(_below(one) for one in kind.__subclasses__())
    )


def test_every_action_and_edit_is_in_the_table_that_the_wire_goes_by() -> None:
    assert _below(Action) == {kind.__name__ for kind in actions.ACTIONS.values()} | {"MessageAction", "PartAction"}
    assert _below(Edit) == {kind.__name__ for kind in edits.EDITS}


@pytest.mark.parametrize("base", [Action, actions.MessageAction, actions.PartAction])
def test_a_base_class_is_read_by_its_own_subclasses_only(base: type[Action]) -> None:
    for kind in actions.ACTIONS.values():
        value = kind(to=NULL) if kind is Forward else kind()
        if isinstance(value, base):
            assert load(dump(value), base) == value
        else:
            with pytest.raises(WireError):
                load(dump(value), base)
