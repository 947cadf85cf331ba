"""Combining: findings and decisions of one copy become one action, its edits, and what was moot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from mailward.engine.core_settings import DispositionSettings
from mailward.values.action import (
    RANK,
    Action,
    Deliver,
    Drop,
    Forward,
    MessageAction,
    PartAction,
)
from mailward.values.decision import Decision
from mailward.values.edit import (
    AddHeader,
    ChangeHeader,
    DeletePart,
    Edit,
    PrefixSubject,
    RemoveHeader,
    ReplaceContent,
    ReplacePart,
    edits_of,
)
from mailward.values.finding import Finding, Kind


@frozen
class Merged:
    """The outcome for one copy."""

    action: MessageAction
    decided_by: Decision | None
    edits: tuple[Edit, ...]
    moot: tuple[Decision, ...]


def default_action(finding: Finding, settings: DispositionSettings) -> Action | None:
    """The action of a finding whose plugin gave it none."""
    table: dict[Kind, Action] = {
        Kind.INFECTED: settings.infected,
        Kind.UNCHECKED: settings.unchecked,
        Kind.ENCRYPTED: settings.unchecked,
        Kind.LIMIT: settings.limit,
        Kind.AMBIGUOUS: settings.ambiguous,
    }
    return table.get(finding.kind)


def decisions_of(
    findings: Iterable[Finding], settings: DispositionSettings, settled: Sequence[Finding] = ()
) -> list[Decision]:
    """The decisions that findings carry, by their own action or by the default of their kind.

    ``settled`` are findings that a decision of a plugin names: these need no default.
    """
    made: list[Decision] = []
    for finding in findings:
        action = finding.action or (None if finding in settled else default_action(finding, settings))
        if action is not None:
            reason = (
                f"{finding.rule}: {finding.name or finding.detail}" if finding.name or finding.detail else finding.rule
            )
            made.append(
                Decision(action, edits_of(action, finding.part), (finding,), finding.plugin, reason, finding.shadow)
            )
    return made


def message_action(decision: Decision) -> MessageAction:
    """The action on the message that a decision asks for.

    A part action without an edit (it names the whole message, or a repair without content) cannot
    be carried out on a part: the message is dropped rather than delivered with what was found.
    """
    action = decision.action
    if isinstance(action, MessageAction):
        return action
    if isinstance(action, PartAction) and not decision.edits:
        return Drop()
    return Deliver()


def merge(decisions: Sequence[Decision]) -> Merged:
    """One action by rank (first in order of the list among equals), all edits, nothing of shadow plugins."""
    winner: Decision | None = None
    action: MessageAction = Deliver()
    edits: list[Edit] = []
    for decision in decisions:
        if decision.shadow:
            continue
        edits += [edit for edit in decision.edits if edit not in edits]
        wanted = message_action(decision)
        if winner is None or RANK[wanted.name] < RANK[action.name]:
            winner, action = decision, wanted
    moot = tuple(d for d in decisions if d.shadow or RANK[message_action(d).name] > RANK[action.name])
    if isinstance(action, Forward) and action.subject:
        edits = [e for e in edits if not _sets_subject(e)]
        edits += [RemoveHeader("Subject"), AddHeader("Subject", action.subject)]
    return Merged(action, winner, _compatible(edits), moot)


def _sets_subject(edit: Edit) -> bool:
    return isinstance(edit, PrefixSubject) or (isinstance(edit, ChangeHeader) and edit.name.lower() == "subject")


def _compatible(edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Of several edits of one part only the most careful stays: delete or replace before repair."""
    gone = {edit.path for edit in edits if isinstance(edit, (DeletePart, ReplacePart))}
    return tuple(e for e in edits if not (isinstance(e, ReplaceContent) and e.path in gone))
