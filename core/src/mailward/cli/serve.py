"""``mailward serve``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from mailward.cli.options import config_option


@click.command(short_help="Run the gateway.")
@config_option
def serve(config: Path | None) -> None:
    """Run the gateway until it is told to stop (SIGTERM, SIGINT, SIGQUIT; a second one ends it at once).

    SIGHUP, a change of the configuration file, or `mailward ctl reload` put a new configuration in
    force without a break; a wrong one changes nothing.

    Without a configuration file it listens on 127.0.0.1:2525, scans, and keeps what it accepts in
    mailward-data/ below the current folder. The log goes to standard error.

    \b
    Examples:
      mailward serve
      mailward serve -c /etc/mailward/mailward.toml
    """
    # the supervisor is a small process that lives long: it takes the place of this one
    arguments = [sys.executable, "-m", "mailward.supervisor.main", *([str(config)] if config else [])]
    os.execv(sys.executable, arguments)
