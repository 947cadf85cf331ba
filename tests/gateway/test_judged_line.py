"""The log line of a message that was judged."""

from __future__ import annotations

from mailward.gateway.judged_line import judged_fields
from mailward.values.action import Deliver, Reject
from mailward.values.address import Address
from mailward.values.decision import Call, Copy, Decision, Verdict
from mailward.values.envelope import Envelope, Recipient, Sender
from mailward.values.event import Judged
from mailward.values.finding import Finding, Kind
from mailward.values.reply import Reply

RECIPIENTS = tuple(Recipient(Address(f"user{number}", "example.org")) for number in range(12))


def judged(*copies: Copy, calls: tuple[Call, ...] = ()) -> Judged:
    sender = Sender(Address("alice", "example.com"))
    envelope = Envelope(sender=sender, recipients=RECIPIENTS, id="m1", received_at=1.0)
    return Judged(envelope=envelope, verdict=Verdict("m1", copies, calls), reply=Reply(250, "2.0.0", "OK"))


def found(number: int, **more: str) -> Finding:
    return Finding(Kind.INFECTED, "antivirus", f"rule{number}", **more)


def test_the_line_names_who_decided_and_why() -> None:
    plain = Copy("default", RECIPIENTS[:1], Deliver())
    finding = found(1, part="2", name="EICAR", detail="by signature\x1b[31m")
    decision = Decision(Reject(), findings=(finding,), plugin="antivirus", reason="infected")
    refused = Copy("staff", RECIPIENTS[1:], Reject(), decided_by=decision, findings=(finding,))
    fields = judged_fields(judged(plain, refused))
    assert fields["verdict"] == f"{Deliver()},{Reject()}"
    assert {key: fields[key] for key in ("action", "plugin", "rule", "reason", "policy")} == {
        "action": str(Reject()),
        "plugin": "antivirus",
        "rule": "rule1",
        "reason": "infected",
        "policy": "staff",
    }
    assert fields["findings"] == ["antivirus.rule1(EICAR) in 2"]
    assert fields["details"][0].startswith("antivirus.rule1: by signature")
    assert "\x1b" not in fields["details"][0]


def test_lists_are_cut_and_the_number_of_recipients_is_told() -> None:
    many = tuple(found(number, detail="x") for number in range(50))
    moot = tuple(Decision(Reject(), plugin="trial", reason="would", shadow=True) for _ in range(50))
    fields = judged_fields(judged(*(Copy("p", RECIPIENTS, Deliver(), findings=many, moot=moot) for _ in range(3))))
    assert len(fields["to"]) == 10
    assert fields["nrcpt"] == len(RECIPIENTS)
    assert len(fields["findings"]) == len(fields["would_have"]) == 20
    assert len(fields["details"]) == 10
    assert fields["would_have"][0] == f"trial {Reject()} would"


def test_the_slowest_calls_are_told_from_a_millisecond_up() -> None:
    calls = tuple(Call("p", f"hook{ms}", ms / 2) for ms in (1, 9, 7, 5, 3))
    assert judged_fields(judged(calls=calls))["spent"] == ["p.hook9 4.5ms", "p.hook7 3.5ms", "p.hook5 2.5ms"]
    assert judged_fields(judged(calls=calls[:1]))["spent"] == []


def test_a_verdict_without_copies_has_a_line_too() -> None:
    assert judged_fields(judged())["verdict"] == ""


def test_kav_grp_05_each_of_several_copies_is_told_with_its_policy_and_recipients() -> None:
    fields = judged_fields(judged(Copy("staff", RECIPIENTS[:1], Reject()), Copy("default", RECIPIENTS[1:], Deliver())))
    told = ", ".join(str(one.address) for one in RECIPIENTS[1:11])
    assert fields["copies"] == [
        f"staff: {Reject()} for user0@example.org",
        f"default: {Deliver()} for {told} and 1 more",
    ]
    assert judged_fields(judged(Copy("default", RECIPIENTS, Deliver())))["copies"] == ()
