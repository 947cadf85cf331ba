"""``mailward``: the group of all commands, and what becomes of errors that none of them handles."""

from __future__ import annotations

import click

from mailward import __version__
from mailward.cli.check import check
from mailward.cli.output import EXIT_HELP, USAGE, fail, show_config_error
from mailward.cli.password import password
from mailward.cli.plugins import plugins
from mailward.cli.queue import queue
from mailward.cli.scan import scan
from mailward.cli.scan_server import scan_server
from mailward.cli.send import send
from mailward.cli.serve import serve
from mailward.values.errors import ConfigError, MailwardError


class Commands(click.Group):
    """The group: errors that are somebody's to mend are told in a sentence, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            show_config_error(error)
            raise click.exceptions.Exit(USAGE) from error
        except MailwardError as error:
            fail(str(error))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_HELP,
)
@click.version_option(__version__, "-V", "--version", prog_name="mailward")
def cli() -> None:
    """A mail security gateway whose every feature is a plugin.

    \b
    To start with:
      mailward serve                     listen on 127.0.0.1:2525, built-in defaults
      mailward send --to a@example.com   hand it a test message
      mailward queue list                see what waits
      mailward scan message.eml          judge a file, nothing is delivered
    """


for command in (serve, check, plugins, queue, scan, scan_server, send, password):
    cli.add_command(command)


def main() -> None:
    """The program ``mailward``."""
    cli(prog_name="mailward")


if __name__ == "__main__":
    main()
