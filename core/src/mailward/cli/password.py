"""``mailward password``: the password file of clients that log in."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mailward.cli.output import console


@click.command(short_help="Set the password of a client that logs in.")
@click.option(
    "--file",
    "-f",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Password file to change (gateway.password_file); made where there is none. Without it the line is printed.",
)
@click.option("--remove", is_flag=True, help="Take the user out of the file.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input, one line.")
@click.argument("user")
def password(user: str, file: Path | None, remove: bool, from_stdin: bool) -> None:
    """Set the password with which USER may log in (AUTH), or take USER out.

    The password is asked for and never shown; what is stored is its argon2id hash. A gateway that
    runs uses the changed file with the next log-in.

    \b
    Examples:
      mailward password --file /etc/mailward/passwords anna@example.com
      mailward password --file /etc/mailward/passwords --remove anna@example.com
      pwgen 20 1 | mailward password --stdin printer
    """
    from mailward.gateway.passwords import check_user, hashed, set_password

    if remove:
        if file is None:
            raise click.UsageError("--remove needs --file")
        there = file.exists() and set_password(file, user, None)
        console().print(f"{user} removed" if there else f"{user} was not there")
        return
    check_user(user)
    secret = hashed(_ask(from_stdin))
    if file is None:
        click.echo(f"{user}:{secret}")
        return
    changed = set_password(file, user, secret)
    console().print(f"{user} {'changed' if changed else 'added'}")


def _ask(from_stdin: bool) -> str:
    if from_stdin:
        given = sys.stdin.readline().rstrip("\r\n")
    else:
        given = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    if not given:
        raise click.UsageError("the password is empty")
    return given
