"""Receiving content in bulk, against a model that goes line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.engine.gateway_settings import BareLineEnds
from mailward.gateway.receive import BARE_LINE_END, NO_SPACE, NUL_BYTE, TOO_LARGE, ChunkContent, DotContent
from mailward.spool.spool import Spool
from mailward.values.errors import SpoolError
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


def run(
    spool: Spool, chunks: list[bytes], line_ends: BareLineEnds = BareLineEnds.REFUSE
) -> tuple[bytes, Reply | None, bytes]:
    """What is made of these chunks: text, refusal, and what is left after the end."""
    incoming = spool.begin()
    content = DotContent(incoming, MAX_BYTES, line_ends)
    left: bytes | None = None
    for chunk in chunks:
        left = content.feed(chunk) if left is None else left + chunk
    assert left is not None, "the end was not seen"
    text = incoming.flush().read_bytes() if content.refusal is None else b""
    incoming.discard()
    return text, content.refusal, left


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


@given(st.lists(PIECES, max_size=30), st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=400)
def test_any_content_in_any_chunks_fares_as_line_by_line(spool: Spool, pieces: list[bytes], places: list[int]) -> None:
    check(spool, whole(pieces), places)


@given(st.lists(LAWFUL, max_size=40), st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=400)
def test_lawful_content_in_any_chunks_is_kept_byte_for_byte(
    spool: Spool, pieces: list[bytes], places: list[int]
) -> None:
    check(spool, whole(pieces), places)


def check(spool: Spool, content: bytes, places: list[int]) -> None:
    after = b"QUIT\r\n"
    text, refusal, left = run(spool, cut(content + after, places))
    wanted_text, wanted_refusal = model(content)
    assert (refusal is None) == (wanted_refusal is None), (content, refusal)
    assert text == wanted_text
    assert left == after
    assert not list(Path(spool.root).glob("spool/*/tmp/*"))


@given(st.lists(PIECES, max_size=30), st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=400)
def test_normalised_content_has_crlf_alone_and_ends_where_it_ended_before(
    spool: Spool, pieces: list[bytes], places: list[int]
) -> None:
    content = whole([piece.replace(b"\0", b"") for piece in pieces])
    text, refusal, left = run(spool, cut(content + b"after", places), BareLineEnds.NORMALISE)
    unstuffed = (b"\r\n" + content[:-3]).replace(b"\r\n.", b"\r\n")
    wanted = re.sub(rb"\r\n|\r|\n", b"\r\n", unstuffed)[2:]
    assert left == b"after"
    assert (text, refusal) == ((b"", TOO_LARGE) if len(wanted) > MAX_BYTES else (wanted, None))


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
def test_each_refusal_has_its_reply(spool: Spool, content: bytes, refusal: Reply | None) -> None:
    for size in (1, 2, 3, len(content)):
        chunks = [content[at : at + size] for at in range(0, len(content), size)]
        text, given_refusal, left = run(spool, chunks)
        assert given_refusal is refusal
        assert text == model(content)[0]
        assert left == b""


@given(st.lists(PIECES, max_size=30), st.lists(st.integers(0, 10_000), max_size=8), st.lists(st.integers(0, 10_000)))
@settings(max_examples=300)
def test_chunks_are_kept_as_they_are_or_refused(
    spool: Spool, pieces: list[bytes], borders: list[int], places: list[int]
) -> None:
    data = b"".join(pieces)
    incoming = spool.begin()
    content = ChunkContent(incoming, MAX_BYTES)
    for chunk in cut(data, borders) or [b""]:
        content.expect(len(chunk))
        pieces = cut(chunk, places) or [b""]
        rests = [content.feed(piece) for piece in pieces[:-1]]
        assert rests == [None] * len(rests)
        assert content.feed(pieces[-1] + b"NEXT") == b"NEXT"
    content.finish()
    unlawful = re.search(rb"(?<!\r)\n|\r(?!\n)|\0", data) is not None
    assert (content.refusal is not None) == (unlawful or len(data) > MAX_BYTES)
    if content.refusal is None:
        assert incoming.flush().read_bytes() == data
    incoming.discard()


def test_a_disk_that_takes_no_more_is_a_refusal_for_now(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    incoming = spool.begin()

    def full(data: bytes) -> None:
        raise SpoolError("no space")

    monkeypatch.setattr(incoming, "write", full)
    content = DotContent(incoming, MAX_BYTES)
    assert content.feed(b"a\r\nb") is None
    assert content.feed(b"\r\n.\r\nQUIT") == b"QUIT"
    assert content.refusal is NO_SPACE
    incoming.discard()
