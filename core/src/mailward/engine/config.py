"""The configuration file: TOML in, typed sections out, every problem reported with file and key."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import attrs
from attrs import field, frozen

from mailward.engine.convert import read, structure
from mailward.engine.core_settings import CoreSettings, DispositionSettings, contradictions
from mailward.engine.listeners import ListenerSection, read_listeners
from mailward.hooks.failure import OnFailure
from mailward.hooks.settings import Seconds, between, setting
from mailward.values.address import Address
from mailward.values.errors import ConfigError, Problem
from mailward.values.masks import Masks

DEFAULTS = """\
# What `mailward serve` runs on when it is given no configuration file.
plugins = ["relay", "archives", "content", "antivirus"]

[gateway]
listen = ["127.0.0.1:2525"]

[relay]
allow = ["127.0.0.1", "::1"]
default = "maildir:mailward-data/maildir"

[content]
block_names = true
"""
DEFAULTS_NAME = "built-in defaults"


@frozen
class CommonSettings:
    """The keys that every plugin's section has beside its own."""

    on_failure: OnFailure | None = setting(None, help="what a failure of the plugin means: defer, unchecked or ignore")
    timeout_s: Seconds | None = setting(
        None, validator=attrs.validators.optional(between(0.001, 3600)), help="deadline of one hook call"
    )
    shadow: bool = setting(False, help="run and record, but apply nothing")


_NULL_KEYS = ("", "@")
"""What masks of senders are held against for the null sender: ``*@*`` is everybody, it included (KAV-GRP-03)."""

COMMON_KEYS = frozenset(a.name for a in attrs.fields(CommonSettings))


@frozen
class PolicySection:
    """One ``[policy.NAME]``: whom it is for, and the settings it overrides.

    A mask list that is not given matches everything; sender and recipient must both match
    (KAV-GRP-02..04). ``overrides`` maps a section's name to the keys it replaces. Where ``check`` is
    false no scan hook is asked (KAV-GRP-06).
    """

    name: str
    senders: Masks = Masks(("*",))
    recipients: Masks = Masks(("*",))
    overrides: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    check: bool = True

    def covers(self, sender: Address, recipient: Address) -> bool:
        """Whether mail of this sender to this recipient falls under the policy."""
        return self.senders.any(_NULL_KEYS if sender.is_null else sender.keys) and self.recipients.any(recipient.keys)


@frozen
class Config:
    """A configuration, read and checked as far as that goes without the plugins.

    ``source`` is the file's name for messages; ``base`` the folder that relative paths start at;
    ``listeners`` what mail is accepted on, ``sections`` the plugins' tables as they stand in the
    file; ``text`` the file itself.
    """

    source: str
    base: Path
    plugins: tuple[str, ...]
    core: CoreSettings
    sections: Mapping[str, Mapping[str, Any]]
    policies: tuple[PolicySection, ...] = ()
    listeners: tuple[ListenerSection, ...] = ()
    text: str = field(default="", repr=False)

    @property
    def state(self) -> Path:
        """The folder where everything that is kept lies."""
        return self.base / self.core.spool.path.expanduser()

    def resolve(self, path: Path) -> Path:
        """A path of the settings; a relative one starts at the folder of the configuration file."""
        return self.base / path.expanduser()

    def section(self, name: str, policy: PolicySection | None = None) -> dict[str, Any]:
        """The table of a plugin, with the overrides of a policy laid over it key by key."""
        return {**self.sections.get(name, {}), **(policy.overrides.get(name, {}) if policy else {})}

    def disposition(self, policy: PolicySection | None) -> DispositionSettings:
        """``[disposition]`` as it is for a policy; raises ConfigError where an override is wrong."""
        if policy is None or "disposition" not in policy.overrides:
            return self.core.disposition
        return structure(
            DispositionSettings, self.section("disposition", policy), f"policy.{policy.name}.disposition", self.source
        )


def load_config(path: Path | None) -> Config:
    """Read a configuration file, or the built-in defaults where ``path`` is None; raises ConfigError."""
    if path is None:
        return parse_config(DEFAULTS, DEFAULTS_NAME, Path.cwd())
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [Problem("file", f"cannot be read: {error}")]) from error
    return parse_config(text, str(path), path.resolve().parent)


def parse_config(text: str, source: str, base: Path) -> Config:
    """Read configuration text; raises ConfigError with every problem found."""
    try:
        tables = tomllib.loads(text.removeprefix("\ufeff"))  # some editors put a mark of the encoding first
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [Problem("file", f"is not TOML: {error}")]) from error
    names = tables.pop("plugins", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(source, [Problem("plugins", 'is not a list of names; allowed: ["relay", "./mine.py", …]')])
    problems: list[Problem] = [
        Problem("plugins", "is named twice", n) for n in sorted({n for n in names if names.count(n) > 1})
    ]
    policies = tables.pop("policy", {})
    named, gateway = tables.pop("listener", {}), tables.get("gateway", {})
    core: dict[str, Any] = {}
    for section in attrs.fields(attrs.resolve_types(CoreSettings)):
        try:
            core[section.name] = structure(
                cast(Any, section.type),
                _table(tables.pop(section.name, {}), section.name, source),
                section.name,
                source,
            )
        except ConfigError as error:
            problems += error.problems
    sections = {name: value for name, value in tables.items() if isinstance(value, dict)}
    problems += [_stray(name, value) for name, value in tables.items() if not isinstance(value, dict)]
    groups: list[PolicySection] = []
    for name, table in _table(policies, "policy", source).items():
        try:
            groups.append(_policy(name, _table(table, f"policy.{name}", source), source))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(source, problems)
    settings = CoreSettings(**core)
    contradictions(source, settings)
    listeners = read_listeners(settings.gateway, gateway, _table(named, "listener", source), source)
    return Config(source, base, tuple(names), settings, sections, tuple(groups), listeners, text)


def _table(value: object, key: str, source: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(source, [Problem(key, f"is not a table; write [{key}]")])
    return value


def _stray(name: str, value: object) -> Problem:
    nearest = difflib.get_close_matches(name, ["plugins", *(a.name for a in attrs.fields(CoreSettings))], 1)
    return Problem(
        name, "is not a key of the top level", repr(value), "plugins, and tables", nearest[0] if nearest else ""
    )


_POLICY_KEYS = ("senders", "recipients", "check")


def _policy(name: str, table: dict[str, Any], source: str) -> PolicySection:
    key = f"policy.{name}"
    masks: dict[str, Masks] = {}
    problems: list[Problem] = []
    for side in ("senders", "recipients"):
        if side in table:
            try:
                masks[side] = read(_listed(table[side]), Masks)
            except ValueError as error:
                problems.append(Problem(f"{key}.{side}", str(error), repr(table[side])))
    if not masks and not problems:
        problems.append(Problem(key, "has neither senders nor recipients; at least one is needed"))
    check = table.get("check", True)
    if not isinstance(check, bool):
        problems.append(Problem(f"{key}.check", "is not true or false", repr(check)))
    overrides = {section: value for section, value in table.items() if section not in _POLICY_KEYS}
    problems += [
        Problem(f"{key}.{section}", "is not a plugin's table; write it as PLUGIN.KEY = …", repr(value))
        for section, value in overrides.items()
        if not isinstance(value, dict)
    ]
    if problems:
        raise ConfigError(source, problems)
    everybody = Masks(("*",))
    return PolicySection(
        name, masks.get("senders", everybody), masks.get("recipients", everybody), overrides, check is True
    )


def _listed(value: object) -> object:
    """A list of masks as it is, and one in a text, with commas or one a line, as a list (KAV-GRP-02)."""
    if not isinstance(value, str):
        return value
    return [mask for line in value.splitlines() for one in line.split(",") if (mask := one.strip())]


def settings_key(name: str, table: Mapping[str, Any]) -> str:
    """A key that is equal for equal settings of one plugin; the order of tables counts, for it can matter."""
    return f"{name}:{json.dumps(table, default=str)}"
