"""Servers that are not clamd, or a clamd that is not well: never clean."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mailward import Engine, Envelope, Kind, Message, Part
from mailward_antivirus import Fault, Report, ScanStatus
from mailward_antivirus.clamd import ClamdServer
from mailward_antivirus.clamd_address import ClamdAddress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BIG = bytes(4 * 1024 * 1024)


def leaf(content: bytes) -> Part:
    (part,) = Message.from_bytes(b"Content-Transfer-Encoding: binary\r\n\r\n" + content).walk()
    return part


async def command(reader: asyncio.StreamReader) -> bytes:
    """The next command, after the one that opens a session."""
    name = await reader.readuntil(b"\0")
    return await reader.readuntil(b"\0") if name == b"zIDSESSION\0" else name


async def content_of(reader: asyncio.StreamReader) -> bytes:
    """What an INSTREAM conversation carries."""
    pieces = []
    while size := int.from_bytes(await reader.readexactly(4), "big"):
        pieces.append(await reader.readexactly(size))
    return b"".join(pieces)


def answering(reply: bytes, pong: bytes = b"PONG\0") -> Handler:
    """A server that takes the content as it should and gives this answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await command(reader) == b"zPING\0":
            writer.write(pong)
            return
        await content_of(reader)
        writer.write(reply)

    return serve


def breaking(after: int, reply: bytes = b"", *, pong: bool = True) -> Handler:
    """A server that gives this answer and closes after so many bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await command(reader) == b"zPING\0":
            writer.write(b"PONG\0" if pong else b"")
            return
        if after:
            await reader.readexactly(after)
        writer.write(reply)
        if not reply:
            writer.transport.abort()

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes everything and says nothing."""
    await reader.read()


async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that answers a PING and never an INSTREAM."""
    if await command(reader) == b"zPING\0":
        writer.write(b"PONG\0")
        return
    await reader.read()


async def stalling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that does not read, so that sending comes to a halt."""
    await asyncio.sleep(5)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server whose answer has no end."""
    await command(reader)
    await content_of(reader)
    writer.write(b"1: stream: OK " * 2000)
    await writer.drain()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that gives its answer a byte at a time, too slowly."""
    await reader.readuntil(b"\0")
    for byte in b"1: stream: OK\0":
        writer.write(bytes((byte,)))
        await asyncio.sleep(0.1)


def scanned(handler: Handler, content: bytes = b"harmless", timeout_s: float = 0.5) -> Report:
    async def run() -> Report:
        open_ones: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            open_ones.append(writer)
            try:
                await handler(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        clamd = ClamdServer(ClamdAddress(host="127.0.0.1", port=port), timeout_s=timeout_s)
        try:
            return await clamd.scan(leaf(content))
        finally:
            clamd.close()
            server.close()
            for writer in open_ones:
                writer.transport.abort()

    return asyncio.run(run())


def test_the_helper_server_answers_like_clamd() -> None:
    assert scanned(answering(b"1: stream: OK\0")) == Report()
    assert scanned(answering(b"1: stream: OK\0"), BIG, 10) == Report()
    assert scanned(answering(b"1: stream: X FOUND\0")).status is ScanStatus.INFECTED


@pytest.mark.parametrize(
    ("handler", "content", "fault"),
    [
        (answering(b"1: stream: OK"), b"x", Fault.CONTENT),
        (answering(b""), b"x", Fault.CONTENT),
        (answering(b"", pong=b"WHAT\0"), b"x", Fault.SCANNER),
        (answering(b"HTTP/1.0 200 OK\r\n\r\n\0"), b"x", Fault.SCANNER),
        (answering(b"\0"), b"x", Fault.SCANNER),
        (answering(b"\xff\xfe\0"), b"x", Fault.SCANNER),
        (answering(b"1: stream: Can't create new file ERROR\0"), b"x", Fault.SCANNER),
        (breaking(1000), BIG, Fault.LIMIT),
        (breaking(1000, b"INSTREAM size limit exceeded. ERROR\0"), BIG, Fault.LIMIT),
        (breaking(1000, pong=False), BIG, Fault.SCANNER),
        (breaking(0), b"x", Fault.CONTENT),
        (silent, b"x", Fault.SCANNER),
        (busy, b"x", Fault.CONTENT),
        (stalling, BIG * 4, Fault.SCANNER),
        (endless, b"x", Fault.SCANNER),
        (dripping, b"x", Fault.SCANNER),
    ],
)
def test_what_is_no_answer_is_unchecked(handler: Handler, content: bytes, fault: Fault) -> None:
    report = scanned(handler, content)
    assert (report.status, report.fault) == (ScanStatus.ERROR, fault)
    assert report.detail


@pytest.mark.parametrize("first", [b"1: stream: OK\0stream: OK\0", b"1: stream: OK\02: stream: OK\0"])
def test_an_answer_too_many_is_not_one_to_the_next_content(first: bytes) -> None:
    async def run() -> tuple[Report, Report]:
        replies = iter((first, b"X: stream: Evil FOUND\0"))

        talks: list[asyncio.Task[None] | None] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talks.append(asyncio.current_task())
            number = 0
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await reader.readuntil(b"\0")
                while await reader.readuntil(b"\0"):
                    await content_of(reader)
                    number += 1
                    writer.write(next(replies).replace(b"X", b"%d" % number))
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        clamd = ClamdServer(ClamdAddress(host="127.0.0.1", port=server.sockets[0].getsockname()[1]), timeout_s=20)
        reports = await clamd.scan(leaf(b"harmless")), await clamd.scan(leaf(b"evil"))
        clamd.close()
        server.close()
        await asyncio.gather(*filter(None, talks))
        return reports

    assert [report.name for report in asyncio.run(run())] == ["", "Evil"]


def test_an_answer_without_its_number_is_not_clear() -> None:
    report = scanned(answering(b"stream: OK\0"))
    assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.SCANNER)


def test_an_ok_before_the_content_was_sent_is_not_believed() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"1: stream: OK\0")
        await writer.drain()
        await reader.read()

    report = scanned(hasty, BIG, 5)
    assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.SCANNER)


def test_no_server_at_all_is_unavailable(tmp_path: Path) -> None:
    for address in (ClamdAddress(path=str(tmp_path / "none.sock")), ClamdAddress(host="127.0.0.1", port=1)):
        report = asyncio.run(ClamdServer(address).scan(leaf(b"x")))
        assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.SCANNER)
        assert f"clamd at {address} cannot be reached" in report.detail


def test_equal_content_is_sent_once_and_told_of_every_part(mails: Any, tmp_path: Path) -> None:
    sent: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await command(reader) == b"zVERSION\0":
            return writer.close()
        sent.append(await content_of(reader))
        writer.write(b"1: stream: Same FOUND\0" if sent[-1] == b"same" else b"1: stream: OK\0")
        writer.close()

    async def run() -> Any:
        server = await asyncio.start_unix_server(serve, tmp_path / "clamd.sock")
        (tmp_path / "mailward.toml").write_text('plugins = ["antivirus"]\n[antivirus]\nclamd = ["unix:clamd.sock"]\n')
        async with server, Engine.from_config(tmp_path / "mailward.toml") as engine:
            files = (mails.file(b"same", "1"), mails.file(b"same", "2", "7bit"), mails.file(b"else"), mails.file(b""))
            return await engine.judge(Envelope(), mails.parts(mails.text(), *files))

    (copy,) = asyncio.run(run()).copies
    assert sorted(sent) == [b"else", b"good day", b"same"]
    assert [(f.part, f.name) for f in copy.findings if f.kind is Kind.INFECTED] == [("2", "Same"), ("3", "Same")]


def test_a_scanner_that_is_not_well_is_not_asked_for_every_part(mails: Any, tmp_path: Path) -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    async def run() -> Any:
        server = await asyncio.start_unix_server(serve, tmp_path / "clamd.sock")
        settings = '[antivirus]\nclamd = ["unix:clamd.sock"]\nclamd_timeout_s = 0.2\n'
        (tmp_path / "mailward.toml").write_text(f'plugins = ["antivirus"]\n{settings}')
        async with server, Engine.from_config(tmp_path / "mailward.toml") as engine:
            files = [mails.file(b"%d" % number) for number in range(50)]
            return await engine.judge(Envelope(), mails.parts(*files))

    (copy,) = asyncio.run(run()).copies
    assert asked <= 9  # four at a time, each with its PING, and the question for the version
    assert len([f for f in copy.findings if f.kind is Kind.UNCHECKED]) == 50
    assert copy.action.name == "defer"
