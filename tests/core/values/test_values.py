"""Small values: envelopes, copies, next hops, checks, errors, the table of ranks."""

from __future__ import annotations

import pytest

from mailward import (
    Address,
    Check,
    ConfigError,
    Copy,
    Deliver,
    Drop,
    Envelope,
    Finding,
    Health,
    Kind,
    NextHop,
    Recipient,
    Sender,
)
from mailward.values.action import ACTIONS, MESSAGE_ACTIONS, PART_ACTIONS, RANK
from mailward.values.edit import Splice
from mailward.values.errors import Problem

HOME = Recipient(Address.parse("a@home.example"), local=True)
AWAY = Recipient(Address.parse("b@away.example"), local=False)
UNKNOWN = Recipient(Address.parse("c@where.example"))


@pytest.mark.parametrize(
    ("recipients", "leaves"),
    [((), False), ((HOME,), False), ((AWAY,), True), ((HOME, AWAY), True), ((UNKNOWN,), True), ((HOME, UNKNOWN), True)],
)
def test_mail_leaves_the_house_unless_all_recipients_are_known_to_be_local(
    recipients: tuple[Recipient, ...], leaves: bool
) -> None:
    assert Envelope(recipients=recipients).leaves_the_house is leaves


def test_the_envelope_of_a_copy_is_the_same_but_for_its_recipients() -> None:
    envelope = Envelope(recipients=(HOME, AWAY), id="m1")
    assert envelope.only((HOME, AWAY)) is envelope
    assert envelope.only((AWAY,)) == Envelope(recipients=(AWAY,), id="m1")


def test_parameters_are_found_by_keyword() -> None:
    sender = Sender(parameters=(("SIZE", "10"), ("SMTPUTF8", "")))
    assert (sender.parameter("SIZE"), sender.parameter("SMTPUTF8"), sender.parameter("BODY")) == ("10", "", None)
    assert Recipient(Address("a", "b"), (("NOTIFY", "NEVER"),)).parameter("NOTIFY") == "NEVER"


@pytest.mark.parametrize("kind", Kind)
def test_only_a_note_leaves_a_copy_clean(kind: Kind) -> None:
    assert Copy("default", (), Deliver(), findings=(Finding(kind, "p", "r"),)).clean is (kind is Kind.NOTE)
    assert Copy("default", (), Deliver(), findings=(Finding(kind, "p", "r", shadow=True),)).clean


def test_an_edited_copy_is_not_clean() -> None:
    assert not Copy("default", (), Deliver(), splices=(Splice(0, 1, b""),)).clean


@pytest.mark.parametrize(
    ("hop", "text"),
    [
        (NextHop("smtp", "mx.example", 25), "smtp:mx.example:25"),
        (NextHop("smtp", "2001:db8::1", 25), "smtp:[2001:db8::1]:25"),
        (NextHop("smtp", "mx.example"), "smtp:mx.example"),
        (NextHop("maildir", path="/var/mail"), "maildir:/var/mail"),
    ],
)
def test_a_next_hop_is_written(hop: NextHop, text: str) -> None:
    assert str(hop) == text


def test_the_table_of_ranks_is_that_of_the_design() -> None:
    order = "reject defer drop bounce hold quarantine forward deliver"
    assert [kind.name for kind in MESSAGE_ACTIONS] == order.split()
    assert [RANK[name] for name in order.split()] == list(range(8))
    assert {kind.name for kind in PART_ACTIONS} == {"repair", "delete", "placeholder", "tag"}
    assert set(ACTIONS) == set(RANK) | {"repair", "delete", "placeholder", "tag"}
    assert str(Drop()) == "drop"


def test_a_check_has_a_health() -> None:
    assert Check("x").health is Health.OK
    assert Check("x", ok=False).health is Health.FAILURE
    assert Check("x", ok=False, warning=True).health is Health.WARNING


def test_a_problem_is_a_sentence() -> None:
    problem = Problem("a.b", "is wrong", "5", "1 to 4", "a.c")
    assert str(problem) == "a.b = 5: is wrong; allowed: 1 to 4; did you mean 'a.c'?"
    assert str(ConfigError("file", [problem, Problem("x", "is missing")])) == f"file: {problem}\nfile: x: is missing"
