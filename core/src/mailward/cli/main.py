"""``mailward``: the group of all commands, and what becomes of errors that none of them handles."""

from __future__ import annotations

from importlib import import_module

import click

from mailward import __version__
from mailward.cli.exits import EXIT_HELP, USAGE
from mailward.hooks.outlet import hold_standard_descriptors
from mailward.values.errors import ConfigError, MailwardError

COMMANDS = ("check", "ctl", "password", "plugins", "queue", "scan", "scan-server", "send", "serve")
"""Those of the core, each in the module of its name."""
_WORDS = "mailward.words"


class Commands(click.Group):
    """The group: commands of the core, then those of the plugins that the configuration enables.

    A command is imported when it is wanted, so that one that needs little is there at once. Errors
    that are somebody's to mend are told in a sentence, without a traceback.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, the core's own first."""
        from mailward.cli.plugin_commands import help_rows

        return [*COMMANDS, *sorted(help_rows(ctx.meta.get(_WORDS, ()), list(COMMANDS)))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; plugins are loaded only where the core has none."""
        if cmd_name in COMMANDS:
            word = cmd_name.replace("-", "_")
            own: click.Command = getattr(import_module(f"mailward.cli.{word}"), word)
            return own
        from mailward.cli.plugin_commands import plugin_commands

        return plugin_commands(ctx.meta.get(_WORDS, ()), list(COMMANDS)).get(cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words of the command line: they name the configuration."""
        ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            from mailward.cli.output import show_config_error

            show_config_error(error)
            raise click.exceptions.Exit(USAGE) from error
        except MailwardError as error:
            from mailward.cli.output import fail

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


def main() -> None:
    """The program ``mailward``."""
    hold_standard_descriptors()
    cli(prog_name="mailward")


if __name__ == "__main__":
    main()
