"""Policies: which instances judge which recipients."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from attrs import evolve, field, frozen

from mailward.engine.bridge import fault
from mailward.engine.config import COMMON_KEYS, CommonSettings, Config, PolicySection, settings_key
from mailward.engine.convert import structure
from mailward.engine.core_settings import CoreSettings, DispositionSettings
from mailward.engine.instance import Instance
from mailward.engine.loader import Found, available, find
from mailward.engine.registry import Registry
from mailward.hooks.context import Context
from mailward.hooks.plugin import settings_type
from mailward.values.address import Address
from mailward.values.envelope import Envelope, Recipient
from mailward.values.errors import ConfigError, PluginLoadError, Problem

DEFAULT = "default"


@frozen(eq=False)
class Policy:
    """A policy with its instances, in configuration order."""

    name: str
    section: PolicySection | None
    instances: tuple[Instance, ...]
    disposition: DispositionSettings

    _implementing: dict[str, tuple[Instance, ...]] = field(factory=dict, init=False, repr=False)

    def implementing(self, hook: str) -> tuple[Instance, ...]:
        """The instances that have ``hook``, in configuration order."""
        found = self._implementing.get(hook)
        if found is None:
            found = tuple(instance for instance in self.instances if instance.implements(hook))
            self._implementing[hook] = found
        return found

    @property
    def check(self) -> bool:
        """Whether the content of its mail is looked at, or delivered as it came (KAV-GRP-06)."""
        return self.section is None or self.section.check

    @property
    def by_locality(self) -> bool:
        """Whether recipients in the house need another copy than the others do."""
        return self.check and any(instance.plugin.by_locality for instance in self.instances)


@frozen(eq=False)
class Policies:
    """All policies: those of the file in file order, and the default."""

    default: Policy
    named: tuple[Policy, ...]
    found: tuple[Found, ...]

    @property
    def all(self) -> tuple[Policy, ...]:
        """The default policy and the named ones."""
        return (self.default, *self.named)

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Every distinct instance once, in configuration order."""
        return tuple({id(i): i for policy in self.all for i in policy.instances}.values())

    def of(self, sender: Address, recipient: Address) -> Policy:
        """The first policy in file order that covers this pair, else the default (KAV-GRP-04)."""
        for policy in self.named:
            if policy.section is not None and policy.section.covers(sender, recipient):
                return policy
        return self.default

    def split(self, envelope: Envelope) -> tuple[tuple[Policy, Envelope], ...]:
        """The copies of a message: its recipients by policy, in the order they were first met (KAV-GRP-05).

        Where a plugin tells recipients in the house from others, each side has a copy of its own.
        """
        if not self.named and not self.default.by_locality:
            return ((self.default, envelope),)
        groups: dict[tuple[int, bool], tuple[Policy, list[Recipient]]] = {}
        for recipient in envelope.recipients:
            policy = self.of(envelope.sender.address, recipient.address)
            inside = policy.by_locality and recipient.local is True
            groups.setdefault((id(policy), inside), (policy, []))[1].append(recipient)
        if not groups:
            return ((self.default, envelope),)
        return tuple((policy, envelope.only(tuple(members))) for policy, members in groups.values())


def build_policies(config: Config, registry: Registry, context: Callable[[str], Context]) -> Policies:
    """Load the plugins of the list and build one instance for each distinct set of settings.

    ``context`` makes the context of a plugin from its name. Raises ConfigError with every problem.
    """
    problems: list[Problem] = []
    found: list[Found] = []
    for name in config.plugins:
        try:
            found.append(find(name, config.base))
        except PluginLoadError as error:
            problems.append(Problem("plugins", str(error)))
    problems += _clashes(found)
    problems += _unknown_sections(config, [f.name for f in found]) if not problems else []
    if problems:
        raise ConfigError(config.source, problems)
    builder = _Builder(config, registry, context)
    default = builder.policy(DEFAULT, None, found)
    named = tuple(builder.policy(section.name, section, found) for section in config.policies)
    if builder.problems:
        raise ConfigError(config.source, builder.problems)
    return Policies(default, named, tuple(found))


def _clashes(found: Sequence[Found]) -> list[Problem]:
    """Plugins whose section belongs to the core or to another plugin of the list."""
    sections = ("policy", "listener", *(field.name for field in attrs.fields(CoreSettings)))
    taken = dict.fromkeys(sections, "the core")
    problems: list[Problem] = []
    for one in found:
        if one.name in taken:
            text = f"would have the section [{one.name}], which is that of {taken[one.name]}; rename one of them"
            problems.append(Problem("plugins", text, repr(one.origin)))
        taken[one.name] = repr(one.origin)
    return problems


def _unknown_sections(config: Config, names: Sequence[str]) -> list[Problem]:
    """Tables that belong to nobody; those of installed plugins that are not enabled are no error."""
    known = {*names, "disposition"}
    stray = [
        Problem(f"policy.{p.name}.{s}", "is no enabled plugin")
        for p in config.policies
        for s in p.overrides
        if s not in known
    ]
    sections = sorted({*names, *(field.name for field in attrs.fields(CoreSettings))})
    installed = available() if any(s not in known for s in config.sections) else {}
    return stray + [
        Problem(
            s,
            "is no section of the core and no enabled plugin",
            allowed=", ".join(sections),
            nearest=next(iter(difflib.get_close_matches(s, sections, 1)), ""),
        )
        for s in config.sections
        if s not in known and s not in installed
    ]


class _Builder:
    """Builds instances, each distinct set of settings once."""

    def __init__(self, config: Config, registry: Registry, context: Callable[[str], Context]) -> None:
        self._config = config
        self._registry = registry
        self._context = context
        self._built: dict[str, Instance] = {}
        self.problems: list[Problem] = []

    def policy(self, name: str, section: PolicySection | None, found: Sequence[Found]) -> Policy:
        instances: list[Instance] = []
        for one in found:
            try:
                instances.append(self._instance(one, section))
            except ConfigError as error:
                self.problems += [p for p in error.problems if p not in self.problems]
        try:
            disposition = self._config.disposition(section)
        except ConfigError as error:
            self.problems += error.problems
            disposition = self._config.core.disposition
        return Policy(name, section, tuple(instances), disposition)

    def _instance(self, found: Found, section: PolicySection | None) -> Instance:
        table = self._config.section(found.name, section)
        key = settings_key(found.name, table)
        if key not in self._built:
            overridden = section is not None and found.name in section.overrides
            where = f"policy.{section.name}.{found.name}" if section and overridden else found.name
            self._built[key] = self._build(found, table, where, key)
        return self._built[key]

    def _build(self, found: Found, table: dict[str, Any], where: str, key: str) -> Instance:
        source = self._config.source
        common = structure(CommonSettings, {k: v for k, v in table.items() if k in COMMON_KEYS}, where, source)
        own = {k: v for k, v in table.items() if k not in COMMON_KEYS}
        timeout_s = common.timeout_s or found.kind.timeout_s
        label = where if where == found.name else f"{found.name}@{where}"
        try:
            settings = structure(settings_type(found.kind), own, where, source)
            plugin = found.kind(settings, evolve(self._context(found.name), timeout_s=timeout_s, shadow=common.shadow))
            implementations = self._registry.register(plugin, label)
        except ConfigError:
            raise
        except (ValueError, PluginLoadError) as error:
            raise ConfigError(source, [Problem(where, str(error))]) from error
        except Exception as error:  # the isolation boundary of plugins
            raise ConfigError(source, [Problem(where, f"cannot be built: {fault(error).detail}")]) from error
        return Instance(
            found.name,
            plugin,
            common.on_failure or found.kind.on_failure,
            timeout_s,
            common.shadow,
            implementations,
            key,
        )
