from __future__ import annotations

from mailward.delivery.schedule import Due, Schedule
from mailward.spool.entry import Entry, Queue


def test_fast_messages_go_in_their_order() -> None:
    schedule = Schedule()
    entries = [Entry(f"m{number}") for number in range(3)]
    for entry in entries:
        schedule.add_fast(entry)
    assert [schedule.take_fast() for _ in range(4)] == [*[Due(one.id, Queue.FAST, one) for one in entries], None]


def test_of_a_long_backlog_only_ids_are_kept() -> None:
    schedule = Schedule()
    for number in range(3000):
        schedule.add_fast(Entry(f"m{number}"))
    taken = [schedule.take_fast() for _ in range(3000)]
    assert [due.id for due in taken if due] == [f"m{number}" for number in range(3000)]
    assert sum(due is not None and due.entry is not None for due in taken) == 1000


def test_slow_messages_wait_for_their_time() -> None:
    schedule = Schedule()
    schedule.add_slow("late", 20.0)
    schedule.add_slow("early", 10.0)
    assert schedule.next_at() == 10.0
    assert schedule.take_slow(9.9) is None
    assert schedule.take_slow(15.0) == Due("early", Queue.SLOW)
    assert schedule.take_slow(15.0) is None
    assert schedule.take_slow(20.0) == Due("late", Queue.SLOW)
    assert schedule.next_at() is None


def test_a_new_time_replaces_the_old_one() -> None:
    schedule = Schedule()
    schedule.add_slow("m", 10.0)
    schedule.add_slow("m", 50.0)
    assert schedule.take_slow(20.0) is None
    assert schedule.next_at() == 50.0
    assert schedule.take_slow(50.0) == Due("m", Queue.SLOW)
    assert len(schedule) == 0


def test_a_hop_that_answers_brings_its_messages_to_the_front() -> None:
    schedule = Schedule()
    schedule.add_slow("other", 10.0)
    schedule.add_slow("waits", 9000.0, ["smtp:mx:25"])
    assert schedule.answers("smtp:elsewhere:25") == 0
    assert schedule.answers("smtp:mx:25") == 1
    assert schedule.answers("smtp:mx:25") == 0
    assert [schedule.take_slow(10.0), schedule.take_slow(10.0)] == [Due("waits", Queue.SLOW), Due("other", Queue.SLOW)]
    assert schedule.take_slow(9999.0) is None


def test_what_is_forgotten_does_not_come() -> None:
    schedule = Schedule()
    schedule.add_fast(Entry("fast"))
    schedule.add_slow("slow", 5.0, ["hop"])
    assert (schedule.forget("fast"), schedule.forget("slow"), schedule.forget("slow")) == (0.0, 5.0, None)
    assert schedule.answers("hop") == 0
    assert (schedule.take_fast(), schedule.take_slow(99.0), schedule.next_at()) == (None, None, None)
