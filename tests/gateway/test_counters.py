"""Events become counters."""

from __future__ import annotations

import pytest

from mailward import Envelope, Reply, Session
from mailward.gateway.counters import Counters
from mailward.values.action import Drop, Hold
from mailward.values.address import Address
from mailward.values.decision import Copy, Verdict
from mailward.values.delivery import Result, Status
from mailward.values.envelope import Recipient
from mailward.values.event import Bounced, Delivered, Judged, Queued, Refused, Stopped, WorkerDied
from mailward.values.finding import Finding, Kind

BOB = Recipient(Address.parse("bob@example.com"))


def test_what_happens_is_counted_under_its_name() -> None:
    counters = Counters()
    envelope = Envelope(recipients=(BOB,))
    finding = Finding(Kind.INFECTED, "antivirus", "eicar")
    copies = (Copy("", (BOB,), Drop(), findings=(finding,)), Copy("x", (BOB,), Hold(), findings=(finding,)))
    taken = Reply(250, "2.0.0", "OK")
    counters.count(Judged(envelope=envelope, verdict=Verdict("m", copies), reply=taken, size_bytes=100, scan_ms=2))
    counters.count(Judged(envelope=envelope, verdict=Verdict("n", ()), reply=Reply(554, "5.7.1", "no"), size_bytes=50))
    counters.count(Refused(session=Session(), stage="rcpt_to", reply=Reply(550, "5.1.1", "no")))
    results = (Result(BOB, Status.DELIVERED), Result(BOB, Status.DEFERRED))
    counters.count(Delivered(message_id="m", results=results))
    counters.count(Queued(message_id="m", queue="hold"))
    counters.count(Bounced(message_id="m", to="", recipients=(), reason=""))
    counters.count(WorkerDied(pid=1, reason="x"))
    counters.count(Stopped())
    expected = {
        **{"judged": 2, "judged_bytes": 150, "scan_ms": 2, "accepted": 1, "accepted_bytes": 100},
        **{"accepted_recipients": 1, "judged_drop": 1, "judged_hold": 1, "found_infected": 1},
        **{"refused": 1, "refused_rcpt_to": 1, "refused_5xx": 1, "attempts": 1, "recipients_delivered": 1},
        **{"recipients_deferred": 1, "queued_hold": 1, "bounces_suppressed": 1, "scan_process_deaths": 1},
    }
    assert counters.stats() == expected


def test_kav_acc_03_recipients_refused_for_relaying_have_a_counter() -> None:
    counters = Counters()
    denied, unknown = Reply(550, "5.7.1", "Relaying denied"), Reply(550, "5.1.1", "no such user")
    counters.count(Refused(session=Session(), stage="rcpt_to", reply=denied, plugin="relay"))
    counters.count(Refused(session=Session(), stage="rcpt_to", reply=unknown, plugin="relay"))
    counters.count(Refused(session=Session(), stage="data", reply=Reply(554, "5.7.1", "no"), plugin="content"))
    figures = counters.stats()
    assert (figures["refused_by_relay"], figures["refused_by_content"], figures["refused_relaying"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("status", "counter"), [("5.3.4", "size"), ("5.6.1", "8bit"), ("5.6.3", "8bit"), ("5.6.7", "utf8"), ("5.1.1", "")]
)
def test_kav_que_03_what_a_next_hop_could_not_take_has_a_counter(status: str, counter: str) -> None:
    counters = Counters()
    counters.count(Delivered(message_id="m", results=(Result(BOB, Status.FAILED, Reply(554, status, "no")),)))
    counters.count(Delivered(message_id="n", results=(Result(BOB, Status.DEFERRED, Reply(451, status, "no")),)))
    names = {name for name in counters.stats() if name.startswith("recipients_failed_")}
    assert names == ({f"recipients_failed_{counter}"} if counter else set())
    assert counters.stats()["recipients_failed"] == 1


def test_kav_que_02_attempts_that_a_cache_spared_have_a_counter() -> None:
    counters = Counters()
    for untried in (False, True):
        results = (Result(BOB, Status.UNREACHABLE, untried=untried),)
        counters.count(Delivered(message_id="m", results=results))
    assert (counters.stats()["recipients_unreachable"], counters.stats()["recipients_not_tried"]) == (2, 1)
