"""Receiving content in bulk, against a model that goes line by line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.gateway.receive import BARE_LINE_END, NUL_BYTE, TOO_LARGE, BulkReader, prime, receive
from mailward.spool.spool import Spool
from mailward.values.reply import Reply

END = b"\r\n.\r\n"
MAX_BYTES = 400
PIECES = st.sampled_from(
    [b"\r\n", b"\r", b"\n", b".", b"..", b"\r\n.", b"\r\n..", b".\r\n", b"\n.", b"\0", b"a", b"text ", b"\xff"]
)
LAWFUL = st.sampled_from([b"\r\n", b".", b"..", b"\r\n.", b"\r\n..\r\n", b"a", b"text ", b"\xff", b"x" * 50])


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spool]:
    opened = Spool(tmp_path_factory.mktemp("spool"))
    opened.open()
    yield opened
    opened.close()


def model(content: bytes) -> tuple[bytes, Reply | None]:
    """The text and the refusal of a whole content, end of data included."""
    if re.search(rb"(?<!\r)\n|\r(?!\n)", content):
        return b"", BARE_LINE_END
    lines = content.split(b"\r\n")[:-2]  # the end of data and what follows its CRLF
    text = b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines)
    if b"\0" in content:
        return b"", NUL_BYTE
    return (b"", TOO_LARGE) if len(text) > MAX_BYTES else (text, None)


async def run(spool: Spool, chunks: list[bytes], limit: int) -> tuple[bytes, Reply | None, bytes]:
    """What `receive` makes of these chunks: text, refusal, and what it leaves in the reader."""
    reader = BulkReader(limit=limit)
    incoming = spool.begin()
    prime(reader)
    task = asyncio.ensure_future(receive(reader, incoming, MAX_BYTES, lambda: None))
    for chunk in chunks:
        reader.feed_data(chunk)
        await asyncio.sleep(0)
    arrived = await asyncio.wait_for(task, 5)
    text = incoming.flush().read_bytes() if arrived.refusal is None else b""
    incoming.discard()
    reader.feed_eof()
    return text, arrived.refusal, await reader.read()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in chunks, cut at these places."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]


def whole(pieces: list[bytes]) -> bytes:
    """A content that ends once, at its end: what the pieces hold of ends is taken out."""
    content = b"\r\n" + b"".join(pieces)
    while END in content:
        content = content.replace(END, b"\r\n")
    ended = content + END
    return ended[2 : ended.index(END) + len(END)]


@given(st.lists(PIECES, max_size=30), st.lists(st.integers(0, 10_000), max_size=12), st.integers(5, 64))
@settings(max_examples=400)
def test_any_content_in_any_chunks_fares_as_line_by_line(
    spool: Spool, pieces: list[bytes], places: list[int], limit: int
) -> None:
    check(spool, whole(pieces), places, limit)


@given(st.lists(LAWFUL, max_size=40), st.lists(st.integers(0, 10_000), max_size=12), st.integers(5, 64))
@settings(max_examples=400)
def test_lawful_content_in_any_chunks_is_kept_byte_for_byte(
    spool: Spool, pieces: list[bytes], places: list[int], limit: int
) -> None:
    check(spool, whole(pieces), places, limit)


def check(spool: Spool, content: bytes, places: list[int], limit: int) -> None:
    after = b"QUIT\r\n"
    text, refusal, left = asyncio.run(run(spool, cut(content + after, places), limit))
    wanted_text, wanted_refusal = model(content)
    assert (refusal is None) == (wanted_refusal is None), (content, refusal)
    assert text == wanted_text
    assert left == after
    assert not list(Path(spool.root).glob("spool/*/tmp/*"))


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b".\r\n", None),
        (b"\r\n.\r\n", None),
        (b"..\r\n.\r\n", None),
        (b"a\nb\r\n.\r\n", BARE_LINE_END),
        (b"a\rb\r\n.\r\n", BARE_LINE_END),
        (b"\n\r\n.\r\n", BARE_LINE_END),
        (b"a\r\r\n.\r\n", BARE_LINE_END),
        (b"a\0b\r\n.\r\n", NUL_BYTE),
        (b"x" * (MAX_BYTES - 2) + b"\r\n.\r\n", None),
        (b"x" * (MAX_BYTES - 1) + b"\r\n.\r\n", TOO_LARGE),
    ],
)
@pytest.mark.parametrize("limit", [5, 7, 1_000])
def test_each_refusal_has_its_reply(spool: Spool, content: bytes, refusal: Reply | None, limit: int) -> None:
    for size in (1, 2, 3, len(content)):
        chunks = [content[at : at + size] for at in range(0, len(content), size)]
        text, given_refusal, left = asyncio.run(run(spool, chunks, limit))
        assert given_refusal is refusal
        assert text == model(content)[0]
        assert left == b""


def test_a_client_that_leaves_ends_the_receiving(spool: Spool) -> None:
    async def leave() -> None:
        reader = BulkReader()
        incoming = spool.begin()
        prime(reader)
        reader.feed_data(b"half a message\r\n")
        reader.feed_eof()
        try:
            with pytest.raises(asyncio.IncompleteReadError):
                await receive(reader, incoming, MAX_BYTES, lambda: None)
        finally:
            incoming.discard()

    asyncio.run(leave())


def test_each_piece_that_arrives_is_a_sign_of_life(spool: Spool) -> None:
    ticks: list[int] = []

    async def trickle() -> None:
        reader = BulkReader(limit=10)
        incoming = spool.begin()
        prime(reader)
        task = asyncio.ensure_future(receive(reader, incoming, MAX_BYTES, lambda: ticks.append(1)))
        for _ in range(5):
            reader.feed_data(b"0123456789abcdef")
            await asyncio.sleep(0)
        reader.feed_data(b"\r\n.\r\n")
        await task
        incoming.discard()

    asyncio.run(trickle())
    assert len(ticks) >= 5
