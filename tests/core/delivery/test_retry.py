from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.delivery.retry import Retry
from mailward.engine.delivery_settings import DeliverySettings

DAY = 86_400.0


def test_the_defaults_are_five_minutes_doubling_to_six_hours_for_five_days() -> None:
    retry = Retry.of(DeliverySettings())
    assert [retry.wait_s(attempts) for attempts in range(1, 10)] == [
        300.0, 600.0, 1200.0, 2400.0, 4800.0, 9600.0, 19_200.0, 21_600.0, 21_600.0,
    ]  # fmt: skip
    assert not retry.expired(0.0, 5 * DAY - 1)
    assert retry.expired(0.0, 5 * DAY)


@given(st.integers(0, 10**6), st.floats(-1, 1))
def test_jitter_is_a_tenth_and_nothing_overflows(attempts: int, jitter: float) -> None:
    retry = Retry(60.0, 3600.0, DAY)
    plain = retry.wait_s(attempts)
    assert 60.0 <= plain <= 3600.0
    assert plain * 0.9 - 1e-6 <= retry.wait_s(attempts, jitter) <= plain * 1.1 + 1e-6


@pytest.mark.parametrize(
    ("now", "expected"), [(0.0, 60.0), (DAY - 10, DAY), (DAY, DAY + 60.0), (2 * DAY, 2 * DAY + 60.0)]
)
def test_the_last_attempt_is_made_when_the_lifetime_ends(now: float, expected: float) -> None:
    assert Retry(60.0, 3600.0, DAY).next_at(0.0, 1, now) == expected


@pytest.mark.parametrize(("retry_at", "left_s"), [(90.0, -10.0), (160.0, 60.0), (100.0 + DAY, 3960.0)])
def test_a_time_beyond_the_longest_wait_is_none(retry_at: float, left_s: float) -> None:
    assert Retry(60.0, 3600.0, DAY).left_s(retry_at, 100.0) == pytest.approx(left_s)
