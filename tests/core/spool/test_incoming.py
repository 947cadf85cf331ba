from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.spool.entry import Entry
from mailward.spool.incoming import IN_MEMORY_BYTES, cut_head
from mailward.spool.spool import Spool
from mailward.values.errors import SpoolError

HEAD = b"Subject: x\r\nTo: y\r\n"


def _tmp(spool: Spool) -> list[str]:
    return os.listdir(spool.root / "spool" / spool.slot / "tmp")


def test_a_small_message_makes_no_file_before_it_is_asked_for(spool: Spool) -> None:
    incoming = spool.begin("a1")
    incoming.write(HEAD + b"\r\nbody\r\n")
    assert _tmp(spool) == []
    assert incoming.flush().read_bytes() == HEAD + b"\r\nbody\r\n"
    incoming.discard()
    assert _tmp(spool) == []


@pytest.mark.parametrize("piece", [1000, 65_536, 200_000])
def test_a_big_message_is_streamed_and_its_head_kept(spool: Spool, piece: int) -> None:
    body = HEAD + b"\r\n" + os.urandom(300_000)
    incoming = spool.begin()
    for start in range(0, len(body), piece):
        incoming.write(body[start : start + piece])
    assert incoming.whole is None
    assert incoming.head == HEAD
    assert incoming.size == len(body)
    assert incoming.flush().read_bytes() == body
    incoming.discard()


def test_flush_can_be_followed_by_more(spool: Spool) -> None:
    incoming = spool.begin()
    incoming.write(b"one\r\n")
    incoming.flush()
    incoming.write(b"two\r\n")
    assert incoming.flush().read_bytes() == b"one\r\ntwo\r\n"
    incoming.discard()


@pytest.mark.parametrize("written", [70_000, 131_072, 200_000])
@pytest.mark.parametrize("in_memory", [0, 1, 30_000])
def test_a_piece_may_lie_in_the_file_and_in_memory(spool: Spool, written: int, in_memory: int) -> None:
    body = os.urandom(written + in_memory)
    incoming = spool.begin()
    incoming.write(body[:written])
    incoming.write(body[written:])
    for start in (0, 1, written - 1, written, written + 1, len(body) - 1, len(body)):
        for length in (0, 1, 2, in_memory, in_memory + 1, written, len(body), 2 * len(body)):
            assert incoming.read(start, length) == body[start : start + length]
    incoming.discard()


def test_a_file_that_was_cut_is_said(spool: Spool) -> None:
    incoming = spool.begin()
    incoming.write(b"x" * 100_000)
    os.truncate(incoming.flush(), 50_000)
    assert incoming.read(0, 50_000) == b"x" * 50_000
    with pytest.raises(SpoolError, match="shorter than what was received"):
        incoming.read(0, 50_001)
    incoming.discard()


@given(st.binary(max_size=200))
def test_the_head_ends_before_the_first_empty_line(data: bytes) -> None:
    head = cut_head(b"A: b\r\n\r\n" + data)
    assert head == b"A: b\r\n"


def test_the_head_without_end_is_cut() -> None:
    assert len(cut_head(b"x" * 100_000)) == IN_MEMORY_BYTES
    assert cut_head(b"\r\nno header at all") == b""


def test_a_message_is_committed_once(spool: Spool, make_entry: Callable[..., Entry]) -> None:
    incoming = spool.begin("a1")
    incoming.write(b"x\r\n")
    spool.commit(incoming, make_entry("a1"))
    incoming.discard()
    with pytest.raises(SpoolError):
        spool.commit(incoming, make_entry("a2"))
    with pytest.raises(SpoolError):
        incoming.flush()
    assert [entry.id for entry in spool.recover()] == ["a1"]


def test_a_discarded_message_cannot_be_committed(spool: Spool, make_entry: Callable[..., Entry]) -> None:
    incoming = spool.begin("a1")
    incoming.write(b"x" * 100_000)
    incoming.discard()
    with pytest.raises(SpoolError):
        spool.commit(incoming, make_entry("a1"))
    assert list(spool.recover()) == []


def test_an_id_that_is_a_path_is_refused(spool: Spool) -> None:
    with pytest.raises(SpoolError):
        spool.begin("../../etc")


@pytest.mark.parametrize("size", [0, 10, 65_536, 65_537, 300_000])
@pytest.mark.parametrize("flushed", [False, True])
def test_what_arrived_can_be_read_before_it_is_committed(spool: Spool, size: int, flushed: bool) -> None:
    body = os.urandom(size)
    incoming = spool.begin()
    for start in range(0, size, 40_000):
        incoming.write(body[start : start + 40_000])
    if flushed:
        incoming.flush()
    content = incoming.content()

    async def read() -> list[bytes]:
        return [piece async for piece in content.chunks(1000)]

    pieces = asyncio.run(read())
    assert b"".join(pieces) == body
    assert content.size_bytes == size
    assert all(0 < len(piece) <= 1000 for piece in pieces)
    incoming.discard()
    if size:
        with pytest.raises(SpoolError, match="discarded already"):
            asyncio.run(read())
