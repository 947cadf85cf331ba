"""The engine: the whole of Mailward but sockets and the queue.

engine = Engine.from_config("mailward.toml")
async with engine:
    verdict = await engine.judge(Envelope(), raw)
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import TracebackType
from typing import Self

from mailward.engine.bridge import Bridge, ThreadBridge
from mailward.engine.caller import Caller, Progress
from mailward.engine.config import Config, load_config
from mailward.engine.diagnostics import conversation_log
from mailward.engine.events import EventBus, Listener
from mailward.engine.gate import Gate
from mailward.engine.instance import Instance
from mailward.engine.judge import Judge
from mailward.engine.policy import Policies, build_policies
from mailward.engine.registry import Registry
from mailward.hooks.clock import Clock
from mailward.hooks.context import Context
from mailward.hooks.log import get_logger
from mailward.hooks.markers import Place
from mailward.hooks.ourselves import Ourselves
from mailward.hooks.resolver import Resolver
from mailward.hooks.tally import Tally
from mailward.mime import Message
from mailward.values.check import Check
from mailward.values.decision import Verdict
from mailward.values.envelope import Envelope
from mailward.values.errors import ConfigError, Problem
from mailward.values.event import Event, PluginFailed


class Engine:
    """Plugins, policies and the hooks, ready to be asked.

    ``gate`` asks the hooks that answer the client and deliver; `judge` asks those that look into
    content. ``place`` is told to the plugins: the gateway and the scan processes each have an
    engine of their own, an embedding program has one for both.
    """

    def __init__(
        self,
        config: Config,
        *,
        place: Place = Place.BOTH,
        bridge: Bridge | None = None,
        progress: Progress | None = None,
        clock: Clock | None = None,
        tally: Tally | None = None,
    ) -> None:
        self.config = config
        self.place = place
        self.clock = clock or Clock()
        self.tally = tally or Tally()
        self.resolver = Resolver(config.core.dns.servers, config.core.dns.timeout_s)
        self.ourselves = Ourselves(self.hostname)
        self._conversations = conversation_log(config, "outbound", self.clock.time)
        self._bridge = bridge or ThreadBridge()
        caller = Caller(self._bridge, progress) if progress else Caller(self._bridge)
        self._caller = caller
        self._registry = Registry()
        self.bus = EventBus(caller, self._registry.hooks["event"], self.clock)
        self.policies: Policies = build_policies(config, self._registry, self._context)
        self.gate = Gate(caller, self._registry.hooks, self.policies, self.emit)
        self._judge = Judge(caller, self._registry.hooks, self.policies)

    @classmethod
    def from_config(cls, path: str | Path | None = None) -> Self:
        """An engine for a configuration file (None: the built-in defaults). Raises ConfigError."""
        return cls(load_config(Path(path) if path is not None else None))

    @property
    def hostname(self) -> str:
        """The name of this gateway."""
        return self.config.core.gateway.hostname

    def emit(self, event: Event) -> None:
        """Tell the observers; never blocks."""
        self.bus.emit(event)

    def listen(self, listener: Listener) -> None:
        """Have a function of the embedding program called with every event."""
        self.bus.listen(listener)

    async def start(self) -> None:
        """Start the plugins in order. Raises ConfigError where one cannot; those before it are stopped."""
        info = self._registry.hooks["start"]
        for place, instance in enumerate(self.policies.instances):
            if not instance.implements("start"):
                continue
            outcome = await self._caller.ask(instance, info, {})
            if outcome.failed:
                await self._stop(self.policies.instances[:place])
                raise ConfigError(
                    self.config.source, [Problem(instance.name, f"does not start: {outcome.call.detail}")]
                )
        # scan processes have no observers: what is to be told travels to the gateway with the verdict
        observed = self.place is not Place.SCAN
        self.bus.start(tuple(i for i in self.policies.instances if observed and i.implements("event")))

    async def stop(self) -> None:
        """Tell observers what is left, then stop the plugins in reverse order."""
        await self.bus.stop()
        await self._stop(self.policies.instances)

    async def _stop(self, started: tuple[Instance, ...]) -> None:
        info = self._registry.hooks["stop"]
        for instance in reversed(started):
            if instance.implements("stop"):
                outcome = await self._caller.ask(instance, info, {})
                if outcome.failed:
                    get_logger().error("plugin did not stop", plugin=instance.name, detail=outcome.call.detail)
        if isinstance(self._bridge, ThreadBridge):
            self._bridge.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def reload(self) -> None:
        """Have every plugin read again what its settings point at."""
        info = self._registry.hooks["reload"]
        for instance in self.policies.instances:
            if instance.implements("reload"):
                outcome = await self._caller.ask(instance, info, {})
                if outcome.failed:
                    self.emit(PluginFailed(call=outcome.call, applied="kept what it had"))

    async def check(self) -> tuple[Check, ...]:
        """Ask every plugin whether what it depends on is there; call it between `start` and `stop`."""
        found: list[Check] = []
        info = self._registry.hooks["check"]
        for instance in self.policies.instances:
            if instance.implements("check"):
                outcome = await self._caller.ask(instance, info, {})
                found.extend(outcome.answers)
                if outcome.failed:
                    detail = f"{outcome.call.failure}: {outcome.call.detail}"
                    found.append(Check("check", False, detail, "this is a fault of the plugin", plugin=instance.name))
        return tuple(found)

    async def judge(
        self, envelope: Envelope, message: Message | bytes | Path, deadline_s: float | None = None
    ) -> Verdict:
        """The verdict on a message, given as tree, raw bytes or file.

        The content is opened in this process; the gateway uses scan processes instead. Raises
        ScanError where it takes longer than ``deadline_s`` (None: ``scan.deadline_s``), OSError where
        a file cannot be read.
        """
        if deadline_s is None:
            deadline_s = self.config.core.scan.deadline_s
        if isinstance(message, Message):
            verdict = await self._judge.judge(envelope, message, deadline_s)
        else:
            with await asyncio.to_thread(self._open, message) as tree:
                verdict = await self._judge.judge(envelope, tree, deadline_s)
        self.report(verdict)
        return verdict

    def scan_identity(self) -> str:
        """What verdicts depend on, as a text that is equal for engines that judge alike.

        It is made from the plugins with scan hooks (versions, settings, deadlines), the policies, the
        limits and the dispositions, and holds their settings: not for the log.
        """
        core = self.config.core
        policies = [
            (
                policy.name,
                repr(policy.section),
                repr(policy.disposition),
                [_known(i) for i in policy.instances if _scans(i)],
            )
            for policy in self.policies.all
        ]
        return json.dumps([policies, repr(core.limits)])

    def report(self, verdict: Verdict) -> None:
        """Emit an event for each plugin failure that a verdict records."""
        for call in verdict.calls:
            if call.failure:
                applied = next((i.applied_on_failure for i in self.policies.instances if i.name == call.plugin), "")
                self.emit(PluginFailed(call=call, applied=applied, message_id=verdict.id))

    def _open(self, message: bytes | Path) -> Message:
        limits = self.config.core.limits
        if isinstance(message, bytes):
            return Message.from_bytes(message, limits)
        return Message.from_file(message, limits)

    def _context(self, name: str) -> Context:
        return Context(
            name=name,
            place=self.place,
            hostname=self.hostname,
            sole=not any(name in policy.overrides for policy in self.config.policies),
            base=self.config.base,
            state=self.config.state,
            resolver=self.resolver,
            clock=self.clock,
            emit=self.emit,
            log=get_logger().bind(plugin=name),
            tally=self.tally,
            conversations=self._conversations,
            first_retry_s=self.config.core.delivery.retry_first_s,
            ourselves=self.ourselves,
        )


_SCAN_HOOKS = ("unpack", "scan_part", "scan_message", "disposition")


def _scans(instance: Instance) -> bool:
    return any(instance.implements(hook) for hook in _SCAN_HOOKS)


def _known(instance: Instance) -> tuple[str, ...]:
    """What tells one instance from another that judges otherwise."""
    kind = type(instance.plugin)
    return (
        *(instance.name, kind.__qualname__, instance.plugin.version, repr(instance.plugin.settings)),
        *(str(instance.on_failure), str(instance.timeout_s), str(instance.shadow)),
    )
