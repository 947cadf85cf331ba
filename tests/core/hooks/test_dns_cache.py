"""Answers of DNS are kept as long as they say, whatever the time of day does."""

from __future__ import annotations

import time

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from dns.resolver import Answer

from mailward.hooks.dns_cache import MOST_S, DnsCache, Key


def answer(name: str, ttl_s: int) -> tuple[Key, Answer]:
    query = dns.message.make_query(name, "MX")
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text(name, ttl_s, "IN", "MX", "10 host.example."))
    key = (dns.name.from_text(name), dns.rdatatype.MX, dns.rdataclass.IN)
    return key, Answer(*key, dns.message.from_wire(response.to_wire()))  # type: ignore[arg-type]


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
def test_an_answer_ends_with_its_time_though_the_clock_is_set(jump_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now, day = [100.0], time.time()
    cache = DnsCache(10, lambda: now[0])
    key, found = answer("a.example.", 60)
    cache.put(key, found)
    monkeypatch.setattr(time, "time", lambda: day + jump_s)
    now[0] += 50
    assert cache.get(key) is found
    assert cache.left_s(found) == 10
    now[0] += 10
    assert cache.left_s(found) == 0
    assert cache.get(key) is None


def test_an_answer_for_years_is_kept_for_a_day() -> None:
    now = [0.0]
    cache = DnsCache(10, lambda: now[0])
    key, found = answer("a.example.", 2**31 - 1)
    cache.put(key, found)
    assert cache.left_s(found) == MOST_S
    now[0] = MOST_S
    assert cache.get(key) is None


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    cache = DnsCache(2)
    kept = [answer(f"{name}.example.", 60) for name in "abc"]
    for number, (key, found) in enumerate(kept):
        cache.put(key, found)
        if number == 1:
            cache.get(kept[0][0])
    assert [cache.get(key) is found for key, found in kept] == [True, False, True]


def test_an_answer_that_was_replaced_holds_no_longer() -> None:
    cache = DnsCache(2)
    key, old = answer("a.example.", 60)
    cache.put(key, old)
    cache.put(*answer("a.example.", 60))
    assert cache.left_s(old) == 0
