"""Messages with one attachment, taken apart, and what the heuristics say of it."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable

import pytest

from mailward import Message, Part, unpack_zip
from mailward_antivirus.heuristics.assess import Assessment, Heuristics
from mailward_antivirus.heuristics.level import Level


def attached(name: str, content: bytes, text: str = "hello", kind: str = "application/octet-stream") -> bytes:
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    return (
        b"From: a@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n"
        b"--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode() + b"\r\n--b1\r\n"
        b"Content-Type: " + kind.encode() + b"\r\nContent-Disposition: attachment; filename*=utf-8''" + quoted.encode()
        + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(content) + b"\r\n--b1--\r\n"
    )  # fmt: skip


def opened(raw: bytes) -> Message:
    message = Message.from_bytes(raw)
    for part in message.walk():
        message.add_members(part, unpack_zip(part) or ())
    return message


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return out.getvalue()


class Look:
    """Assesses attachments."""

    def part(self, name: str, content: bytes, text: str = "hello") -> Part:
        return opened(attached(name, content, text)).part("2")

    def __call__(self, name: str, content: bytes, text: str = "hello", level: Level = Level.HIGH) -> Assessment:
        return Heuristics(level).assess(self.part(name, content, text))

    def rules(self, name: str, content: bytes, text: str = "hello") -> set[str]:
        return {trait.rule for trait in self(name, content, text).traits}


@pytest.fixture(scope="session")
def look() -> Look:
    return Look()


@pytest.fixture(scope="session")
def pack() -> Callable[..., bytes]:
    return zipped
