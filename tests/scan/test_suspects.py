"""Counting what kills, and knowing it again; saying when there is too much to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Hold
from mailward.scan.codes import CODES, code
from mailward.scan.content import Content
from mailward.scan.load import LoadWatch
from mailward.scan.suspects import MAX_CRASHES, Suspects, held
from mailward.values.errors import ScanError

from .conftest import envelope


def content(data: bytes) -> Content:
    return Content(len(data), data)


def test_a_message_is_known_again_by_its_bytes_wherever_they_are(tmp_path: Path) -> None:
    suspects = Suspects()
    suspects.note(content(b"killer"), 2)
    file = tmp_path / "body"
    file.write_bytes(b"killer and what follows it in the file")
    assert suspects.crashes(Content(6, None, file)) == 2
    assert suspects.crashes(content(b"others")) == 0
    assert suspects.crashes(content(b"killers")) == 0


@pytest.mark.parametrize("crashes", [0, MAX_CRASHES, MAX_CRASHES + 1])
def test_what_is_held_or_judged_is_forgotten(crashes: int) -> None:
    suspects = Suspects()
    suspects.note(content(b"killer"), 2)
    suspects.note(content(b"killer"), crashes)
    assert suspects.crashes(content(b"killer")) == 0


@given(st.lists(st.tuples(st.binary(max_size=3), st.integers(0, 4)), max_size=60))
def test_the_table_agrees_with_a_plain_one_and_never_outgrows_its_bound(notes: list[tuple[bytes, int]]) -> None:
    suspects = Suspects(max_remembered=5)
    model: dict[bytes, int] = {}
    for data, crashes in notes:
        suspects.note(content(data), crashes)
        model.pop(data, None)
        if 0 < crashes < MAX_CRASHES:
            model[data] = crashes
        if len(model) > 5:
            del model[next(iter(model))]
        for one in {data for data, _ in notes}:
            assert suspects.crashes(content(one)) == model.get(one, 0)


def test_a_file_that_is_too_short_or_gone_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"short")
    for path in (file, tmp_path / "gone"):
        with pytest.raises(ScanError, match="file"):
            Content(6, None, path).digest()


def test_hold_names_the_reason_and_all_recipients() -> None:
    verdict = held(envelope("m1"), 3, "it was ended by SIGSEGV")
    (copy,) = verdict.copies
    assert copy.action == Hold()
    assert copy.recipients == envelope("m1").recipients
    assert copy.decided_by is not None
    assert copy.decided_by.reason.endswith("it was ended by SIGSEGV")
    assert not copy.clean


def test_load_is_told_at_once_then_once_an_interval_and_only_strictly_over_the_threshold() -> None:
    now = [1000.0]
    watch = LoadWatch(10, 60.0, lambda: now[0])
    assert [watch.waits(number) for number in (9, 10, 11, 12)] == [False, False, True, False]
    now[0] += 59
    assert [watch.waits(number) for number in (3, 11)] == [False, False]  # a brief recovery starts nothing anew
    now[0] += 1
    assert [watch.waits(number) for number in (10, 11, 11)] == [False, True, False]


def test_every_reason_has_a_code_of_the_list() -> None:
    assert set(CODES.values()) == {1, 2, 3, 4, 5, 6, 7}
    assert code("no such reason") == 3
