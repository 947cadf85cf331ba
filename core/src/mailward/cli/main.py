"""``mailward``: the group of all commands, and what becomes of errors that none of them handles."""

from __future__ import annotations

import click

from mailward import __version__
from mailward.cli.check import check
from mailward.cli.output import EXIT_HELP, USAGE, fail, show_config_error
from mailward.cli.password import password
from mailward.cli.plugin_commands import help_rows, plugin_commands
from mailward.cli.plugins import plugins
from mailward.cli.queue import queue
from mailward.cli.scan import scan
from mailward.cli.scan_server import scan_server
from mailward.cli.send import send
from mailward.cli.serve import serve
from mailward.values.errors import ConfigError, MailwardError

_WORDS = "mailward.words"


class Commands(click.Group):
    """The group: commands of the core, then those of the plugins that the configuration enables.

    Errors that are somebody's to mend are told in a sentence, without a traceback.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, the core's own first."""
        own = super().list_commands(ctx)
        return [*own, *sorted(help_rows(ctx.meta.get(_WORDS, ()), own))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; plugins are loaded only where the core has none."""
        command = super().get_command(ctx, cmd_name)
        if command is None:
            command = plugin_commands(ctx.meta.get(_WORDS, ()), super().list_commands(ctx)).get(cmd_name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words of the command line: they name the configuration."""
        ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, args)

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
