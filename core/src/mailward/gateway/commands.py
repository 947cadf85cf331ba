"""The commands of SMTP and LMTP: which there are, what each is, and what becomes of those that are none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from attrs import frozen

from mailward.gateway import arrival, session, transaction
from mailward.gateway.replies import (
    BAD_SYNTAX,
    BYE,
    CANNOT_VERIFY,
    NO_ARGUMENT,
    NO_SMTP,
    NOT_IMPLEMENTED,
    TOO_LONG,
    TOO_MUCH_JUNK,
    UNKNOWN_COMMAND,
    VERIFY_WHOM,
    Leave,
)
from mailward.hooks.conversation import MASK, Fault
from mailward.values.reply import OK, Reply

if TYPE_CHECKING:
    from mailward.gateway.server import Server

MAX_COMMAND_BYTES = 2048
MAX_AUTH_BYTES = 12_288
"""RFC 4954 section 4: the longest line of a log-in."""

Handler = Callable[["Server", str], Awaitable[Reply | None]]


@frozen
class Command:
    """A command: what carries it out, and whether it counts as junk (it brings no mail on by itself)."""

    run: Handler
    junk: bool = False
    secret: bool = False


async def _rset(server: Server, argument: str) -> Reply | None:
    if argument:
        return NO_ARGUMENT
    server.forget()
    return OK


async def _noop(server: Server, argument: str) -> Reply | None:
    return OK


async def _quit(server: Server, argument: str) -> Reply | None:
    if argument:
        return NO_ARGUMENT
    raise Leave(BYE)


async def _vrfy(server: Server, argument: str) -> Reply | None:
    return CANNOT_VERIFY if argument else VERIFY_WHOM


async def _help(server: Server, argument: str) -> Reply | None:
    return Reply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT STARTTLS AUTH")


async def _not_implemented(server: Server, argument: str) -> Reply | None:
    return NOT_IMPLEMENTED


async def _no_smtp(server: Server, argument: str) -> Reply | None:
    server.violation("a command of HTTP")
    raise Leave(NO_SMTP)


COMMANDS: dict[bytes, Command] = {
    b"HELO": Command(session.helo, junk=True),
    b"EHLO": Command(session.ehlo, junk=True),
    b"LHLO": Command(session.lhlo, junk=True),
    b"MAIL": Command(transaction.mail),
    b"RCPT": Command(transaction.rcpt),
    b"DATA": Command(arrival.data),
    b"BDAT": Command(arrival.bdat),
    b"RSET": Command(_rset, junk=True),
    b"NOOP": Command(_noop, junk=True),
    b"QUIT": Command(_quit),
    b"STARTTLS": Command(session.starttls),
    b"AUTH": Command(session.auth, secret=True),
    b"XCLIENT": Command(session.xclient, junk=True),
    b"XFORWARD": Command(session.xforward),
    b"VRFY": Command(_vrfy, junk=True),
    b"HELP": Command(_help, junk=True),
    b"EXPN": Command(_not_implemented, junk=True),
    b"TURN": Command(_not_implemented, junk=True),
    b"ETRN": Command(_not_implemented, junk=True),
    # browsers that were tricked into speaking to a mail server must not be read on
    b"GET": Command(_no_smtp),
    b"POST": Command(_no_smtp),
    b"CONNECT": Command(_no_smtp),
}


async def obey(server: Server, line: bytes) -> Reply | None:
    """Carry a command line out (CRLF at its end); the reply, None where it was said already."""
    word, _, rest = line[:-2].partition(b" ")
    command = COMMANDS.get(word.upper())
    recorder = server.recorder
    if recorder is not None:
        shown = word + b" " + rest.partition(b" ")[0] + f" {MASK}".encode() if command and command.secret else line
        recorder.client(shown)
    if not line.endswith(b"\r\n"):
        return BAD_SYNTAX
    if len(line) > MAX_COMMAND_BYTES and not (command is not None and command.secret and len(line) <= MAX_AUTH_BYTES):
        return TOO_LONG
    if command is None:
        return UNKNOWN_COMMAND
    if command.junk:
        server.junk += 1
        if server.junk > server.settings.max_junk_commands:
            raise server.dismissal(TOO_MUCH_JUNK, "command", "max_junk_commands")
    try:
        argument = rest.strip().decode("utf-8")
    except UnicodeDecodeError:
        return BAD_SYNTAX
    reply = await command.run(server, argument)
    if reply is NOT_IMPLEMENTED:
        server.fault(Fault.UNSUPPORTED, word.decode("ascii"))
    return reply
