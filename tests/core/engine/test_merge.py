"""Decisions become one action by rank, whatever their order; edits add up; shadow counts for nothing."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import (
    Action,
    AddHeader,
    Address,
    Bounce,
    Decision,
    Defer,
    Delete,
    DeletePart,
    Deliver,
    Drop,
    Finding,
    Forward,
    Hold,
    Kind,
    MessageAction,
    Placeholder,
    PrefixSubject,
    Quarantine,
    Reject,
    RemoveHeader,
    Repair,
    ReplaceContent,
    ReplacePart,
    Tag,
)
from mailward.engine.core_settings import DispositionSettings
from mailward.engine.merge import decisions_of, merge

FORWARD = Forward(to=Address("a", "b.example"))
RANKED: tuple[MessageAction, ...] = (*(Reject(), Defer(), Drop(), Bounce(), Hold(), Quarantine(), FORWARD, Deliver()),)
SETTINGS = DispositionSettings()


@pytest.mark.parametrize(("one", "two"), list(product(RANKED, RANKED)), ids=lambda action: action.name)
def test_of_two_actions_the_one_of_higher_rank_is_carried_out(one: MessageAction, two: MessageAction) -> None:
    merged = merge([Decision(one, plugin="one"), Decision(two, plugin="two")])
    higher = min(one, two, key=RANKED.index)
    assert merged.action == higher
    assert merged.decided_by is not None
    assert merged.decided_by.plugin == ("one" if higher == one else "two")
    assert [decision.action for decision in merged.moot] == [max(one, two, key=RANKED.index)][: one != two]


@pytest.mark.parametrize("order", list(permutations(RANKED[:4])), ids=lambda order: "-".join(a.name for a in order))
def test_the_order_of_decisions_does_not_matter(order: tuple[MessageAction, ...]) -> None:
    merged = merge([Decision(action) for action in order])
    assert merged.action == Reject()
    assert {decision.action for decision in merged.moot} == {Defer(), Drop(), Bounce()}


@given(st.permutations(RANKED), st.integers(1, 8))
def test_any_order_of_any_decisions_has_the_same_outcome(actions: list[MessageAction], count: int) -> None:
    chosen = actions[:count]
    assert merge([Decision(action) for action in chosen]).action == min(chosen, key=RANKED.index)


def test_without_decisions_the_message_is_delivered() -> None:
    merged = merge([])
    assert (merged.action, merged.decided_by, merged.edits, merged.moot) == (Deliver(), None, (), ())


def test_edits_add_up_and_equal_ones_count_once() -> None:
    delete, header = DeletePart("1"), AddHeader("X-A", "1")
    merged = merge([Decision(Deliver(), (delete,)), Decision(Deliver(), (header, delete))])
    assert merged.edits == (delete, header)


def test_a_part_that_goes_is_not_repaired_first() -> None:
    repair, delete, other = ReplaceContent("1", b"x"), DeletePart("1"), ReplaceContent("2", b"y")
    assert set(merge([Decision(Repair(), (repair, other)), Decision(Delete(), (delete,))]).edits) == {delete, other}
    replace = ReplacePart("1", "gone")
    assert merge([Decision(Placeholder(), (replace,)), Decision(Repair(), (repair,))]).edits == (replace,)


def test_a_forward_with_a_subject_replaces_it() -> None:
    action = Forward(to=Address("a", "b.example"), subject="caught")
    merged = merge([Decision(Tag(), (PrefixSubject("[x]"),)), Decision(action)])
    assert merged.edits == (RemoveHeader("Subject"), AddHeader("Subject", "caught"))


def test_shadow_decisions_change_nothing_and_are_recorded() -> None:
    shadow = Decision(Reject(), (DeletePart("1"),), plugin="shade", shadow=True)
    merged = merge([shadow, Decision(Hold(), plugin="real")])
    assert merged.action == Hold()
    assert merged.edits == ()
    assert merged.moot == (shadow,)


def test_a_placeholder_takes_the_place_of_a_whole_message() -> None:
    (decision,) = decisions_of([Finding(Kind.CONTENT, "rules", "size", action=Placeholder("too large"))], SETTINGS)
    merged = merge([decision])
    assert (merged.action, merged.edits) == (Deliver(), (ReplacePart("", "too large"),))


@pytest.mark.parametrize("action", [Delete(), Repair(), Placeholder()], ids=str)
def test_a_part_action_on_the_whole_message_drops_it(action: Action) -> None:
    (decision,) = decisions_of([Finding(Kind.INFECTED, "av", "virus", action=action)], SETTINGS)
    assert merge([decision]).action == Drop()


@pytest.mark.parametrize(
    ("action", "edits"),
    [
        (Delete(), (DeletePart("1.2"),)),
        (Repair(), (DeletePart("1.2"),)),
        (Placeholder("gone"), (ReplacePart("1.2", "gone"),)),
        (Tag("[x]", (("X-A", "1"),)), (PrefixSubject("[x]"), AddHeader("X-A", "1"))),
        (Tag(), ()),
        (Hold(), ()),
    ],
    ids=str,
)
def test_the_action_of_a_finding_becomes_edits(action: Action, edits: tuple[object, ...]) -> None:
    finding = Finding(Kind.CONTENT, "content", "rule", "1.2", name="x", action=action)
    (decision,) = decisions_of([finding], SETTINGS)
    assert (decision.action, decision.edits, decision.findings) == (action, edits, (finding,))
    assert (decision.plugin, decision.reason) == ("content", "rule: x")


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (Kind.INFECTED, Drop()),
        (Kind.UNCHECKED, Hold()),
        (Kind.ENCRYPTED, Hold()),
        (Kind.LIMIT, Drop()),
        (Kind.AMBIGUOUS, Hold()),
        (Kind.NOTE, None),
        (Kind.SUSPICIOUS, None),
        (Kind.MALFORMED, None),
    ],
)
def test_a_finding_without_action_has_that_of_its_kind(kind: Kind, action: Action | None) -> None:
    decisions = decisions_of([Finding(kind, "core", "rule")], SETTINGS)
    assert [decision.action for decision in decisions] == ([action] if action else [])


def test_what_a_plugin_has_settled_needs_no_default() -> None:
    finding = Finding(Kind.INFECTED, "av", "virus", "1")
    assert decisions_of([finding], SETTINGS, [finding]) == []


def test_the_decision_of_a_shadow_finding_is_a_shadow() -> None:
    (decision,) = decisions_of([Finding(Kind.LIMIT, "p", "r", shadow=True)], SETTINGS)
    assert decision.shadow
