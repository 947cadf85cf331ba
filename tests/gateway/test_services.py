"""Connections of one process, without a program around them: switches and figures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from attrs import frozen

from mailward import DnsFault, Engine, Finding, Kind, MailExchanger, NameNotFound, Resolver, Switches
from mailward.engine.board import Board
from mailward.engine.config import parse_config
from mailward.engine.gate import Ruling
from mailward.gateway.acceptance import Acceptance, Plan
from mailward.gateway.login import FORGET_S, LoginFailures
from mailward.gateway.server import Server
from mailward.gateway.services import Services
from mailward.spool.incoming import Incoming
from mailward.spool.spool import Spool
from mailward.values.envelope import Envelope
from mailward.values.reply import Reply

LIMITS = "max_recipients = 1\nmax_message_bytes = '64 KB'\nmax_errors = 2\n"
MAIL = (
    b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\n"
    b"MAIL FROM:<again@b.example>\r\nDATA\r\n"
)


@frozen
class Accepting:
    """Accepts everything and keeps nothing."""

    async def accept(self, envelope: Envelope, incoming: Incoming, receive_ms: float, *, lmtp: bool = False) -> Plan:
        return Plan(Reply(250, "2.0.0", "OK"))


@asynccontextmanager
async def listening(folder: Path, board: Board, more: str = "") -> AsyncIterator[tuple[Services, int]]:
    """A listener on a free port."""
    text = f"plugins = []\n[gateway]\nlisten = ['127.0.0.1:0']\nhostname = 'mx.example.test'\n{LIMITS}{more}\n"
    engine = Engine(parse_config(text, "test", folder))
    spool = Spool(folder)
    spool.open()
    services = Services(engine, cast(Acceptance, Accepting()), spool, board)
    server = await asyncio.get_running_loop().create_server(services.listeners[0].connection, "127.0.0.1", 0)
    try:
        async with engine, server:
            yield services, server.sockets[0].getsockname()[1]
    finally:
        spool.close()


async def talk(port: int, first: bytes = b"", content: bytes = b"") -> list[int]:
    """Say this after the greeting, and content where it is asked for; the codes of all replies."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = await asyncio.wait_for(reader.readline(), 20)
    writer.write(first)
    if content:
        said += await asyncio.wait_for(reader.readuntil(b"354 Start mail input; end with <CRLF>.<CRLF>\r\n"), 20)
        writer.write(content)
    said += await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return [int(line[:3]) for line in said.splitlines() if line[3:4] == b" "]


def test_nobody_is_let_in_while_mail_is_not_accepted(tmp_path: Path) -> None:
    async def go() -> list[list[int]]:
        board = Board(Switches(accept=False))
        async with listening(tmp_path, board) as (services, port):
            refused = await talk(port)
            board.set(Switches())
            answered = await talk(port, b"QUIT\r\n")
            assert services.stats().refused_connections == 1
            return [refused, answered]

    assert asyncio.run(go()) == [[421], [220, 221]]


def test_what_happens_is_counted(tmp_path: Path) -> None:
    async def go() -> None:
        async with listening(tmp_path, Board()) as (services, port):
            after = b"text\r\n.\r\nMAIL FROM:<a@b.example> SIZE=99999\r\nWHAT\r\n"
            said = [220, 250, 250, 250, 452, 503, 354]
            assert await talk(port, MAIL, after) == [*said, 250, 552, 500, 421]
            assert await talk(port, MAIL, b"bare\n\r\n.\r\nQUIT\r\n") == [*said, 554, 221]
            stats = services.stats()
            assert (stats.connections, stats.messages, stats.message_bytes) == (2, 1, 6)
            assert (stats.refused_recipients, stats.refused_max_recipients) == (2, 2)
            assert (stats.refused_messages, stats.refused_line_ends) == (1, 1)
            assert (stats.refused_senders, stats.refused_message_size) == (1, 1)
            assert stats.protocol_violations == 2
            while services.connections:
                await asyncio.sleep(0.01)
            assert services.stats().open_connections == 0
            assert services.engine.tally.total("in") == 0

    asyncio.run(go())


async def until_content(services: Services, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Server]:
    """A connection in the middle of content, and the server's side of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.wait_for(reader.readline(), 20)
    writer.write(MAIL)
    await asyncio.wait_for(reader.readuntil(b"<CRLF>.<CRLF>\r\n"), 20)
    writer.write(b"Subject: slow\r\n")
    (server,) = services.connections
    while not server.content_bytes:
        await asyncio.sleep(0.01)
    return reader, writer, server


def test_content_that_comes_too_slowly_is_given_up(tmp_path: Path) -> None:
    async def go() -> None:
        async with listening(tmp_path, Board()) as (services, port):
            reader, writer, server = await until_content(services, port)
            now = asyncio.get_running_loop().time()
            server.check_time(now + 59)
            assert services.stats().timed_out == 0
            server.check_time(now + 61)
            assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"421 4.4.2 Content comes too slowly")
            assert services.stats().timed_out == 1
            writer.close()
            while services.connections:
                await asyncio.sleep(0.01)
            assert not list(tmp_path.glob("spool/*/tmp/*"))

    asyncio.run(go())


def test_a_client_that_takes_no_replies_is_cut(tmp_path: Path) -> None:
    async def go() -> None:
        async with listening(tmp_path, Board()) as (services, port):
            reader, writer, server = await until_content(services, port)
            server.pause_writing()
            server.check_time(asyncio.get_running_loop().time() + 121)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 20) == b""
            writer.close()

    asyncio.run(go())


def test_what_was_found_at_hello_is_said_once_however_often_hello_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def helo(session: object, name: str) -> Ruling:
        return Ruling(findings=(Finding(Kind.NOTE, "test", name),))

    async def go() -> list[str]:
        async with listening(tmp_path, Board()) as (services, port):
            monkeypatch.setattr(services.engine.gate, "helo", helo)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.wait_for(reader.readline(), 20)
            writer.write(b"EHLO one.example\r\nEHLO two.example\r\nMAIL FROM:<a@b.example>\r\n")
            await asyncio.wait_for(reader.readuntil(b"250 2.1.0 OK\r\n"), 20)
            (server,) = services.connections
            assert server.transaction is not None
            writer.close()
            return [finding.rule for finding in server.transaction.findings]

    assert asyncio.run(go()) == ["two.example"]


@frozen
class NoNames:
    """DNS without names for addresses, and with a fault for one domain."""

    async def names(self, address: str) -> tuple[str, ...]:
        raise NameNotFound(address)

    async def confirmed_names(self, address: str) -> tuple[str, ...]:
        return ()

    async def mx(self, domain: str) -> tuple[MailExchanger, ...]:
        raise DnsFault(domain) if domain == "broken.example" else NameNotFound(domain)

    async def addresses(self, host: str) -> tuple[str, ...]:
        raise NameNotFound(host)


def test_clients_without_a_name_are_refused_where_that_is_wanted(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with listening(tmp_path, Board(), "deny_unresolved_clients = true") as (services, port):
            services.engine.resolver = cast(Resolver, NoNames())
            codes = await talk(port)
            assert services.stats().refused_unresolved_clients == 1
            return codes

    assert asyncio.run(go()) == [554]


def test_senders_without_a_domain_are_refused_where_that_is_wanted(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with listening(tmp_path, Board(), "deny_unresolved_senders = true") as (services, port):
            services.engine.resolver = cast(Resolver, NoNames())
            senders = ("a@nowhere.example", "a@broken.example", "")
            lines = "".join(f"MAIL FROM:<{sender}>\r\n" for sender in senders)
            codes = await talk(port, f"EHLO client.example\r\n{lines}QUIT\r\n".encode())
            assert services.stats().refused_unresolved_senders == 2
            return codes

    assert asyncio.run(go()) == [220, 250, 550, 451, 250, 221]


def test_failed_log_ins_of_an_address_are_forgotten_in_time_and_by_a_good_one() -> None:
    now = [0.0]
    failures = LoginFailures(lambda: now[0])
    assert [failures.add("192.0.2.1") for _ in range(3)] == [1, 2, 3]
    assert (failures.of("192.0.2.1"), failures.of("192.0.2.2")) == (3, 0)
    now[0] = FORGET_S
    assert failures.of("192.0.2.1") == 0
    assert failures.add("192.0.2.1") == 1
    failures.clear("192.0.2.1")
    assert failures.of("192.0.2.1") == 0
