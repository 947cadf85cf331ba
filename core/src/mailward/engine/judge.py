"""The judge: takes a message through the scan hooks and makes its verdict.

    walk the tree, depth first: unpack → scan_part · scan_message · disposition → merge

Where several policies share an instance, a call is made once and its result used for all of them,
unless the implementation read the envelope: then each copy gets a call of its own. Where it read the
findings so far, copies share it of which the same is known. Copies of a policy without a check are left
out of all of it (KAV-GRP-06): they are recorded as filtered, not as clean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Any

from attrs import evolve

from mailward.engine.caller import Caller, Outcome, failure_finding
from mailward.engine.instance import Instance
from mailward.engine.merge import decisions_of, merge
from mailward.engine.policy import Policies, Policy
from mailward.hooks.markers import HookInfo
from mailward.hooks.scan import Scan, filtered_paths
from mailward.mime import CONTAINER_TYPES, EditError, Message, Part, PartKind, resolve, unpack_binhex, unpack_zip
from mailward.values.action import Defer, Drop, Reject
from mailward.values.decision import Call, Copy, Decision, Verdict
from mailward.values.envelope import Envelope
from mailward.values.errors import ScanError
from mailward.values.finding import Finding, Kind

Unpacker = Callable[[Part], Iterable[Any] | None]
BUILT_IN_UNPACKERS: dict[str, Unpacker] = {
    "application/zip": unpack_zip,
    "application/mac-binhex40": unpack_binhex,
}
"""The readers of the core and the containers that they open; they find their own in other content too."""
CORE = "core"
_WITHOUT_CONTENT = (Reject, Defer, Drop)


class _Draft:
    """A copy in the making: its policy, its scan object and what was found for it."""

    __slots__ = ("decisions", "envelope", "found", "policy", "scan")

    def __init__(self, policy: Policy, envelope: Envelope, message: Message) -> None:
        self.policy = policy
        self.envelope = envelope
        self.found: list[Finding] = list(envelope.findings)
        if not policy.check:
            detail = f"policy {policy.name} has check = false"
            self.found.append(Finding(Kind.FILTERED, CORE, "check", detail=detail))
        self.decisions: list[Decision] = []
        self.scan = Scan(envelope, message, self.found)


def _sharers(waiting: list[_Draft]) -> list[_Draft]:
    """The drafts that the result of a call for the first of them holds for."""
    first = waiting[0]
    if first.scan.envelope_read:
        return waiting[:1]
    if first.scan.findings_read:
        return [draft for draft in waiting if draft.found == first.found]
    if first.scan.filtered_read:
        filtered = filtered_paths(first.found)
        return [draft for draft in waiting if filtered_paths(draft.found) == filtered]
    return waiting


class _Work:
    """One message in judgement."""

    def __init__(self, caller: Caller, hooks: dict[str, HookInfo], drafts: list[_Draft], deadline_at: float) -> None:
        self._caller = caller
        self._hooks = hooks
        self.drafts = drafts
        self._deadline_at = deadline_at
        self._spent: dict[tuple[str, str], float] = {}
        self._failures: list[Call] = []

    def instances(self, hook: str) -> Iterator[tuple[Instance, list[_Draft]]]:
        """Each instance with ``hook`` that any copy uses, with the drafts that use it, in configuration order."""
        if len(self.drafts) == 1:
            yield from ((instance, self.drafts) for instance in self.drafts[0].policy.implementing(hook))
            return
        users: dict[int, tuple[Instance, list[_Draft]]] = {}
        for of_one_plugin in zip(*(draft.policy.instances for draft in self.drafts), strict=True):
            for draft, instance in zip(self.drafts, of_one_plugin, strict=True):
                if instance.implements(hook):
                    users.setdefault(id(instance), (instance, []))[1].append(draft)
        yield from users.values()

    async def ask(
        self, instance: Instance, hook: str, arguments: dict[str, Any], part: str = "", collect: Any = None
    ) -> Outcome:
        remaining_s = self._deadline_at - monotonic()
        if remaining_s <= 0:
            raise ScanError("deadline", f"before {instance.name}.{hook}")
        outcome = await self._caller.ask(
            instance, self._hooks[hook], arguments, part=part, remaining_s=remaining_s, collect=collect
        )
        key = (instance.name, hook)
        self._spent[key] = self._spent.get(key, 0.0) + outcome.call.elapsed_ms
        if outcome.failed:
            self._failures.append(outcome.call)
        return outcome

    async def find(
        self, instance: Instance, users: list[_Draft], hook: str, arguments: dict[str, Any], part: str = ""
    ) -> None:
        """Ask a finding hook for all drafts that use the instance, sharing the call where that is right."""
        waiting = users
        while waiting:
            scan = waiting[0].scan
            scan.envelope_read = scan.findings_read = scan.filtered_read = False
            outcome = await self.ask(instance, hook, {**arguments, "scan": scan}, part)
            shares = _sharers(waiting)
            findings = (failure_finding(instance, outcome.call),) if outcome.failed else outcome.answers
            for draft in shares:
                draft.found.extend(findings)
            waiting = [draft for draft in waiting if draft not in shares]

    def calls(self) -> tuple[Call, ...]:
        """The record of calls: time spent by plugin and hook, and each failure by itself."""
        spent = (Call(plugin, hook, round(ms, 3)) for (plugin, hook), ms in self._spent.items())
        return (*spent, *self._failures)


class Judge:
    """Makes verdicts; holds no state of a message."""

    def __init__(self, caller: Caller, hooks: dict[str, HookInfo], policies: Policies) -> None:
        self._caller = caller
        self._hooks = hooks
        self._policies = policies

    async def judge(self, envelope: Envelope, message: Message, deadline_s: float = 60.0) -> Verdict:
        """The verdict on a message. Raises ScanError where the deadline passes."""
        started = monotonic()
        drafts = [_Draft(policy, part, message) for policy, part in self._policies.split(envelope)]
        checked = [draft for draft in drafts if draft.policy.check]
        work = _Work(self._caller, self._hooks, checked, started + deadline_s)
        paths = await self._look(work, message) if checked else ()
        copies = tuple(_copy(draft, message) for draft in drafts)
        return Verdict(envelope.id, copies, work.calls(), round((monotonic() - started) * 1000, 3), paths)

    async def _look(self, work: _Work, message: Message) -> tuple[str, ...]:
        """Ask the scan hooks for the copies that are checked; the paths of all parts."""
        paths = await self._parts(work, message)
        for draft in work.drafts:
            draft.found.extend(message.defects)
        for instance, users in work.instances("scan_message"):
            await work.find(instance, users, "scan_message", {"message": message})
        for draft in work.drafts:
            await self._dispose(work, draft, message)
        return paths

    async def _parts(self, work: _Work, message: Message) -> tuple[str, ...]:
        unpackers = list(work.instances("unpack"))
        scanners = list(work.instances("scan_part"))
        paths: list[str] = []
        for part in message.walk():
            paths.append(part.path)
            # A text with uuencode blocks may hold files in other forms beside them.
            if all(child.kind is PartKind.ENCODED for child in part.children):
                await self._unpack(work, unpackers, message, part)
            for instance, users in scanners:
                await work.find(instance, users, "scan_part", {"part": part}, part.path)
        return tuple(paths)

    async def _unpack(
        self, work: _Work, unpackers: list[tuple[Instance, list[_Draft]]], message: Message, part: Part
    ) -> None:
        """Have the first plugin that can, else a built-in reader, add the members of a container."""
        found: list[Finding] = []

        def take(members: Any) -> tuple[bool, ...]:
            if members is None:
                return ()
            found.extend(message.add_members(part, members))
            return (True,)

        opened = False
        for instance, users in unpackers:
            if instance.shadow:  # the others would see what it opens
                continue
            before = len(found)
            arguments = {"part": part, "scan": users[0].scan}
            outcome = await work.ask(instance, "unpack", arguments, part.path, take)
            found[before:] = [f if f.plugin == CORE else evolve(f, plugin=instance.name) for f in found[before:]]
            if outcome.failed:
                found.append(failure_finding(instance, outcome.call))
            opened = bool(outcome.answers)
            if opened:
                break
        kind = part.detected_type
        is_foreign = kind in CONTAINER_TYPES and kind not in BUILT_IN_UNPACKERS
        if not opened:
            opened = any(take(reader(part)) for reader in BUILT_IN_UNPACKERS.values()) and not is_foreign
        elif kind not in BUILT_IN_UNPACKERS:
            # Two archives in one, or one behind a document: which of them is opened depends on the client.
            take(unpack_zip(part))
        if not opened and kind in CONTAINER_TYPES:
            detail = f"no reader for {kind}"
            found.append(Finding(Kind.UNCHECKED, CORE, "unopened", part.path, kind, detail=detail))
        for draft in work.drafts:
            draft.found.extend(found)

    async def _dispose(self, work: _Work, draft: _Draft, message: Message) -> None:
        for instance in draft.policy.implementing("disposition"):
            arguments = {"message": message, "findings": tuple(draft.found), "scan": draft.scan}
            outcome = await work.ask(instance, "disposition", arguments)
            if outcome.failed:
                draft.found.append(failure_finding(instance, outcome.call))
            draft.decisions.extend(outcome.answers)


def _copy(draft: _Draft, message: Message) -> Copy:
    settled = [finding for decision in draft.decisions if not decision.shadow for finding in decision.findings]
    decisions = [*decisions_of(draft.found, draft.policy.disposition, settled), *draft.decisions]
    merged = merge(decisions)
    copy = Copy(
        draft.policy.name,
        draft.envelope.recipients,
        merged.action,
        merged.decided_by,
        tuple(draft.found),
        moot=merged.moot,
    )
    if not merged.edits or isinstance(merged.action, _WITHOUT_CONTENT):
        return copy
    try:
        return evolve(copy, splices=resolve(message, merged.edits))
    except EditError as error:
        finding = Finding(Kind.FAILURE, "core", "edit", name="edit", detail=str(error), action=Defer())
        decided = Decision(Defer(), (), (finding,), "core", f"edit: {error}")
        return evolve(copy, action=Defer(), decided_by=decided, findings=(*copy.findings, finding))
