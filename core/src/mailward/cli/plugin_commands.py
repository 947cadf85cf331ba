"""Commands that plugins add to ``mailward``: found through the configuration, like the plugins themselves.

Plugins are loaded only where the command line names a command that is none of the core's, or asks for help.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailward.cli.options import config_option
from mailward.values.errors import ConfigError, MailwardError, PluginLoadError

if TYPE_CHECKING:
    from mailward.engine.config import Config
    from mailward.engine.loader import Found

_OPTIONS = ("-c", "--config")


def config_path(words: Sequence[str]) -> Path | None:
    """The configuration that a command line names, wherever ``-c`` stands in it; else that of the environment."""
    for place, word in enumerate(words):
        if word == "--":
            break
        if word in _OPTIONS:
            return Path(words[place + 1]) if place + 1 < len(words) else None
        if word.startswith("--config="):
            return Path(word.removeprefix("--config="))
        if word.startswith("-c") and not word.startswith("--"):
            return Path(word[2:])
    named = os.environ.get("MAILWARD_CONFIG")
    return Path(named) if named else None


def plugin_commands(words: Sequence[str], taken: Sequence[str]) -> dict[str, click.Command]:
    """The commands of the enabled plugins by name. ``taken``: names that are the core's.

    Raises ConfigError, and MailwardError where a plugin's command has a name that is taken.
    """
    from mailward.engine.config import load_config
    from mailward.engine.loader import find

    config = load_config(config_path(words))
    commands: dict[str, click.Command] = {}
    for listed in config.plugins:
        try:
            found = find(listed, config.base)
        except PluginLoadError:
            continue  # `mailward check` and `mailward plugins` tell of it
        for command in found.kind.commands():
            name = command.name or ""
            if name in taken or name in commands:
                raise MailwardError(f"plugin {found.name!r} offers the command {name!r}, which is there already")
            commands[name] = _prepared(command, config, found)
    return commands


def help_rows(words: Sequence[str], taken: Sequence[str]) -> dict[str, click.Command]:
    """The same for the list of commands; where the configuration is wrong, the commands of the core are enough."""
    try:
        return plugin_commands(words, taken)
    except (ConfigError, MailwardError):
        return {}


def _prepared(command: click.Command, config: Config, found: Found) -> click.Command:
    """The command with its desk as the object of its context, and with ``-c`` at every level."""
    for one in _tree(command):
        if not any(set(parameter.opts) & set(_OPTIONS) for parameter in one.params):
            _take_config(one)
    begin = command.make_context

    def make_context(*arguments: Any, **keywords: Any) -> click.Context:
        return begin(*arguments, **{"obj": desk(config, found), **keywords})

    command.make_context = update_wrapper(make_context, begin)  # type: ignore[method-assign]
    return command


def _tree(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from _tree(below)


def _take_config(command: click.Command) -> None:
    """The option is read beforehand, by `config_path`; here it is only accepted and explained."""

    @config_option
    def holder(config: Path | None) -> None:
        raise NotImplementedError

    for parameter in holder.__click_params__:  # type: ignore[attr-defined]
        parameter.expose_value = False
        command.params.append(parameter)


def desk(config: Config, found: Found) -> Any:
    """Settings and context of a plugin. Raises ConfigError."""
    from mailward.engine.config import COMMON_KEYS
    from mailward.engine.convert import structure
    from mailward.hooks.context import Context
    from mailward.hooks.desk import Desk
    from mailward.hooks.log import get_logger
    from mailward.hooks.plugin import settings_type

    section = {key: value for key, value in config.section(found.name).items() if key not in COMMON_KEYS}
    settings = structure(settings_type(found.kind), section, found.name, config.source)
    context = Context(
        name=found.name,
        hostname=config.core.gateway.hostname,
        base=config.base,
        state=config.state,
        log=get_logger().bind(plugin=found.name),
    )
    return Desk(settings, context)
