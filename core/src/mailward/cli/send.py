"""``mailward send``: a small SMTP client to try the gateway with."""

from __future__ import annotations

import base64
import smtplib
from datetime import UTC, datetime
from email.utils import format_datetime, make_msgid
from typing import IO

import click

from mailward.cli.options import address
from mailward.cli.output import FOUND, OK, UNDECIDED, console, fail, text
from mailward.values.address import Address

TIMEOUT_S = 60.0
_EICAR = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS", "-TEST-FILE!$H+H*")
_BOUNDARY = "mailward-test"


def eicar() -> bytes:
    """The EICAR test file, put together here so that no file of ours is taken for it."""
    return "".join(_EICAR).encode("ascii")


def make_message(sender: Address, recipients: tuple[Address, ...], subject: str, *, infected: bool) -> bytes:
    """A plain message, or one with the EICAR test file attached. CRLF line ends."""
    word = base64.b64encode(subject.encode()).decode("ascii")
    shown_subject = subject if subject.isascii() and subject.isprintable() else f"=?utf-8?b?{word}?="
    head = [
        f"Date: {format_datetime(datetime.now(UTC))}",
        f"From: {sender or 'postmaster'}",
        f"To: {', '.join(map(str, recipients))}",
        f"Subject: {shown_subject}",
        f"Message-ID: {make_msgid(domain='mailward.invalid')}",
        "MIME-Version: 1.0",
    ]
    body = ["This is a test message of mailward send."]
    if infected:
        head.append(f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"')
        body = [f"--{_BOUNDARY}", "Content-Type: text/plain; charset=us-ascii", "", *body]
        body += [f"--{_BOUNDARY}", 'Content-Type: application/octet-stream; name="eicar.com"']
        body += ["Content-Transfer-Encoding: base64", 'Content-Disposition: attachment; filename="eicar.com"', ""]
        body += [base64.b64encode(eicar()).decode("ascii"), f"--{_BOUNDARY}--"]
    else:
        head.append("Content-Type: text/plain; charset=us-ascii")
    return "\r\n".join([*head, "", *body, ""]).encode()


class _Dialogue:
    """The SMTP dialogue, printed as it goes; ``refused`` once the server said no."""

    def __init__(self, client: smtplib.SMTP) -> None:
        self._client = client
        self._out = console()
        self.refused = False

    def said(self, what: str, code: int, reply: bytes) -> bool:
        """Print a command and its reply; whether it was accepted."""
        accepted = 200 <= code < 400
        self.refused = self.refused or not accepted
        self._out.print(text(f"→ {what}", "dim"))
        for line in reply.decode("utf-8", "replace").splitlines() or [""]:
            self._out.print(text(f"← {code} {line}", "ok" if accepted else "failure"))
        return accepted

    def transaction(self, sender: Address, recipients: tuple[Address, ...], content: bytes) -> None:
        """One message: EHLO, MAIL, RCPT for each recipient, DATA, QUIT."""
        client = self._client
        if not self.said(f"EHLO {client.local_hostname}", *client.ehlo()):
            return
        options = [f"SIZE={len(content)}"] if client.has_extn("size") else []
        if not all(str(one).isascii() for one in (sender, *recipients)):
            options.append("SMTPUTF8")
            client.command_encoding = "utf-8"
        accepted = self.said(" ".join([f"MAIL FROM:<{sender}>", *options]), *client.mail(str(sender), options))
        taken = [accepted and self.said(f"RCPT TO:<{one}>", *client.rcpt(str(one))) for one in recipients]
        if any(taken):
            try:
                reply = client.data(content)
            except smtplib.SMTPDataError as error:
                reply = (error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else b"")
            self.said(f"DATA ({len(content)} bytes)", *reply)
        client.quit()


@click.command(short_help="Send a test message.")
@click.option(
    "--to", "recipients", type=address, multiple=True, required=True, metavar="ADDRESS", help="Recipient; repeatable."
)
@click.option(
    "--from",
    "sender",
    type=address,
    default="postmaster@localhost",
    show_default=True,
    metavar="ADDRESS",
    help="Sender; '<>' is the null address.",
)
@click.option("--server", default="127.0.0.1:2525", show_default=True, metavar="HOST:PORT", help="Where to send it.")
@click.option("--subject", default="Test of Mailward", show_default=True, help="Subject of the made message.")
@click.option("--eicar", "infected", is_flag=True, help="Attach the EICAR test file, which scanners take for a virus.")
@click.argument("file", type=click.File("rb"), required=False)
@click.pass_context
def send(
    ctx: click.Context,
    recipients: tuple[Address, ...],
    sender: Address,
    server: str,
    subject: str,
    infected: bool,
    file: IO[bytes] | None,
) -> None:
    """Send one message by SMTP and show the dialogue.

    FILE is a message to send as it is (- for standard input); without one a short text is made.
    Exit status: 0 accepted for all recipients, 1 refused, 3 server not reached.

    \b
    Examples:
      mailward send --to bob@example.com
      mailward send --to bob@example.com --eicar
      mailward send --to a@example.com --from '<>' --server mx.example.com:25 message.eml
    """
    host, port = _server(server)
    if file is None:
        content = make_message(sender, recipients, subject, infected=infected)
    elif infected:
        raise click.UsageError("--eicar makes a message; with FILE there is nothing to attach it to")
    else:
        content = file.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    try:
        client = smtplib.SMTP(timeout=TIMEOUT_S)
        code, greeting = client.connect(host, port)
        dialogue = _Dialogue(client)
        if dialogue.said(f"connect {server}", code, greeting):
            dialogue.transaction(sender, recipients, content)
    except (OSError, smtplib.SMTPException) as error:
        fail(f"{server}: {error}; is the gateway running there? (mailward serve)", UNDECIDED)
    ctx.exit(FOUND if dialogue.refused else OK)


def _server(text_: str) -> tuple[str, int]:
    host, colon, port = text_.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise click.BadParameter("write HOST:PORT, as in 127.0.0.1:2525", param_hint="--server")
    return host.strip("[]"), int(port)
