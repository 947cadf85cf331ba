from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailward.spool.content import QueueContent
from mailward.spool.entry import Entry
from mailward.spool.folders import Vanished
from mailward.spool.spool import Spool
from mailward.values.edit import Splice
from mailward.values.errors import SpoolError


async def _chunks(content: QueueContent, max_bytes: int) -> list[bytes]:
    return [chunk async for chunk in content.chunks(max_bytes)]


def _apply(body: bytes, splices: tuple[Splice, ...]) -> bytes:
    for splice in sorted(splices, key=lambda one: (one.start, one.end), reverse=True):
        body = body[: splice.start] + splice.data + body[splice.end :]
    return body


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, tuple[Splice, ...]]:
    body = draw(st.binary(max_size=300))
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), unique=True, max_size=8)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return body, tuple(Splice(start, end, draw(st.binary(max_size=50))) for start, end in pairs)


@given(edited(), st.binary(max_size=60), st.integers(1, 200), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_prefix_and_splices_and_nothing_else(
    tmp_path: Path, edit: tuple[bytes, tuple[Splice, ...]], prefix: bytes, max_bytes: int, with_head: bool
) -> None:
    body, splices = edit
    path = tmp_path / "file"
    path.write_bytes(body + b"what stands behind the body")
    content = QueueContent(path, prefix, splices, len(body))
    if with_head:
        content.head()
    for _ in range(2):
        chunks = asyncio.run(_chunks(content, max_bytes))
        assert b"".join(chunks) == prefix + _apply(body, splices)
        assert content.size_bytes == sum(map(len, chunks))
        assert all(len(chunk) == max_bytes for chunk in chunks[:-1])


def test_a_big_body_is_read_in_pieces(tmp_path: Path) -> None:
    body = os.urandom(3_000_000)
    path = tmp_path / "file"
    path.write_bytes(body + b"state")
    content = QueueContent(path, b"P\r\n", (Splice(1_500_000, 1_500_010, b"edit"),), len(body))
    chunks = asyncio.run(_chunks(content, 65_536))
    assert b"".join(chunks) == b"P\r\n" + body[:1_500_000] + b"edit" + body[1_500_010:]
    assert max(map(len, chunks)) <= 65_536


def test_insertions_at_one_place_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    content = QueueContent(path, b"", (Splice(0, 0, b"1"), Splice(0, 0, b"2"), Splice(0, 1, b"A")), 3)
    assert asyncio.run(_chunks(content, 100)) == [b"12Abc"]


@pytest.mark.parametrize("splices", [((0, 5), (4, 6)), ((5, 4),), ((-1, 2),), ((0, 11),)])
def test_impossible_splices_are_refused(tmp_path: Path, splices: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(SpoolError):
        QueueContent(tmp_path / "file", b"", tuple(Splice(start, end, b"") for start, end in splices), 10)


def test_a_file_that_went_away_or_is_short_is_reported(spool: Spool, stored: Callable[..., Entry]) -> None:
    entry = stored()
    short = QueueContent(spool.path(entry), b"", (), 1_000_000)
    with pytest.raises(SpoolError):
        asyncio.run(_chunks(short, 65_536))
    spool.remove(entry)
    with pytest.raises(Vanished):
        asyncio.run(_chunks(spool.content(entry), 65_536))
