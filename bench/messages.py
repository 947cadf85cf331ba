"""Messages to measure with: deterministic, LF line ends (smtp-source makes them CRLF)."""

from __future__ import annotations

import base64
import io
import random
import textwrap
import zipfile
from pathlib import Path

SIZES = {"4k": 4096, "50k": 50 * 1024, "1m": 1024 * 1024, "50m": 50 * 1024 * 1024}
_WORDS = (
    "please find the figures of last month attached they were checked by both offices and agree with what the "
    "bank has sent us call me when the order for the new pumps has left the yard and tell anna about the date"
).split(" ")
_BOUNDARY = "=_bench_outer"
_INNER = "=_bench_inner"


def prose(chance: random.Random, size: int) -> str:
    """Words in lines of at most 74 characters, ``size`` characters in all."""
    words: list[str] = []
    length = 0
    while length < size:
        words.append(chance.choice(_WORDS))
        length += len(words[-1]) + 1
    return textwrap.fill(" ".join(words), 74)[:size]


def header(*lines: str) -> str:
    """A header block as a message has it that came through four hops and is signed."""
    hops = [
        f"Received: from mx{n}.sender.example (mx{n}.sender.example [192.0.2.{10 + n}])\n"
        f"\tby in{n}.relay.example with ESMTPS id 4VXJ{n}kLqz{n}; Wed, 1 May 2024 10:0{n}:00 +0000"
        for n in range(4)
    ]
    signature = "DKIM-Signature: v=1; a=rsa-sha256; d=sender.example; s=one;\n\tb=" + "\n\t ".join(["Qm9ndXM" * 9] * 5)
    rest = [
        "From: =?utf-8?q?Andr=C3=A9?= <andre@sender.example>",
        "To: Rosa <rosa@rcpt.example>",
        "Subject: =?utf-8?q?Figures_=E2=80=93_last?=\n =?utf-8?q?_month?=",
        "Date: Wed, 01 May 2024 10:00:00 +0000",
        "Message-ID: <bench.1@sender.example>",
        "MIME-Version: 1.0",
    ]
    return "\n".join([*hops, signature, *rest, *lines]) + "\n\n"


def _archive(chance: random.Random, size: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("readme.txt"), prose(chance, 6000))
        archive.writestr(zipfile.ZipInfo("data.bin"), chance.randbytes(max(size - len(buffer.getvalue()) - 600, 0)))
    return buffer.getvalue()


def message(size: int) -> bytes:
    """A message of about ``size`` bytes: plain text up to 8 KB, above that text, HTML and a zip in base64."""
    chance = random.Random(size)
    if size <= 8192:
        top = header("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 7bit")
        return (top + prose(chance, size - len(top) - 1) + "\n").encode()
    html = "<html><body>" + "".join(f"<p>{prose(chance, 220)}</p>\n" for _ in range(10)) + "</body></html>"
    top = (
        header(f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"')
        + f'--{_BOUNDARY}\nContent-Type: multipart/alternative; boundary="{_INNER}"\n\n'
        + f"--{_INNER}\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
        + prose(chance, 2500).replace("e", "=65", 40)
        + f"\n--{_INNER}\nContent-Type: text/html; charset=utf-8\n\n{html}\n--{_INNER}--\n\n--{_BOUNDARY}\n"
        + 'Content-Type: application/zip; name="report.zip"\nContent-Transfer-Encoding: base64\n'
        + 'Content-Disposition: attachment; filename="report.zip"\n\n'
    )
    end = f"\n--{_BOUNDARY}--\n"
    coded = base64.encodebytes(_archive(chance, (size - len(top) - len(end)) * 76 // 77 * 3 // 4)).decode()
    return (top + coded + end).encode()


def write_all(folder: Path, names: list[str]) -> dict[str, Path]:
    """Write the messages of these names; name → file."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.eml" for name in names}
    for name, file in files.items():
        file.write_bytes(message(SIZES[name]))
    return files
