"""From verdict to reply, stored copies and bounces."""

from __future__ import annotations

import pytest

from mailward.engine.gateway_settings import RefusedCopies
from mailward.gateway.verdict_plan import Plan, plan
from mailward.spool.entry import Queue
from mailward.values.action import (
    RANK,
    Bounce,
    Defer,
    Deliver,
    Drop,
    Forward,
    Hold,
    MessageAction,
    Quarantine,
    Reject,
)
from mailward.values.address import Address
from mailward.values.decision import Copy, Verdict
from mailward.values.edit import Splice
from mailward.values.envelope import Envelope, Recipient, Sender
from mailward.values.reply import Reply

NO = Reply(554, "5.7.1", "No")
TO = Address.parse("other@b.example")
ACTIONS: dict[str, MessageAction] = {
    "reject": Reject(NO),
    "defer": Defer(),
    "drop": Drop(),
    "bounce": Bounce(),
    "hold": Hold(),
    "quarantine": Quarantine(),
    "forward": Forward(to=TO),
    "deliver": Deliver(),
}


def planned(*copies: MessageAction | Copy, refused: RefusedCopies = RefusedCopies.BOUNCE) -> Plan:
    made = []
    for number, one in enumerate(copies):
        recipient = Recipient(Address.parse(f"r{number}@b.example"))
        made.append(one if isinstance(one, Copy) else Copy(f"p{number}", (recipient,), one))
    envelope = Envelope(
        sender=Sender(Address.parse("a@b.example")), recipients=tuple(r for c in made for r in c.recipients), id="m1"
    )
    return plan(envelope, Verdict("m1", tuple(made)), b"Trace: x\r\n", refused)


def test_there_is_a_case_for_every_action() -> None:
    assert ACTIONS.keys() == RANK.keys()


@pytest.mark.parametrize(
    ("name", "code", "queue", "bounced"),
    [
        ("reject", 554, None, 0),
        ("defer", 451, None, 0),
        ("drop", 250, None, 0),
        ("bounce", 250, None, 1),
        ("hold", 250, Queue.HOLD, 0),
        ("quarantine", 250, Queue.QUARANTINE, 0),
        ("forward", 250, Queue.FAST, 0),
        ("deliver", 250, Queue.FAST, 0),
    ],
)
def test_each_action_alone(name: str, code: int, queue: Queue | None, bounced: int) -> None:
    made = planned(ACTIONS[name])
    assert made.reply.code == code
    assert [entry.queue for entry in made.entries] == ([] if queue is None else [queue])
    assert len(made.bounced) == bounced


@pytest.mark.parametrize("name", ACTIONS)
def test_one_deferred_copy_defers_all(name: str) -> None:
    made = planned(ACTIONS[name], Defer())
    assert made.reply.code == 451
    assert made.entries == ()
    assert made.bounced == ()


def test_copies_that_were_rejected_come_back_where_others_were_accepted() -> None:
    made = planned(Deliver(), Reject(NO))
    assert made.reply.code == 250
    assert [copy.policy for copy in made.bounced] == ["p1"]
    assert [str(r.address) for entry in made.entries for r in entry.envelope.recipients] == ["r0@b.example"]


def test_copies_that_were_rejected_are_dropped_where_that_is_configured() -> None:
    assert planned(Deliver(), Reject(NO), refused=RefusedCopies.DROP).bounced == ()
    assert len(planned(Deliver(), Bounce(), refused=RefusedCopies.DROP).bounced) == 1


def test_the_reply_is_that_of_the_first_where_all_reject() -> None:
    assert planned(Reject(NO), Reject(Reply(550, "5.7.1", "Neither"))).reply == NO


def test_copies_that_came_out_alike_travel_as_one() -> None:
    made = planned(Deliver(), Deliver(), Hold())
    assert [len(entry.envelope.recipients) for entry in made.entries] == [2, 1]


def test_copies_that_were_edited_differently_travel_apart() -> None:
    recipient = Recipient(Address.parse("x@b.example"))
    edited = Copy("edited", (recipient,), Deliver(), splices=(Splice(0, 1, b""),))
    made = planned(Deliver(), edited)
    assert [len(entry.splices) for entry in made.entries] == [0, 1]


def test_a_forwarded_copy_has_the_other_address_alone() -> None:
    (entry,) = planned(ACTIONS["forward"]).entries
    assert [str(r.address) for r in entry.envelope.recipients] == ["other@b.example"]


def test_the_trace_header_and_the_policy_are_in_the_entry() -> None:
    (entry,) = planned(Deliver()).entries
    assert (entry.prefix, entry.policy, entry.id) == (b"Trace: x\r\n", "p0", "m1")


def planned_lmtp(*copies: MessageAction) -> Plan:
    made = [Copy(f"p{n}", (Recipient(Address.parse(f"r{n}@b.example")),), copy) for n, copy in enumerate(copies)]
    envelope = Envelope(
        sender=Sender(Address.parse("a@b.example")), recipients=tuple(r for c in made for r in c.recipients), id="m1"
    )
    return plan(envelope, Verdict("m1", tuple(made)), b"", RefusedCopies.BOUNCE, lmtp=True)


def test_with_lmtp_each_copy_fares_by_itself() -> None:
    made = planned_lmtp(Deliver(), Reject(NO), Defer(), Bounce(), Drop())
    assert [(str(recipient.address)[:2], reply.code) for recipient, reply in made.each] == [
        ("r0", 250),
        ("r1", 554),
        ("r2", 451),
        ("r3", 250),
        ("r4", 250),
    ]
    assert made.reply.code == 250
    assert [entry.queue for entry in made.entries] == [Queue.FAST]
    assert [copy.policy for copy in made.bounced] == ["p3"]


def test_with_lmtp_a_refusal_of_all_is_that_of_the_first() -> None:
    made = planned_lmtp(Defer(), Reject(NO))
    assert made.reply.code == 451
    assert [reply.code for _, reply in made.each] == [451, 554]
    assert made.entries == ()


def test_with_lmtp_what_cannot_be_stored_is_put_off_and_refusals_stand() -> None:
    made = planned_lmtp(Deliver(), Reject(NO)).not_stored()
    assert [reply.code for _, reply in made.each] == [452, 554]
    assert (made.reply.code, made.entries) == (452, ())
