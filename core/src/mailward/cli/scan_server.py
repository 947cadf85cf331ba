"""``mailward scan-server``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailward.cli.options import config_option, json_option
from mailward.cli.output import UNDECIDED, console, fail, print_json, table

if TYPE_CHECKING:
    from mailward.scan.remote.talk import Status


@click.command("scan-server", short_help="Scan for gateways on other hosts, or ask such a server how it fares.")
@config_option
@click.option("--status", "asked", metavar="HOST:PORT", help="Ask this scan server how it fares, and end.")
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Key file for --status; without it, the one that the configuration names.",
)
@json_option
@click.pass_context
def scan_server(ctx: click.Context, config: Path | None, asked: str | None, key: Path | None, as_json: bool) -> None:
    """Judge messages for gateways that have the key of [scan_server], until told to stop.

    The plugins, settings and policies are those of this server's own configuration file. SIGHUP has
    certificate and key read again.

    \b
    Examples:
      mailward scan-server -c /etc/mailward/scan-server.toml
      mailward scan-server --status scan1.example.com:7777 --key /etc/mailward/scan.key
    """
    if asked is None:
        from mailward.gateway.scan_program import serve

        ctx.exit(serve(config))
    status = _ask(asked, key, config)
    if as_json:
        import attrs

        print_json(attrs.asdict(status))
    else:
        console().print(table(("", ""), _rows(status)))


def _ask(text: str, key_file: Path | None, config_file: Path | None) -> Status:
    from mailward.engine.config import load_config
    from mailward.scan.remote.key import Key
    from mailward.scan.remote.link import ask_status
    from mailward.values.endpoint import Endpoint
    from mailward.values.errors import ScanError

    try:
        endpoint = Endpoint.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--status") from error
    if key_file is not None:
        key = Key.load(key_file, "--key", "command line")
    else:
        config = load_config(config_file)
        found = config.core.scan.server_key or config.core.scan_server.key
        if found is None:
            raise click.UsageError("--status needs --key FILE, or a configuration with scan.server_key")
        key = Key.load(config.resolve(found), "scan.server_key", config.source)
    try:
        return asyncio.run(ask_status(endpoint, key))
    except ScanError as error:
        fail(str(error), UNDECIDED)


def _rows(status: Status) -> list[tuple[str, object]]:
    stats = status.stats
    return [
        ("version", status.version),
        ("process", status.pid),
        ("up for", f"{status.uptime_s:.0f} s"),
        ("connections", status.connections),
        ("configuration", status.config),
        ("not confined", ", ".join(status.lacking) or "(nothing)"),
        ("processes", f"{stats.idle} idle, {stats.busy} at work, {stats.aside} beside them"),
        ("in line", f"{stats.waiting}, at most {stats.waiting_max}"),
        ("judged", f"{stats.judged}, {stats.scan_s_mean * 1000:.1f} ms each, at most {stats.scan_s_max * 1000:.0f} ms"),
        ("waited", f"{stats.wait_s_mean * 1000:.1f} ms each, at most {stats.wait_s_max * 1000:.0f} ms"),
        ("failed", f"{stats.failed}, and {stats.turned_away} turned away"),
        ("scan processes", f"{stats.started} started, {stats.recycled} recycled, {stats.deaths} died"),
    ]
