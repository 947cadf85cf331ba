"""Messages with named files in every wrapping, and an engine with the content plugin that judges them."""

from __future__ import annotations

import asyncio
import base64
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailward import Copy, Engine, Envelope

HEAD = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
TEXT = b"Content-Type: text/plain\r\n\r\ngood day"


class Mails:
    """Raw messages."""

    def parts(self, *parts: bytes) -> bytes:
        body = b"".join(b"--=_b\r\n" + part + b"\r\n" for part in (TEXT, *parts))
        return HEAD + b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n' + body + b"--=_b--\r\n"

    def plain(self, body: bytes) -> bytes:
        return HEAD + b"\r\n" + body + b"\r\n"

    def file(self, name: str, content: bytes = b"harmless", headers: str = "") -> bytes:
        fields = (
            headers
            or f'Content-Type: application/x; name="x"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        )
        encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
        return fields.encode() + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded

    def attached(self, name: str, content: bytes = b"harmless") -> bytes:
        return self.parts(self.file(name, content))

    def zipped(self, *names: str, content: bytes = b"harmless") -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, content)
        return target.getvalue()

    def locked(self, *names: str) -> bytes:
        """A zip whose members say that they are encrypted."""
        made = bytearray(self.zipped(*names))
        for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            at = made.find(mark)
            while at >= 0:
                made[at + offset] |= 1
                at = made.find(mark, at + 4)
        return bytes(made)

    def titled(self, *subjects: str) -> bytes:
        """A message with these subject fields, as they stand."""
        fields = "".join(f"Subject: {subject}\r\n" for subject in subjects).encode("utf-8", "surrogateescape")
        return b"From: a@example.com\r\nTo: b@example.org\r\n" + fields + b"\r\ngood day\r\n"

    def html(self, markup: str) -> bytes:
        return HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + markup.encode() + b"\r\n"

    def forwarded(self, raw: bytes) -> bytes:
        return self.parts(b"Content-Type: message/rfc822\r\n\r\n" + raw.replace(b"=_b", b"=_i"))


@pytest.fixture
def mails() -> Mails:
    return Mails()


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., Copy]:
    """What an engine with this ``[content]`` section makes of a raw message."""

    def ask(raw: bytes, settings: str = "", *, on: bool = True) -> Copy:
        path = tmp_path / "mailward.toml"
        enabled = "block_names = true\n" if on else ""
        path.write_text(
            f'plugins = ["content"]\n[gateway]\nhostname = "mx.example.org"\n[content]\n{enabled}{settings}\n'
        )

        async def run() -> Copy:
            async with Engine.from_config(path) as engine:
                (copy,) = (await engine.judge(Envelope(), raw)).copies
                return copy

        return asyncio.run(run())

    return ask


@pytest.fixture
def copies(tmp_path: Path) -> Callable[..., tuple[Copy, ...]]:
    """What an engine with this ``[content]`` section makes of a raw message: a copy for each policy."""

    def ask(raw: bytes, settings: str = "", envelope: Envelope | None = None, *, more: str = "") -> tuple[Copy, ...]:
        path = tmp_path / "mailward.toml"
        head = 'plugins = ["content"]\n[gateway]\nhostname = "mx.example.org"\n'
        path.write_text(f"{head}[content]\n{settings}\n{more}", encoding="utf-8")

        async def run() -> tuple[Copy, ...]:
            async with Engine.from_config(path) as engine:
                return (await engine.judge(envelope or Envelope(), raw)).copies

        return asyncio.run(run())

    return ask


@pytest.fixture
def content(copies: Callable[..., tuple[Copy, ...]]) -> Callable[..., Copy]:
    """The same where there is one copy."""

    def ask(*arguments: Any, **more: Any) -> Copy:
        (copy,) = copies(*arguments, **more)
        return copy

    return ask


@pytest.fixture
def delivered() -> Callable[[bytes, Copy], bytes]:
    """The message as it leaves."""

    def leave(raw: bytes, copy: Copy) -> bytes:
        pieces, position = [], 0
        for splice in sorted(copy.splices, key=lambda splice: (splice.start, splice.end)):
            pieces += [raw[position : splice.start], splice.data]
            position = splice.end
        return b"".join((*pieces, raw[position:]))

    return leave
