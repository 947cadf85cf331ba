"""``mailward check``: is everything there that mail needs, and what to do where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailward.cli.options import config_option, json_option
from mailward.cli.output import FAILED, OK, USAGE, console, print_json, problem_list, show_config_error, table, text

if TYPE_CHECKING:
    from mailward.engine.config import Config
    from mailward.engine.engine import Engine
    from mailward.engine.listeners import ListenerSection
    from mailward.hooks.resolver import Resolver
    from mailward.values.check import Check


@click.command(short_help="Check configuration, plugins, DNS, ports, disk, scanners.")
@config_option
@json_option
@click.pass_context
def check(ctx: click.Context, config: Path | None, as_json: bool) -> None:
    """Check what the gateway depends on, and say what to do about each thing that is not right.

    The configuration is read, plugins are loaded and started (and stopped again), DNS is asked for
    the gateway's name and back, the ports and the state folder are tried, and each plugin is asked
    for its own: scanners, signature files, next hops. Run it as the user that the gateway runs as.

    Exit status: 0 nothing failed (there may be warnings), 1 something failed, 2 wrong configuration.

    \b
    Examples:
      mailward check
      mailward check -c /etc/mailward/mailward.toml --json
    """
    from mailward.engine.config import load_config
    from mailward.engine.log import configure
    from mailward.values.check import Health
    from mailward.values.errors import ConfigError

    try:
        settings = load_config(config)
        configure(settings.core.log)
        rows = asyncio.run(_checks(settings))
    except ConfigError as error:
        if as_json:
            print_json({"problems": problem_list(error), "checks": []})
        else:
            show_config_error(error)
        ctx.exit(USAGE)
    if as_json:
        print_json({"problems": [], "checks": [_plain(row) for row in rows]})
    else:
        _show(rows)
    ctx.exit(FAILED if any(row.health is Health.FAILURE for row in rows) else OK)


def _plain(row: Check) -> dict[str, str]:
    return {
        "plugin": row.plugin,
        "name": row.name,
        "health": str(row.health),
        "detail": row.detail,
        "advice": "" if row.ok else row.advice,
    }


def _show(rows: list[Check]) -> None:
    out = console()
    cells: list[tuple[object, ...]] = []
    for row in rows:
        cells.append((text(row.health, str(row.health)), f"{row.plugin}: {row.name}", row.detail))
        if not row.ok and row.advice:
            cells.append(("", "", text(f"→ {row.advice}", "bold")))
    out.print(table(("", "", ""), cells))
    counts = {health: sum(str(row.health) == health for row in rows) for health in ("ok", "warning", "failure")}
    out.print(text(", ".join(f"{count} {health}" for health, count in counts.items() if count), "dim"))


async def _checks(config: Config) -> list[Check]:
    from mailward.cli.checks import (
        control_folder,
        descriptors,
        files_of,
        listening,
        places_taken,
        privileges,
        state_folder,
    )
    from mailward.engine.engine import Engine
    from mailward.gateway.plan import points_of
    from mailward.values.check import Check

    points_of(config)
    engine = Engine(config)
    rows = [Check("configuration", detail=config.source, plugin="core"), *_plugins(engine), *_policies(engine)]
    rows += await _dns(engine.resolver, engine.hostname)
    taken = places_taken(config.state)
    for listener in config.listeners:
        rows += [listening(address, config.source, engine.hostname, taken) for address in listener.settings.listen]
        rows += [*files_of(config, listener), *_logins(engine, listener)]
    rows += state_folder(config.state, config.core.gateway.max_message_bytes)
    rows += [*control_folder(config), privileges(config), descriptors(config.core)]
    async with engine:
        rows += [await _postmaster(engine), *await engine.check()]
    return list(dict.fromkeys(rows))  # a plugin has an instance for each policy that sets it otherwise


def _plugins(engine: Engine) -> Iterator[Check]:
    """One row for each plugin, and one for each that runs in shadow mode, or has settings and does not run."""
    from mailward.values.check import Check

    for found in engine.policies.found:
        yield Check("loads", detail=f"{found.version} from {found.origin}".strip(), plugin=found.name)
    for name in sorted(engine.config.sections.keys() - {found.name for found in engine.policies.found}):
        detail = f"has a section [{name}] and does not run: it is not in the list of plugins"
        yield Check("not enabled", False, detail, f'add "{name}" to plugins, or take the section out', True, name)
    for instance in engine.policies.instances:
        if instance.shadow:
            detail = "in shadow mode: it runs, and nothing that it decides is applied"
            yield Check(
                "shadow", False, detail, f"remove shadow from [{instance.name}] to apply it", True, instance.name
            )


def _policies(engine: Engine) -> Iterator[Check]:
    """One row for each policy whose mail is delivered without a look at its content (KAV-GRP-06)."""
    from mailward.values.check import Check

    for policy in engine.policies.named:
        if not policy.check:
            name, detail = f"policy {policy.name}", "check = false: its mail is delivered without a look at its content"
            advice = f"remove check from [policy.{policy.name}] to have its mail scanned"
            yield Check(name, False, detail, advice, True, "core")


def _logins(engine: Engine, listener: ListenerSection) -> Iterator[Check]:
    """Whether anybody knows the passwords of clients that log in."""
    from mailward.engine.gateway_settings import Auth
    from mailward.values.check import Check

    settings = listener.settings
    if settings.auth is Auth.OFF or settings.password_file is not None:
        return
    if not engine.policies.default.implementing("authenticate"):
        key = listener.key
        advice = f"set {key}.password_file, or enable a plugin that has the hook authenticate"
        yield Check(f"{key} passwords", False, "nobody can log in: no password is known", advice, plugin="core")


async def _postmaster(engine: Engine) -> Check:
    """RFC 5321 section 4.5.1: mail to <postmaster> alone is taken; so its address has to be of the house."""
    from mailward.values.check import Check
    from mailward.values.envelope import Recipient

    address = engine.config.core.gateway.postmaster_address
    taken = await engine.gate.locality(Recipient(address)) is True
    advice = "set gateway.postmaster to an address of the house: strangers who write to <postmaster> are refused"
    detail = f"<postmaster> is {address}{'' if taken else ', which is not in the house'}"
    return Check("postmaster", taken, detail, advice, True, "core")


async def _dns(resolver: Resolver, hostname: str) -> list[Check]:
    """SAV-RTE-07: the gateway's name has an address, and the address has the name."""
    from mailward.values.check import Check
    from mailward.values.errors import DnsFault, NameNotFound

    servers = ", ".join(resolver.servers) or "no server"
    try:
        addresses = await resolver.addresses(hostname)
    except DnsFault as error:
        advice = 'name a server that answers: [dns] servers = ["192.0.2.53"]'
        return [Check("dns", False, f"{servers}: {error}", advice, plugin="core")]
    except NameNotFound as error:
        answers = Check("dns", detail=f"{servers} answers", plugin="core")
        advice = "set gateway.hostname to the name that other servers know this one by, and give it an A record"
        return [answers, Check("hostname", False, str(error), advice, True, "core")]
    answers = Check("dns", detail=f"{servers} answers", plugin="core")
    return [answers, *[await _back(resolver, hostname, address) for address in addresses]]


async def _back(resolver: Resolver, hostname: str, address: str) -> Check:
    from mailward.values.check import Check
    from mailward.values.errors import PeerError

    advice = f"have the owner of the network give {address} a PTR record of {hostname}: many servers ask for it"
    try:
        names = await resolver.names(address)
    except PeerError as error:
        return Check("hostname", False, f"{hostname} is {address}; back: {error}", advice, True, "core")
    if hostname.lower() in names:
        return Check("hostname", detail=f"{hostname} is {address} and back", plugin="core")
    return Check("hostname", False, f"{hostname} is {address}, which is {', '.join(names)}", advice, True, "core")
