"""``mailward plugins``: what is enabled, what is installed, and what can be set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click
from attrs import frozen

from mailward.cli.options import config_option, json_option
from mailward.cli.output import console, fail, print_json, table, text

if TYPE_CHECKING:
    from mailward.cli.words import Setting
    from mailward.engine.config import Config
    from mailward.engine.loader import Found
    from mailward.hooks.plugin import Plugin


@frozen
class Row:
    """What is told of one plugin; ``problem`` where it cannot be loaded."""

    name: str
    enabled: bool
    version: str = ""
    origin: str = ""
    summary: str = ""
    hooks: tuple[str, ...] = ()
    on_failure: str = ""
    timeout_s: float = 0.0
    shadow: bool = False
    settings: tuple[Setting, ...] = ()
    problem: str = ""


@click.command(short_help="List plugins, their hooks and settings.")
@click.argument("name", required=False)
@config_option
@json_option
def plugins(name: str | None, config: Path | None, as_json: bool) -> None:
    """List the plugins that the configuration enables and those that are installed besides.

    With NAME: that plugin with all its settings, types, defaults and help.

    \b
    Examples:
      mailward plugins
      mailward plugins antivirus
      mailward plugins ./house_rules.py
    """
    from mailward.engine.config import load_config

    settings = load_config(config)
    rows = list(_rows(settings, name))
    if as_json:
        print_json([attrs.asdict(row) for row in rows])
    elif name is None:
        _show_list(rows)
    elif rows[0].problem:
        fail(rows[0].problem)
    else:
        _show_one(rows[0])


def _rows(config: Config, name: str | None) -> Iterable[Row]:
    from mailward.engine.loader import available

    enabled = {_section(listed): listed for listed in config.plugins}
    if name is not None:
        yield _row(config, enabled.get(name, name), name in enabled or name in config.plugins)
        return
    for listed in config.plugins:
        yield _row(config, listed, True)
    for installed in sorted(available()):
        if installed not in enabled:
            yield _row(config, installed, False)


def _section(listed: str) -> str:
    """The name of the section that a line of the list has."""
    target, _, wanted = listed.partition(":")
    if target.endswith(".py"):
        return wanted or Path(target).stem
    return target.rpartition(".")[2]


def _row(config: Config, listed: str, enabled: bool) -> Row:
    from mailward.engine.loader import find
    from mailward.values.errors import PluginLoadError

    try:
        found = find(listed, config.base)
    except PluginLoadError as error:
        return Row(listed, enabled, problem=str(error))
    return _described(config, found, enabled)


def _described(config: Config, found: Found, enabled: bool) -> Row:
    from mailward.cli.words import settings_of
    from mailward.engine.config import COMMON_KEYS, CommonSettings
    from mailward.engine.convert import structure
    from mailward.hooks.plugin import settings_type

    kind = found.kind
    section = {key: value for key, value in config.section(found.name).items() if key in COMMON_KEYS}
    common = structure(CommonSettings, section, found.name, config.source)
    return Row(
        found.name,
        enabled,
        found.version,
        found.origin,
        (kind.__doc__ or "").strip().partition("\n")[0],
        _hooks(kind),
        str(common.on_failure or kind.on_failure),
        common.timeout_s or kind.timeout_s,
        common.shadow,
        settings_of(settings_type(kind)),
    )


def _hooks(kind: type[Plugin]) -> tuple[str, ...]:
    from mailward.hooks.markers import PROJECT
    from mailward.hooks.specs import hooks

    return tuple(info.name for info in hooks() if hasattr(getattr(kind, info.name, None), f"{PROJECT}_impl"))


def _show_list(rows: list[Row]) -> None:
    out = console()
    cells = [
        (
            row.name,
            text("shadow", "warning") if row.shadow else text("enabled", "ok") if row.enabled else text("-", "dim"),
            row.version,
            row.on_failure,
            f"{row.timeout_s:g} s" if row.timeout_s else "",
            text(row.problem, "failure") if row.problem else ", ".join(row.hooks),
            row.origin,
        )
        for row in rows
    ]
    out.print(table(("plugin", "state", "version", "on failure", "timeout", "hooks", "from"), cells))


def _show_one(row: Row) -> None:
    from mailward.cli.words import settings_of
    from mailward.engine.config import CommonSettings

    out = console()
    out.print(text(f"{row.name} {row.version}".strip(), "bold"), text(f"from {row.origin}", "dim"))
    out.print(text(row.summary))
    out.print()
    facts = {
        "state": ("enabled" if row.enabled else "installed, not enabled") + (", shadow" if row.shadow else ""),
        "hooks": ", ".join(row.hooks) or "none",
        "on failure": row.on_failure,
        "timeout": f"{row.timeout_s:g} s",
    }
    out.print(table(("", ""), facts.items()))
    for heading, settings in ((f"[{row.name}]", row.settings), ("of every plugin", settings_of(CommonSettings))):
        if settings:
            out.print()
            out.print(text(heading, "bold"))
            out.print(table(("setting", "type", "default", "meaning"), map(_cells, settings)))


def _cells(setting: Setting) -> tuple[Any, ...]:
    default = setting.default if len(setting.default) <= 60 else f"{setting.default[:57]}..."
    return setting.name, text(setting.type, "dim"), default, setting.help
