"""The gateway's hooks: connection and envelope decisions, locality, route, deliver."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen

from mailward.engine.caller import Caller, failure_finding
from mailward.engine.instance import Instance
from mailward.engine.policy import Policies
from mailward.hooks.markers import HookInfo
from mailward.values.action import Defer
from mailward.values.decision import Call
from mailward.values.delivery import Delivery, NextHop, Result, Status
from mailward.values.envelope import MessageInfo, Recipient, Sender, Session
from mailward.values.errors import NoRoute, PluginFault
from mailward.values.event import Event, PluginFailed
from mailward.values.finding import Finding, Kind
from mailward.values.reply import LOCAL_ERROR, Reply

CLOSING = Reply(421, "4.3.0", "Temporary local problem, try again later")
NO_ROUTE = Reply(550, "5.4.4", "No route to the recipient's domain")


@frozen
class Ruling:
    """What the plugins said to a connection or envelope stage: a refusal with its author, or findings."""

    reply: Reply | None = None
    plugin: str = ""
    rule: str = ""
    findings: tuple[Finding, ...] = ()


_NOTHING = Ruling()


class Gate:
    """Asks the gateway hooks. Failures become what the plugin's on_failure says, and an event."""

    def __init__(
        self, caller: Caller, hooks: dict[str, HookInfo], policies: Policies, emit: Callable[[Event], None]
    ) -> None:
        self._caller = caller
        self._hooks = hooks
        self._policies = policies
        self._emit = emit
        self._default = {name: policies.default.implementing(name) for name in hooks}

    async def connect(self, session: Session) -> Ruling:
        """Ask `connect`; a failing plugin that defers closes the connection with 421."""
        ruling = await self._decide("connect", self._default["connect"], {"session": session})
        return (
            ruling if ruling.reply is not LOCAL_ERROR else Ruling(CLOSING, ruling.plugin, ruling.rule, ruling.findings)
        )

    async def helo(self, session: Session, name: str) -> Ruling:
        """Ask `helo`."""
        return await self._decide("helo", self._default["helo"], {"session": session, "name": name})

    async def authenticate(self, session: Session, user: str, password: str) -> bool | None:
        """Ask `authenticate`; None where no plugin answers. Raises PluginFault where one failed: nobody gets in."""
        arguments = {"session": session, "user": user, "password": password}
        answers = await self._first("authenticate", self._default["authenticate"], arguments)
        return answers[0] if answers else None

    async def mail_from(self, session: Session, sender: Sender) -> Ruling:
        """Ask `mail_from`."""
        return await self._decide("mail_from", self._default["mail_from"], {"session": session, "sender": sender})

    async def rcpt_to(self, session: Session, sender: Sender, recipient: Recipient) -> Ruling:
        """Ask `rcpt_to`, by the policy of this sender and recipient."""
        instances = self._instances("rcpt_to", sender, recipient)
        return await self._decide("rcpt_to", instances, {"session": session, "sender": sender, "recipient": recipient})

    async def data(self, session: Session, message: MessageInfo) -> Ruling:
        """Ask `data`."""
        return await self._decide("data", self._default["data"], {"session": session, "message": message})

    async def locality(self, recipient: Recipient) -> bool | None:
        """Ask `locality`; None where no plugin answers."""
        answers = await self._first("locality", self._default["locality"], {"recipient": recipient}, swallow=True)
        return answers[0] if answers else None

    async def route(self, recipient: Recipient, message: MessageInfo) -> tuple[NextHop, ...]:
        """Ask `route`. Raises NoRoute where no plugin has one, PluginFault where one failed, and
        DnsFault where a plugin let it rise: the last two are temporary."""
        instances = self._instances("route", message.envelope.sender, recipient)
        hops = await self._first("route", instances, {"recipient": recipient, "message": message})
        if not hops:
            raise NoRoute(NO_ROUTE)
        return hops

    async def deliver(self, delivery: Delivery) -> tuple[Result, ...]:
        """Ask `deliver`; every recipient has exactly one result. Shadow plugins are not asked: they would deliver."""
        arguments = {"delivery": delivery}
        instances = tuple(instance for instance in self._default["deliver"] if not instance.shadow)
        try:
            results = await self._first("deliver", instances, arguments, timeout_s=float("inf"))
        except PluginFault as error:
            return tuple(Result(r, Status.DEFERRED, detail=error.failure) for r in delivery.recipients)
        if results is None:
            detail = f"no plugin delivers by {delivery.next_hop.transport!r}"
            return tuple(Result(r, Status.DEFERRED, detail=detail) for r in delivery.recipients)
        by_recipient = {result.recipient: result for result in results}
        return tuple(by_recipient.get(r, Result(r, Status.DEFERRED, detail="no result")) for r in delivery.recipients)

    def _instances(self, hook: str, sender: Sender, recipient: Recipient) -> tuple[Instance, ...]:
        if not self._policies.named:
            return self._default[hook]
        return self._policies.of(sender.address, recipient.address).implementing(hook)

    async def _decide(self, hook: str, instances: Iterable[Instance], arguments: dict[str, Any]) -> Ruling:
        found: list[Finding] = []
        for instance in instances:
            outcome = await self._caller.ask(instance, self._hooks[hook], arguments)
            if outcome.failed:
                finding = self._failed(instance, outcome.call)
                found.append(finding)
                if isinstance(finding.action, Defer) and not finding.shadow:
                    return Ruling(LOCAL_ERROR, instance.name, "failure", tuple(found))
                continue
            for answer in outcome.answers:
                if isinstance(answer, Finding):
                    found.append(answer)
                elif answer.refuses and not instance.shadow:
                    return Ruling(answer, instance.name, hook, tuple(found))
                elif answer.refuses:
                    found.append(Finding(Kind.REFUSED, instance.name, hook, name=str(answer), shadow=True))
        return Ruling(findings=tuple(found)) if found else _NOTHING

    async def _first(
        self,
        hook: str,
        instances: Iterable[Instance],
        arguments: dict[str, Any],
        *,
        swallow: bool = False,
        timeout_s: float | None = None,
    ) -> tuple[Any, ...] | None:
        """The first answer that is not None; a failure ends the asking unless ``swallow``."""
        answered = None
        for instance in instances:
            try:
                outcome = await self._caller.ask(instance, self._hooks[hook], arguments, timeout_s=timeout_s)
            except self._hooks[hook].raises:
                if instance.shadow:
                    continue
                raise
            if outcome.failed:
                self._failed(instance, outcome.call)
                if not swallow and not instance.shadow:
                    raise PluginFault(outcome.call.failure, outcome.call.detail)
            elif outcome.answers and not instance.shadow:
                answered = outcome.answers
                break
        return answered

    def _failed(self, instance: Instance, call: Call) -> Finding:
        self._emit(PluginFailed(call=call, applied=instance.applied_on_failure))
        return failure_finding(instance, call)
