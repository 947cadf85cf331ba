"""Replies of peers, however they are cut and whatever they hold."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Reply
from mailward_relay.wire import LinkError, Wire, make_reply


class Transport(asyncio.Transport):
    """A transport that goes nowhere."""

    aborted = False

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted


def replies_to(pieces: list[bytes], expected: int) -> tuple[list[Reply], bool]:
    """The replies in what a peer sent, and whether the connection survived them."""

    async def run() -> tuple[list[Reply], bool]:
        transport = Transport()
        wire = Wire(transport)
        wire.expect(expected)
        for piece in pieces:
            wire.data_received(piece)
        found = []
        while wire.has_reply:
            found.append(await wire.reply(1.0))
        assert transport.aborted is (wire.fault is not None)
        return found, wire.fault is None

    return asyncio.run(run())


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)] or [b""]


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(st.lists(st.tuples(st.integers(200, 599), st.lists(TEXT, min_size=1, max_size=3)), max_size=6), st.data())
def test_cuts_do_not_matter(answers: list[tuple[int, list[str]]], data: st.DataObject) -> None:
    raw = b"".join(
        f"{code}{' ' if place == len(lines) else '-'}{line}\r\n".encode()
        for code, lines in answers
        for place, line in enumerate(lines, 1)
    )
    pieces = cut(raw, data.draw(st.lists(st.integers(0, max(len(raw), 1)), max_size=8)))
    found, alive = replies_to(pieces, len(answers))
    assert found == [make_reply(code, lines) for code, lines in answers]
    assert alive


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_give_replies_or_a_fault(pieces: list[bytes]) -> None:
    found, _ = replies_to(pieces, 3)
    assert len(found) <= 3


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (["2.1.0 ok"], Reply(250, "2.1.0", "ok")),
        (["2.1.0"], Reply(250, "2.1.0", "")),
        (["5.7.1 other class"], Reply(250, "", "5.7.1 other class")),
        (["2.1.0 one", "2.1.0 two"], Reply(250, "2.1.0", "one\ntwo")),
        (["2.1.٣ digits"], Reply(250, "", "2.1.٣ digits")),
        (["a\x1bb\u202ec"], Reply(250, "", "a b c")),
    ],
)
def test_text_is_taken_apart(lines: list[str], reply: Reply) -> None:
    assert make_reply(250, lines) == reply


def test_replies_before_the_end_are_read_and_then_the_end() -> None:
    async def run() -> None:
        wire = Wire(Transport())
        wire.expect(2)
        wire.data_received(b"250 one\r\n")
        wire.connection_lost(None)
        assert (await wire.reply(1.0)).text == "one"
        with pytest.raises(LinkError, match="the connection was lost"):
            await wire.reply(1.0)

    asyncio.run(run())
