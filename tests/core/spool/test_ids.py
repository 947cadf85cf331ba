from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.hooks.clock import Clock
from mailward.spool.ids import check_id, is_id, new_id
from mailward.values.errors import SpoolError


def test_ids_sort_by_time() -> None:
    now = 1_700_000_000.0
    times = [now + step for step in (0.0, 0.001, 1.0, 3600.0, 1e9)]
    ids = [new_id(Clock(time=iter([at]).__next__), "0") for at in times]
    assert ids == sorted(ids)


def test_ids_of_one_moment_differ() -> None:
    clock = Clock(time=lambda: 1_700_000_000.0)
    ids = {new_id(clock, slot) for slot in ("0", "1") for _ in range(50)}
    assert len(ids) == 100
    assert all(is_id(one) and len(one) == 16 for one in ids)


@given(st.text(max_size=80))
def test_only_letters_and_digits_pass(text: str) -> None:
    harmless = 0 < len(text) <= 64 and text.isascii() and text.isalnum()
    assert is_id(text) == harmless
    if not harmless:
        with pytest.raises(SpoolError):
            check_id(text)


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "../x", "a\0", "a\n", "x" * 65])
def test_names_that_would_be_paths_are_no_ids(text: str) -> None:
    assert not is_id(text)
