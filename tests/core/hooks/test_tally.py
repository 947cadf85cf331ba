"""Counts that several gateway processes share."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from mailward import Tally


def shared(columns: int) -> list[Tally]:
    fd = Tally.make(columns)
    try:
        return [Tally(fd, column, columns, b"key") for column in range(columns)]
    finally:
        os.close(fd)


def test_every_process_sees_the_sum_of_all():
    one, two = shared(2)
    assert one.add("192.0.2.1", 1) == 1
    assert two.add("192.0.2.1", 2) == 3
    assert one.total("192.0.2.1") == two.total("192.0.2.1") == 3
    assert one.total("192.0.2.2") == 0


def test_the_counts_of_a_process_that_died_go_with_it():
    fd = Tally.make(2)
    one, two = Tally(fd, 0, 2), Tally(fd, 1, 2)
    one.add("host", 4)
    two.add("host", 1)
    assert Tally(fd, 0, 2).total("host") == 1
    os.close(fd)


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abc"), st.integers(-2, 3)), max_size=40))
@settings(deadline=None, max_examples=50)
def test_totals_agree_with_plain_counting_and_never_fall_below_nought(steps):
    tallies = shared(2)
    plain: dict[tuple[int, str], int] = {}
    for column, key, number in steps:
        tallies[column].add(key, number)
        plain[column, key] = max(0, plain.get((column, key), 0) + number)
    for key in "abc":
        assert tallies[0].total(key) == plain.get((0, key), 0) + plain.get((1, key), 0)


def test_a_process_can_join_later_and_its_counts_can_be_cleared_from_outside():
    fd = Tally.make(2)
    try:
        one, two = Tally(fd, 0, 2, b"key"), Tally()
        two.add("host", 5)
        two.join(fd, 1, 2, b"key")
        two.add("host", 2)
        assert one.add("host", 1) == 3
        Tally.clear(fd, 1)
        assert one.total("host") == two.total("host") == 1
    finally:
        os.close(fd)
