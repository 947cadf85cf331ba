"""What gateway and scan process say to each other."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.scan.progress import Progress
from mailward.scan.protocol import MAX_BODY_BYTES, frame, read_frame
from mailward.values.errors import ScanError


async def read(data: bytes) -> list[tuple[bytes, bytes]]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    frames = []
    while not reader.at_eof():
        frames.append(await read_frame(reader))
    return frames


@given(st.lists(st.tuples(st.binary(max_size=50), st.binary(max_size=50)), max_size=5))
def test_frames_are_read_as_they_were_written(frames: list[tuple[bytes, bytes]]) -> None:
    assert asyncio.run(read(b"".join(frame(json, body) for json, body in frames))) == frames


@given(st.binary(min_size=1, max_size=7))
def test_a_frame_that_is_cut_off_is_an_end(data: bytes) -> None:
    with pytest.raises(ScanError, match="died"):
        asyncio.run(read(data))


@pytest.mark.parametrize("lengths", [(2**32 - 1, 0), (0, MAX_BODY_BYTES + 1)])
def test_a_frame_of_absurd_size_is_refused_before_it_is_read(lengths: tuple[int, int]) -> None:
    data = b"".join(length.to_bytes(4, "big") for length in lengths)
    with pytest.raises(ScanError, match="protocol"):
        asyncio.run(read(data))


def test_progress_is_seen_through_the_shared_memory() -> None:
    ours = Progress()
    assert ours.read() is None
    ours.note("antivirus", "scan_part", "1.2/größe.zip")
    call = ours.read()
    assert call is not None
    assert (call.plugin, call.hook, call.part, call.failure) == ("antivirus", "scan_part", "1.2/größe.zip", "died")
    ours.clear()
    assert ours.read() is None
    ours.close()


@given(st.text(max_size=2000))
def test_a_part_with_any_name_can_be_noted(part: str) -> None:
    progress = Progress()
    progress.note("plugin", "hook", part)
    call = progress.read()
    progress.close()
    assert call is not None
    assert (call.plugin, call.hook) == ("plugin", "hook")
