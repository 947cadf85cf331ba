"""Speed of the mime package beside other parsers, one thread, messages made here with CRLF line ends.

Usage: python bench/mime.py [SECONDS-PER-CELL]

Each cell takes a message apart, decodes the header fields that filters read, the message's own and
those of every part, decodes every leaf and hashes it with SHA-256: what one pass of a scan costs
before any plugin has looked. Prints messages and MB of raw message for a second of CPU, best of three.
`bench/corpus.py` does the same over real mail.
"""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import random
import sys
import textwrap
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from mailward.mime import Message

Pass = Callable[[bytes], None]

FIELDS = ("from", "to", "subject", "date", "message-id")
PART_FIELDS = ("content-type", "content-transfer-encoding", "content-disposition", "content-id")
WORDS = ["invoice", "project", "meeting", "attached", "please", "review", "quarterly", "report", "budget", "schedule"]


def prose(chance: random.Random, size: int) -> str:
    """Words in lines of 72 columns."""
    words: list[str] = []
    while sum(map(len, words)) + len(words) < size:
        words += chance.choices(WORDS, k=50)
    return textwrap.fill(" ".join(words), 72)[:size]


def header(*more: str) -> str:
    """A header block as relays leave it, with its blank line."""
    trace = [
        f"Received: from mx{n}.sender.example (mx{n}.sender.example [192.0.2.{n}])\n"
        f"\tby in{n}.relay.example with ESMTPS id 4VXJ{n}kLqz{n}\n\tfor <user{n}@rcpt.example>; "
        "Wed,  1 May 2024 10:00:00 +0000 (UTC)"
        for n in range(4)
    ]
    fields = [
        *trace,
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sender.example; s=sel1;\n\tbh="
        + "A" * 43
        + "=;\n\tb="
        + "\n\t ".join(["Qm9ndXM" * 9] * 5),
        "From: =?utf-8?q?Andr=C3=A9_Sender?= <andre@sender.example>",
        "To: Rosa Rcpt <rosa@rcpt.example>, Team <team@rcpt.example>",
        "Subject: =?utf-8?q?Quarterly_report_=E2=80=93_please?=\n =?utf-8?q?_review?=",
        "Date: Wed, 01 May 2024 10:00:00 +0000",
        "Message-ID: <20240501100000.12345@sender.example>",
        "MIME-Version: 1.0",
        *more,
    ]
    return "\n".join(fields) + "\n\n"


def plain(chance: random.Random, size: int) -> str:
    """One text."""
    return (
        header("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 7bit")
        + prose(chance, size)
        + "\n"
    )


def mixed(chance: random.Random, size: int) -> str:
    """Text in quoted-printable, HTML in 8bit, the rest one base64 attachment."""
    quoted = prose(chance, 2500).replace("=", "=3D").replace("e", "=65", 40)
    html = "<html><body>" + "".join(f"<p>{prose(chance, 220)}</p>\n" for _ in range(10)) + "</body></html>"
    attachment = base64.encodebytes(chance.randbytes(max(100, (size - 8000) * 3 // 4))).decode()
    outer, inner = "----=_NextPart_000_0001_01DA9B7C.A1B2C3D0", "----=_NextPart_001_0002_01DA9B7C.A1B2C3D0"
    return (
        header(f'Content-Type: multipart/mixed; boundary="{outer}"')
        + f'--{outer}\nContent-Type: multipart/alternative; boundary="{inner}"\n\n'
        + f"--{inner}\nContent-Type: text/plain; charset=utf-8\n"
        + f"Content-Transfer-Encoding: quoted-printable\n\n{quoted}\n"
        + f"--{inner}\nContent-Type: text/html; charset=utf-8\n"
        + f"Content-Transfer-Encoding: 8bit\n\n{html}\n--{inner}--\n\n"
        + f'--{outer}\nContent-Type: application/zip; name="report.zip"\nContent-Transfer-Encoding: base64\n'
        + f'Content-Disposition: attachment; filename="report.zip"\n\n{attachment}--{outer}--\n'
    )


def mailward(raw: bytes) -> None:
    """One pass with mailward.mime."""
    with Message.from_bytes(raw) as message:
        for name in FIELDS:
            message.headers.get(name)
        for part in message.walk():
            for name in PART_FIELDS:
                part.headers.get(name)
            if part.is_leaf:
                _ = part.filename, part.content
                part.digest("sha256")


def standard(policy: email.policy.Policy) -> Pass:
    """One pass with the standard library; under compat32 encoded words stay encoded."""

    def take_apart(raw: bytes) -> None:
        message = email.message_from_bytes(raw, policy=policy)
        for name in FIELDS:
            str(message[name])
        for part in message.walk():
            for name in PART_FIELDS:
                str(part[name])
            if not part.is_multipart():
                part.get_filename()
                hashlib.sha256(part.get_payload(decode=True)).hexdigest()

    return take_apart


def rust() -> Pass | None:
    """One pass with fast-mail-parser (Rust), None where it is not installed."""
    try:
        import fast_mail_parser
    except ImportError:
        return None

    def take_apart(raw: bytes) -> None:
        root = fast_mail_parser.parse_email_tree(raw)
        for part in fast_mail_parser.walk(root):
            headers = {name.lower(): values for name, values in part.headers.items()}
            for name in FIELDS if part is root else ():
                headers.get(name)
            for name in PART_FIELDS:
                headers.get(name)
            if part.content is not None:
                _ = part.filename
                hashlib.sha256(part.content).hexdigest()

    return take_apart


def passes() -> dict[str, Pass]:
    """All ways to do the same work that can be tried here."""
    ways = {
        "mailward.mime": mailward,
        "email compat32": standard(email.policy.compat32),
        "email policy.default": standard(email.policy.default),
    }
    other = rust()
    return ways | {"fast-mail-parser": other} if other else ways


def rate(take_apart: Callable[[bytes], None], raw: bytes, seconds: float) -> float:
    """Messages a second, best of three."""
    best = 0.0
    for _ in range(3):
        count, start = 0, time.process_time()
        while (elapsed := time.process_time() - start) < seconds:
            take_apart(raw)
            count += 1
        best = max(best, count / elapsed)
    return best


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
    chance = random.Random(1)
    messages = {
        "4 KB plain": plain(chance, 3000),
        "5 KB mixed": mixed(chance, 0),
        "50 KB mixed": mixed(chance, 50 * 1024),
        "1 MB base64": mixed(chance, 1024 * 1024),
    }
    table = Table("messages/s (MB/s)", *messages)
    for way, take_apart in passes().items():
        cells = []
        for text in messages.values():
            raw = text.replace("\n", "\r\n").encode()
            found = rate(take_apart, raw, seconds)
            cells.append(f"{found:,.0f} ({found * len(raw) / 1e6:,.0f})")
        table.add_row(way, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
