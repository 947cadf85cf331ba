"""Messages with the EICAR test file in every wrapping, an engine that judges them, and a real clamd."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import io
import os
import quopri
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from mailward import Address, Copy, Engine, Envelope, Recipient, Sender

sys.path.insert(0, str(Path(__file__).parent))

from scanners.icap import start_icap

# In pieces, so that no file of the project is itself a hit.
EICAR = b"".join((b"X5O!P%@AP[4\\PZX54(P^)7", b"CC)7}$EICAR-STAND", b"ARD-ANTIVIRUS-TEST-", b"FILE!$H+H*"))
HEAD = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
ENVELOPE = Envelope(
    sender=Sender(Address.parse("a@example.com")), recipients=(Recipient(Address.parse("b@example.org")),), id="m1"
)


class Mails:
    """Raw messages."""

    eicar = EICAR

    def plain(self, body: bytes) -> bytes:
        return HEAD + b"\r\n" + body + b"\r\n"

    def parts(self, *parts: bytes, boundary: bytes = b"=_outer") -> bytes:
        lines = [HEAD, b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n']
        lines += [b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts]
        return b"".join(lines) + b"--" + boundary + b"--\r\n"

    def text(self, body: bytes = b"good day") -> bytes:
        return b"Content-Type: text/plain\r\n\r\n" + body

    def file(self, content: bytes, name: str = "a.bin", encoding: str = "base64") -> bytes:
        encoded = {
            "base64": lambda: base64.encodebytes(content).replace(b"\n", b"\r\n"),
            "quoted-printable": lambda: quopri.encodestring(content).replace(b"\n", b"\r\n"),
            "7bit": lambda: content,
        }[encoding]()
        head = f'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        return head.encode() + f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + encoded

    def attached(self, content: bytes, name: str = "a.bin", encoding: str = "base64") -> bytes:
        return self.parts(self.text(), self.file(content, name, encoding))

    def zipped(self, content: bytes, *names: str) -> bytes:
        """``content`` in a zip under the first name, that in a zip under the second, and so on."""
        for name in names:
            target = io.BytesIO()
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(name, content)
            content = target.getvalue()
        return content

    def uuencoded(self, content: bytes, name: str = "a.com") -> bytes:
        lines = [binascii.b2a_uu(content[at : at + 45]) for at in range(0, len(content), 45)]
        return b"".join((b"begin 644 " + name.encode() + b"\n", *lines, b"`\nend\n")).replace(b"\n", b"\r\n")

    def forwarded(self, raw: bytes) -> bytes:
        inner = raw.replace(b"=_outer", b"=_inner")
        return self.parts(self.text(), b"Content-Type: message/rfc822\r\n\r\n" + inner)

    def wrappings(self) -> dict[str, bytes]:
        """EICAR in each of the wrappings that every action is tried on."""
        return {
            "base64": self.attached(EICAR),
            "quoted-printable": self.attached(EICAR, encoding="quoted-printable"),
            "7bit": self.attached(EICAR, encoding="7bit"),
            "zip": self.attached(self.zipped(EICAR, "x.com"), "a.zip"),
            "zip in zip": self.attached(self.zipped(EICAR, "x.com", "inner.zip"), "a.zip"),
            "message": self.forwarded(self.attached(EICAR)),
            "uuencode": self.plain(b"good day\r\n\r\n" + self.uuencoded(EICAR) + b"\r\nbye"),
        }


@pytest.fixture
def mails() -> Mails:
    return Mails()


Judge = Callable[..., Copy]


def _configured(folder: Path, settings: str, plugins: str) -> Path:
    path = folder / "mailward.toml"
    path.write_text(f'plugins = {plugins}\n[gateway]\nhostname = "mx.example.org"\n[antivirus]\n{settings}\n')
    return path


async def _judged(engine: Engine, raw: bytes) -> Copy:
    verdict = await engine.judge(ENVELOPE, raw)
    (copy,) = verdict.copies
    return copy


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """What an engine with this ``[antivirus]`` section makes of a raw message."""

    def ask(raw: bytes, settings: str = "", plugins: str = '["antivirus"]') -> Copy:
        async def run() -> Copy:
            async with Engine.from_config(_configured(tmp_path, settings, plugins)) as engine:
                return await _judged(engine, raw)

        return asyncio.run(run())

    return ask


@pytest.fixture
def delivered() -> Callable[[bytes, Copy], bytes]:
    """The message as it leaves."""
    return _delivered


def _delivered(raw: bytes, copy: Copy) -> bytes:
    pieces, position = [], 0
    for splice in sorted(copy.splices, key=lambda splice: (splice.start, splice.end)):
        pieces += [raw[position : splice.start], splice.data]
        position = splice.end
    return b"".join((*pieces, raw[position:]))


@frozen
class RunningClamd:
    """A clamd of the test's own."""

    path: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def unix(self) -> str:
        return f'clamd = ["unix:{self.path}"]'

    @property
    def tcp(self) -> str:
        return f'clamd = ["127.0.0.1:{self.port}"]'

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


CLAMD_SAMPLE = b"a sample that only the test's clamd knows; " * 3


def start_clamd(folder: Path, *more: str, known: dict[str, bytes] | None = None) -> RunningClamd:
    """clamd on a database of its own that knows EICAR and `CLAMD_SAMPLE`; skips where there is none."""
    binary = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin")
    if binary is None:
        required = os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1"
        (pytest.fail if required else pytest.skip)("clamd is not installed (package clamav-daemon)")
    database = folder / "database"
    database.mkdir()
    (database / "own.hdb").write_text(
        f"{hashlib.md5(CLAMD_SAMPLE).hexdigest()}:{len(CLAMD_SAMPLE)}:Test.Sample\n"
        f"{hashlib.md5(EICAR).hexdigest()}:68:Test.Eicar\n"
        + "".join(f"{hashlib.md5(one).hexdigest()}:{len(one)}:{name}\n" for name, one in (known or {}).items())
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config, path = folder / "clamd.conf", folder / "clamd.sock"
    lines = [
        f"LocalSocket {path}", f"TCPSocket {port}", "TCPAddr 127.0.0.1", f"DatabaseDirectory {database}",
        f"TemporaryDirectory {folder}", "Foreground true", "AlertEncryptedArchive true", "AlertExceedsMax true", *more,
    ]  # fmt: skip
    config.write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([binary, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail("clamd did not start")
        time.sleep(0.02)
    return RunningClamd(path, port, process)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"zPING\0")
            return connection.recv(16) == b"PONG\0"
    except OSError:
        return False


@pytest.fixture(scope="session")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningClamd]:
    """One clamd for all tests that do not stop it; it takes at most 1 MB a stream."""
    running = start_clamd(tmp_path_factory.mktemp("clamd"), "StreamMaxLength 1M")
    yield running
    running.stop()


@pytest.fixture
def make_clamd() -> Callable[..., RunningClamd]:
    """Starts a clamd in a folder; the test ends it."""
    return start_clamd


@pytest.fixture
def testfiles_clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningClamd]:
    """A clamd that knows the program of clamav-testfiles."""
    folder = tmp_path_factory.mktemp("reach")
    content = Path("/usr/share/clamav-testfiles/clam.exe").read_bytes()
    running = start_clamd(folder, known={"Test.Clam": content})
    yield running
    running.stop()


@pytest.fixture
def own_clamd(tmp_path: Path) -> Iterator[RunningClamd]:
    """A clamd that the test may stop."""
    running = start_clamd(tmp_path)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def icap(tmp_path_factory: pytest.TempPathFactory, clamd: RunningClamd) -> Iterator[Any]:
    """One c-icap that asks the clamd of all tests."""
    running = start_icap(tmp_path_factory.mktemp("icap"), clamd.path)
    yield running
    running.stop()
