"""What gateway and scan process say to each other."""

from __future__ import annotations

import fcntl
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.scan.progress import Progress
from mailward.scan.protocol import MAX_BODY_BYTES, Frames, frame
from mailward.values.errors import ScanError


@given(st.lists(st.tuples(st.binary(max_size=50), st.binary(max_size=50)), max_size=5), st.integers(1, 20))
def test_frames_are_read_as_they_were_written_however_they_arrive(frames: list[tuple[bytes, bytes]], step: int) -> None:
    stream = b"".join(frame(json, body) for json, body in frames)
    reader = Frames()
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert [one for piece in pieces for one in reader.feed(piece)] == frames


@given(st.binary(min_size=1, max_size=7))
def test_a_frame_that_is_cut_off_is_none(data: bytes) -> None:
    assert not list(Frames().feed(data))


@pytest.mark.parametrize("lengths", [(2**32 - 1, 0), (0, MAX_BODY_BYTES + 1), (1001, 0)])
def test_a_frame_of_absurd_size_is_refused_before_it_is_read(lengths: tuple[int, int]) -> None:
    data = b"".join(length.to_bytes(4, "big") for length in lengths)
    with pytest.raises(ScanError, match="protocol"):
        list(Frames(1000).feed(data))


def test_progress_is_seen_through_the_shared_memory() -> None:
    ours, theirs = Progress(), Progress()
    theirs.attach(os.dup(ours.fd))
    assert ours.read() is None
    theirs.note("antivirus", "scan_part", "1.2/größe.zip")
    call = ours.read()
    assert call is not None
    assert (call.plugin, call.hook, call.part, call.failure) == ("antivirus", "scan_part", "1.2/größe.zip", "died")
    theirs.clear()
    assert ours.read() is None
    ours.close()
    theirs.close()


def test_nobody_can_take_the_memory_from_under_the_reader() -> None:
    progress = Progress()
    with pytest.raises(OSError, match="not permitted"):
        os.ftruncate(progress.fd, 0)
    with pytest.raises(OSError, match="not permitted"):
        fcntl.fcntl(progress.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    progress.close()


@given(st.text(max_size=2000))
def test_a_part_with_any_name_can_be_noted(part: str) -> None:
    progress = Progress()
    progress.note("plugin", "hook", part)
    call = progress.read()
    progress.close()
    assert call is not None
    assert (call.plugin, call.hook) == ("plugin", "hook")
