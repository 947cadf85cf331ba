"""Mails with containers attached, an engine that opens them, and the programs that make containers."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from mailward import Engine, Envelope, Finding, Limits, Member, Message, Part, PartKind, unpack_binhex, unpack_zip
from mailward_archives import Archives, ArchivesSettings

OWN = {"application/zip", "application/mac-binhex40"}
"""The containers that the core opens."""
HEAD = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
SECRET = b"what lies inside, " * 40


def mail(name: str, content: bytes, kind: str = "application/octet-stream") -> bytes:
    """A mail with one attachment, part 2."""
    body = base64.encodebytes(content).replace(b"\n", b"\r\n")
    head = f'Content-Type: {kind}\r\nContent-Disposition: attachment; filename="{name}"\r\n'.encode()
    return (
        HEAD
        + b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n--=_b\r\n\r\ngood day\r\n--=_b\r\n'
        + head
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + body
        + b"--=_b--\r\n"
    )


@frozen
class Opened:
    """What became of an attachment: the content of every part by its path below it, and all findings."""

    parts: dict[str, bytes]
    findings: list[Finding]

    @property
    def kinds(self) -> set[str]:
        return {finding.kind.value for finding in self.findings if finding.kind.value != "note"}

    @property
    def rules(self) -> set[str]:
        return {finding.rule for finding in self.findings}


def walked(raw: bytes, settings: ArchivesSettings, limits: Limits) -> Opened:
    """Unpack as the core does, without an engine around it."""
    readers = (Archives(settings).unpack, unpack_zip, unpack_binhex)
    with Message.from_bytes(raw, limits) as message:
        findings = list[Finding]()
        parts = dict[str, bytes]()
        for part in message.walk():
            if all(child.kind is PartKind.ENCODED for child in part.children):
                kind, members = part.detected_type, readers[0](part)
                if members is not None:
                    findings += message.add_members(part, members)
                for reader in readers[1:] if members is None or kind not in OWN else ():
                    findings += message.add_members(part, reader(part) or ())
            if part.path.startswith("2") and not part.opaque and part.is_leaf:
                parts[part.path.removeprefix("2").removeprefix("/")] = part.content
        return Opened(parts, findings + message.defects)


@pytest.fixture
def opened() -> Callable[..., Opened]:
    """What an attachment of this name and content unfolds into."""

    def unfold(name: str, content: bytes, *, limits: Limits | None = None, kind: str = "", **settings: Any) -> Opened:
        raw = mail(name, content, kind or "application/octet-stream")
        return walked(raw, ArchivesSettings(**settings), limits or Limits(max_depth=20))

    return unfold


@pytest.fixture
def part_of() -> Callable[..., Part]:
    """The part that holds this content."""
    return lambda content, name="file.bin": Message.from_bytes(mail(name, content)).part("2")


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., list[Finding]]:
    """The findings of an engine with the archives and antivirus plugins on raw mails, one list each."""

    def judge(raws: list[bytes], signatures: str = "", settings: str = "", limits: str = "") -> list[list[Finding]]:
        path = tmp_path / "mailward.toml"
        (tmp_path / "virus.hdb").write_text(signatures)
        path.write_text(
            'plugins = ["archives", "antivirus"]\n[gateway]\nhostname = "mx.example.org"\n'
            f'[limits]\n{limits}\n[archives]\n{settings}\n[antivirus]\nsignatures = ["virus.hdb"]\n'
        )

        async def run() -> list[list[Finding]]:
            async with Engine.from_config(path) as engine:
                return [list((await engine.judge(Envelope(), raw)).copies[0].findings) for raw in raws]

        return asyncio.run(run())

    return judge


@pytest.fixture
def packed(tmp_path: Path, require: Callable[..., None]) -> Callable[..., bytes]:
    """Run a packing program in a folder with the files ``a.txt`` and ``dir/b.bin``; its output file."""

    def pack(output: str, *command: str, files: dict[str, bytes] | None = None) -> bytes:
        require(command[0])
        folder = tmp_path / "packing"
        for name, content in (files or {"a.txt": SECRET, "dir/b.bin": SECRET[::-1]}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return (folder / output).read_bytes()

    return pack


@pytest.fixture
def members() -> Callable[[Iterator[Member | Finding] | None], list[tuple[str, bytes]]]:
    """Names and contents of the members that a reader yields, findings left out."""

    def collect(items: Iterator[Member | Finding] | None) -> list[tuple[str, bytes]]:
        return [(item.name, b"".join(item.chunks)) for item in items or () if isinstance(item, Member)]

    return collect
