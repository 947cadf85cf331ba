"""Servers that are no ICAP servers, or not well: never clean. And what each answer means."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Message, Part
from mailward_antivirus import Fault, Report, ScanStatus
from mailward_antivirus.icap import IcapServer
from mailward_antivirus.icap_message import Answer, Head, IcapAddress, IcapError, judge, read_head
from mailward_antivirus.remote import Remote

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OPTIONS = b'ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nISTag: "1"\r\nPreview: 4\r\nEncapsulated: null-body=0\r\n\r\n'
CLEAR = b'ICAP/1.0 204 No Content\r\nISTag: "1"\r\n\r\n'
HTTP = b"HTTP/1.1 200 OK\r\n\r\n"


def leaf(content: bytes) -> Part:
    (part,) = Message.from_bytes(b"Content-Transfer-Encoding: binary\r\n\r\n" + content).walk()
    return part


def modified(body: bytes, *fields: bytes, http: bytes = HTTP) -> bytes:
    head = b"".join(field + b"\r\n" for field in fields)
    encapsulated = b"Encapsulated: res-hdr=0, res-body=%d\r\n\r\n" % len(http)
    return b"ICAP/1.0 200 OK\r\n" + head + encapsulated + http + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


async def content_of(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


def answering(reply: bytes, offered: bytes = OPTIONS) -> Handler:
    """A server that takes the content as it should and gives this answer; then it closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"OPTIONS"):
                writer.write(offered)
                continue
            if b"RESPMOD" in head:
                await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            await content_of(reader)
            writer.write(reply)
            return

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what it can do, and nothing to content."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        if head.startswith(b"OPTIONS"):
            writer.write(OPTIONS)


async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers before it has the content."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OPTIONS)
    await reader.readuntil(b"\r\n\r\n")
    writer.write(CLEAR)
    await asyncio.sleep(0.2)
    await reader.read(1000)


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Breaks off in the middle of the content."""
    while (await reader.readuntil(b"\r\n\r\n")).startswith(b"OPTIONS"):
        writer.write(OPTIONS)
    await reader.readexactly(1000)
    writer.transport.abort()


def scanned(handler: Handler, content: bytes = b"harmless", *, preview: bool = False, timeout_s: float = 1.0) -> Report:
    async def run() -> Report:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handler(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        engine = IcapServer(IcapAddress("127.0.0.1", port, "scan"), preview, timeout_s=timeout_s)
        try:
            return await engine.scan(leaf(content))
        finally:
            engine.close()
            server.close()

    return asyncio.run(run())


def test_the_helper_server_answers_like_an_icap_server() -> None:
    assert scanned(answering(CLEAR)) == Report()
    assert scanned(answering(CLEAR), bytes(3_000_000), timeout_s=10) == Report()
    assert scanned(answering(modified(b"harmless"))) == Report()
    reqmod = OPTIONS.replace(b"RESPMOD", b"REQMOD")
    assert scanned(answering(CLEAR, reqmod)) == Report()


@pytest.mark.parametrize(
    ("fields", "status", "name"),
    [
        ((b"X-Infection-Found: Type=0; Resolution=2; Threat=W32/Test;",), ScanStatus.INFECTED, "W32/Test"),
        ((b"X-Infection-Found: Type=0; Resolution=0; Threat=A b c;",), ScanStatus.INFECTED, "A b c"),
        ((b"X-Infection-Found: Type=1; Resolution=2; Threat=Policy;",), ScanStatus.SUSPICIOUS, "Policy"),
        ((b"X-Infection-Found: Type=2; Resolution=2; Threat=Zip;",), ScanStatus.ERROR, "Zip"),
        ((b"X-Infection-Found: strange",), ScanStatus.INFECTED, "strange"),
        ((b"X-Virus-ID: Win.Test",), ScanStatus.INFECTED, "Win.Test"),
        ((b"X-Virus-ID: Heuristics.Encrypted.Zip",), ScanStatus.PROTECTED, "Heuristics.Encrypted.Zip"),
        ((b"X-Violations-Found: 1\r\n\tfile.exe\r\n\tW97M/Test\r\n\t0\r\n\t0",), ScanStatus.INFECTED, "W97M/Test"),
        ((b"x-violations-found: 1",), ScanStatus.INFECTED, "unnamed"),
    ],
)
def test_fields_that_name_something_found(fields: tuple[bytes, ...], status: ScanStatus, name: str) -> None:
    for reply in (
        modified(b"<html>", *fields, http=b"HTTP/1.1 403 Forbidden\r\n\r\n"),
        CLEAR[:-2] + fields[0] + b"\r\n\r\n",
    ):
        report = scanned(answering(reply))
        assert (report.status, report.name) == (status, name)


def test_a_repaired_content_is_the_answers_body() -> None:
    field = b"X-Infection-Found: Type=0; Resolution=1; Threat=W32/Test;"
    report = scanned(answering(modified(b"good", field)))
    assert (report.status, report.repaired) == (ScanStatus.DISINFECTED, b"good")


@pytest.mark.parametrize("violations", [b"0", b"0\r\n"])
def test_no_violations_are_nothing(violations: bytes) -> None:
    assert scanned(answering(CLEAR[:-2] + b"X-Violations-Found: 0\r\n\r\n")) == Report()


@pytest.mark.parametrize(
    ("handler", "content", "fault"),
    [
        (answering(b"ICAP/1.0 500 Server Error\r\n\r\n"), b"x", Fault.SCANNER),
        (answering(b"ICAP/1.0 404 Not Found\r\n\r\n"), b"x", Fault.SCANNER),
        (answering(b"ICAP/1.0 413 Too Large\r\n\r\n"), b"x", Fault.LIMIT),
        (answering(b"ICAP/1.0 100 Continue\r\n\r\n"), b"x", Fault.SCANNER),
        (answering(b"HTTP/1.1 204 No Content\r\n\r\n"), b"x", Fault.SCANNER),
        (answering(b"ICAP/1.0 204 No Content\r\n"), b"x", Fault.SCANNER),
        (answering(b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0\r\n\r\n"), b"x", Fault.SCANNER),
        (answering(b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=99999999\r\n\r\n"), b"x", Fault.SCANNER),
        (answering(modified(b"harmless")[:-9]), b"harmless", Fault.SCANNER),
        (answering(modified(b"harmless").replace(b"8\r\nharm", b"zz\r\nharm")), b"harmless", Fault.SCANNER),
        (answering(modified(bytes(3_000_000))), b"x", Fault.SCANNER),
        (answering(b"ICAP/1.0 204 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"), b"x", Fault.SCANNER),
        (answering(CLEAR, b"ICAP/1.0 200 OK\r\nMethods: OPTIONS\r\n\r\n"), b"x", Fault.SCANNER),
        (answering(CLEAR, b"ICAP/1.0 404 Not Found\r\n\r\n"), b"x", Fault.SCANNER),
        (answering(CLEAR, b"WHAT\r\n\r\n"), b"x", Fault.SCANNER),
        (silent, b"x", Fault.SCANNER),
        (busy, b"x", Fault.CONTENT),
        (hasty, bytes(8_000_000), Fault.CONTENT),
        (closing, bytes(8_000_000), Fault.SCANNER),
    ],
)
def test_what_is_no_answer_is_unchecked(handler: Handler, content: bytes, fault: Fault) -> None:
    report = scanned(handler, content)
    assert (report.status, report.fault) == (ScanStatus.ERROR, fault)
    assert report.detail


@pytest.mark.parametrize("http", [b"HTTP/1.1 403 Forbidden\r\n\r\n", HTTP])
def test_other_content_without_a_reason_is_suspicious(http: bytes) -> None:
    assert scanned(answering(modified(b"<html>no</html>", http=http))).status is ScanStatus.SUSPICIOUS


def test_the_same_content_under_an_error_page_is_not_clear() -> None:
    assert scanned(answering(modified(b"harmless", http=b"HTTP/1.1 403 No\r\n\r\n"))).status is ScanStatus.SUSPICIOUS


@pytest.mark.parametrize(
    "first", [CLEAR + CLEAR, modified(CLEAR).replace(b" 200 OK", b" 500 Broken", 1), modified(b"harmless") + CLEAR]
)
def test_an_answer_too_many_is_not_one_to_the_next_content(first: bytes) -> None:
    async def run() -> str:
        replies = iter((first, modified(b"", b"X-Virus-ID: Evil")))

        talks: list[asyncio.Task[None] | None] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talks.append(asyncio.current_task())
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while head := await reader.readuntil(b"\r\n\r\n"):
                    if head.startswith(b"OPTIONS"):
                        writer.write(OPTIONS)
                        continue
                    await reader.readuntil(b"\r\n\r\n")
                    await reader.readuntil(b"\r\n\r\n")
                    await content_of(reader)
                    writer.write(next(replies))
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        icap = IcapServer(IcapAddress.parse(f"icap://127.0.0.1:{port}/x"), timeout_s=20)
        await icap.scan(leaf(b"harmless"))
        report = await icap.scan(leaf(b"evil"))
        icap.close()
        server.close()
        await asyncio.gather(*filter(None, talks))
        return report.name

    assert asyncio.run(run()) == "Evil"


def test_answers_are_kept_for_one_service_and_one_way_of_asking_it() -> None:
    async def run() -> set[str]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OPTIONS)
            await writer.drain()
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"icap://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        versions = set()
        for service in ("one", "two"):
            for preview in (False, True):
                icap = IcapServer(IcapAddress.parse(f"{address}/{service}"), preview, timeout_s=20)
                version = await Remote("icap", (icap,)).version()
                assert version.startswith('"1" ')
                versions.add(version.rpartition(" ")[0])  # without the hour
                icap.close()
        server.close()
        return versions

    assert len(asyncio.run(run())) == 4


def test_with_a_preview_the_service_decides_on_the_first_bytes_and_may_ask_for_the_rest() -> None:
    got: list[bytes] = []

    def previewing(reply: bytes) -> Handler:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OPTIONS)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"Preview: 4\r\n" in head
            await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            got.append(await content_of(reader))
            if reply is CLEAR:
                writer.write(CLEAR)
                return
            writer.write(b"ICAP/1.0 100 Continue\r\n\r\n")
            got.append(await content_of(reader))
            writer.write(reply)

        return serve

    assert scanned(previewing(CLEAR), b"harmless", preview=True) == Report()
    found = modified(b"", b"X-Virus-ID: Test")
    assert scanned(previewing(found), b"harmless", preview=True).name == "Test"
    assert got == [b"harm", b"harm", b"less"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "icap://",
        "http://a/b",
        "icap://a:0/b",
        "icap://a:x/b",
        "icap://u@a/b",
        "icap://a/b c",
        "icap://a/b#c",
        "icap://a/\r\n",
    ],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"allowed: icap://host"):
        IcapAddress.parse(text)


def test_addresses() -> None:
    assert str(IcapAddress.parse("icap://[::1]:99/a/b?c=d")) == "icap://[::1]:99/a/b?c=d"
    assert IcapAddress.parse("icap://scanner").port == 1344


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_or_an_error(raw: bytes) -> None:
    try:
        head = read_head(raw)
    except IcapError:
        return
    assert 100 <= head.status <= 599


@given(st.integers(100, 599), st.dictionaries(st.text(max_size=20), st.text(max_size=50)), st.booleans())
def test_only_a_complete_204_or_the_same_content_is_clear(status: int, fields: dict[str, str], complete: bool) -> None:
    report = judge(Answer(Head(status, fields), complete=complete))
    if report.status is ScanStatus.CLEAR:
        assert (status, complete) == (204, True)
