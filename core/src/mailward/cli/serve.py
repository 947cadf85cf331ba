"""``mailward serve``."""

from __future__ import annotations

from pathlib import Path

import click

from mailward.cli.options import config_option


@click.command(short_help="Run the gateway.")
@config_option
@click.pass_context
def serve(ctx: click.Context, config: Path | None) -> None:
    """Run the gateway until it is told to stop (SIGTERM, SIGINT).

    Without a configuration file it listens on 127.0.0.1:2525, scans, and keeps what it accepts in
    mailward-data/ below the current folder. The log goes to standard error.

    \b
    Examples:
      mailward serve
      mailward serve -c /etc/mailward/mailward.toml
    """
    from mailward.gateway.program import serve as run

    ctx.exit(run(config))
