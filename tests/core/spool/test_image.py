"""The queue file: whatever happens to its tail, the last whole state is found or damage is reported."""

from __future__ import annotations

import os
import tempfile

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.spool.entry import Entry, Queue
from mailward.spool.image import FOOTER_BYTES, MAGIC, first_image, last_footer, next_image, read_entry
from mailward.spool.record import Damaged


def _write(content: bytes) -> int:
    fd = os.memfd_create("queue-file")
    os.write(fd, content)
    return fd


def _states(entry: Entry, count: int) -> list[Entry]:
    return [evolve(entry, attempts=number, reason=f"attempt {number}") for number in range(count)]


def _build(body: bytes, count: int) -> tuple[bytes, list[Entry], list[int]]:
    """A file with ``count`` states: its bytes, the states, and where each one ends."""
    states = _states(Entry("id1", size_bytes=len(body)), count)
    content = body + first_image(states[0])
    ends = [len(content)]
    for state in states[1:]:
        fd = _write(content)
        content += next_image(state, last_footer(fd, "id1"))
        os.close(fd)
        ends.append(len(content))
    return content, states, ends


def _read(content: bytes) -> Entry:
    fd = _write(content)
    try:
        return read_entry(fd, "id1", Queue.FAST)
    finally:
        os.close(fd)


bodies = st.binary(max_size=300) | st.binary(max_size=60).map(lambda data: MAGIC + data + MAGIC)


@given(bodies, st.integers(1, 4), st.data())
def test_a_truncated_tail_falls_back_to_the_last_whole_state(body: bytes, count: int, data: st.DataObject) -> None:
    content, states, ends = _build(body, count)
    length = data.draw(st.integers(0, len(content)))
    whole = [state for state, end in zip(states, ends, strict=True) if end <= length]
    if whole:
        assert _read(content[:length]) == whole[-1]
    else:
        with pytest.raises(Damaged):
            _read(content[:length])


@given(bodies, st.integers(1, 4), st.data())
def test_rubbish_over_the_tail_falls_back_or_is_reported(body: bytes, count: int, data: st.DataObject) -> None:
    content, states, ends = _build(body, count)
    start = data.draw(st.integers(len(body), len(content)))
    rubbish = data.draw(st.binary(max_size=200) | st.integers(0, 9000).map(bytes))
    whole = [state for state, end in zip(states, ends, strict=True) if end <= start]
    try:
        found = _read(content[:start] + rubbish)
    except Damaged:
        assert not whole
    else:
        assert found in states
        assert not whole or found.attempts >= whole[-1].attempts


@given(st.integers(1, 3), st.data())
def test_one_flipped_byte_never_gives_a_state_that_was_not_written(count: int, data: st.DataObject) -> None:
    content, states, _ = _build(b"body", count)
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[at] ^= data.draw(st.integers(1, 255))
    try:
        assert _read(bytes(damaged)) in states
    except Damaged:
        assert at >= 4


@given(st.binary(max_size=5000))
@settings(max_examples=200)
def test_anything_at_all_is_read_or_reported(content: bytes) -> None:
    with pytest.raises(Damaged):
        _read(content)


def test_a_state_written_into_a_body_is_not_taken_for_ours() -> None:
    forged = first_image(Entry("id2", reason="forged"))
    content, states, _ = _build(forged + MAGIC * 100, 2)
    assert _read(content) == states[1]
    with pytest.raises(Damaged):
        _read(content[: len(forged) + 300])


def test_zeros_of_a_power_failure_after_a_big_body_are_searched_through() -> None:
    content, states, _ = _build(b"x" * 200_000, 3)
    assert _read(content + bytes(300_000)) == states[2]


def test_a_footer_across_the_border_of_two_search_blocks_is_found() -> None:
    content, states, _ = _build(b"x", 1)
    for gap in range(64 * 1024 - FOOTER_BYTES - 4, 64 * 1024 + 4, 3):
        assert _read(content + bytes(gap)) == states[0]


def test_the_search_reads_a_file_larger_than_memory_blocks() -> None:
    with tempfile.TemporaryFile() as file:
        content, states, _ = _build(b"y" * 1000, 2)
        file.write(content)
        file.truncate(5_000_000)
        assert read_entry(file.fileno(), "id1", Queue.FAST) == states[1]
