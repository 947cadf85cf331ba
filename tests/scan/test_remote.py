"""Scan servers: asked over TLS with a key, one for another, and trusted with nothing they have not proved."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from attrs import evolve

from mailward import Copy, Deliver, Event, ScanServerBack, ScanServerLost, Suspect, Verdict
from mailward.engine.config import Config, parse_config
from mailward.scan.pool import Pool
from mailward.scan.protocol import Answer, Setup, frame
from mailward.scan.remote.key import SERVER, Key
from mailward.scan.remote.link import Link, Terms, ask_status
from mailward.scan.remote.server import Identity, ScanServer
from mailward.scan.remote.talk import Challenge, Hello, Proof, Request, Welcome, hear, read, say
from mailward.values.endpoint import Endpoint
from mailward.values.errors import ConfigError, ScanError
from mailward.values.wire import dump, load

from .conftest import ORDERS, Start, envelope

KEY = "a key of quite some length for the tests"
Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    pair = trustme.CA().issue_cert("localhost")
    pair.private_key_pem.write_to_path(folder / "private.pem")
    pair.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    other = trustme.CA().issue_cert("localhost")
    other.private_key_pem.write_to_path(folder / "other-private.pem")
    other.cert_chain_pems[0].write_to_path(folder / "other-cert.pem")
    return folder


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    return path


class Serving:
    """A scan server that runs in the test."""

    def __init__(self, server: ScanServer, pool: Pool, name: str, events: list[Event]) -> None:
        self.server = server
        self.pool = pool
        self.name = name
        self.events = events


Serve = Callable[..., "AsyncIterator[Serving]"]


@pytest.fixture
def serve(tmp_path: Path, certificate: Path, key: Path):
    @asynccontextmanager
    async def start(extra: str = "", listen: str = "127.0.0.1:0", scan: str = "workers = 1", more: str = ""):
        (tmp_path / "orders.py").write_text(ORDERS.replace("NETWORK", "False"))
        text = (
            f'plugins = ["./orders.py"]\n[scan]\n{scan}\n[scan_server]\nlisten = ["{listen}"]\n'
            f'certificate = "{certificate}/cert.pem"\nprivate_key = "{certificate}/private.pem"\nkey = "key"\n'
            f"{extra}\n{more}"
        )
        config = parse_config(text, "server", tmp_path)
        events: list[Event] = []
        pool = Pool(Setup(config.text, config.source, str(config.base)), config.core.scan, events.append)
        server = ScanServer(config, Identity(config), pool)
        try:
            await pool.start()
            (name,) = await server.start()
            yield Serving(server, pool, name, events)
        finally:
            await server.stop()
            await pool.stop()

    return start


def asking(*servers: str, extra: str = "") -> str:
    """Lines of ``[scan]`` of a gateway that asks these servers and has no processes of its own."""
    names = ", ".join(f'"{name}"' for name in servers)
    return f'workers = 1\nservers = [{names}]\nserver_key = "key"\nfallback = "defer"\nconnect_timeout_s = 5\n{extra}'


def test_messages_of_all_sizes_are_judged_there(pool: Start, serve) -> None:
    async def main() -> None:
        async with serve() as there, pool(asking(there.name)) as run:
            size = "len(self.message.raw)"
            for body_bytes in (0, 5000, 900_000, 3_000_000):
                for file in (False, True):
                    answer = await run.answer(size, b"x" * body_bytes, file=file)
                    assert answer == str(len(f"Subject: {size}\r\n\r\n") + body_bytes)
            assert not run.pool.pids
            assert there.pool.stats().judged == 8
            stats = run.pool.stats()
            assert (stats.judged, stats.remote, stats.remote_failures) == (8, 8, 0)
            assert not run.events

    asyncio.run(main())


def test_a_recipient_that_is_named_twice_costs_no_server(pool: Start, serve) -> None:
    async def main() -> None:
        async with serve() as there, pool(asking(there.name)) as run:
            raw = b"Subject: 1\r\n\r\n"
            message = evolve(envelope("m"), recipients=envelope("m").recipients * 2)
            verdict = await run.pool.judge(message, len(raw), raw, None)
            assert [copy.recipients for copy in verdict.copies] == [message.recipients]
            assert not run.events

    asyncio.run(main())


def test_the_bytes_arrive_as_they_are(pool: Start, serve) -> None:
    async def main() -> None:
        body = os.urandom(2_500_000)
        order = "__import__('hashlib').sha256(bytes(self.message.raw)).hexdigest()"
        raw = f"Subject: {order}\r\n\r\n".encode() + body
        expected = repr(__import__("hashlib").sha256(raw).hexdigest())
        async with serve() as there, pool(asking(there.name)) as run:
            assert await run.answer(order, body, file=True) == expected

    asyncio.run(main())


def test_several_at_a_time_share_the_servers(pool: Start, serve) -> None:
    async def main() -> None:
        async with serve() as one, serve() as two, pool(asking(one.name, two.name)) as run:
            await asyncio.gather(*(run.judge("1") for _ in range(40)))
            assert one.pool.stats().judged + two.pool.stats().judged == 40
            assert min(one.pool.stats().judged, two.pool.stats().judged) >= 10

    asyncio.run(main())


def test_a_killer_is_held_by_the_gateway_after_three_deaths_at_the_server(pool: Start, serve) -> None:
    async def main() -> None:
        async with serve() as there, pool(asking(there.name)) as run:
            verdict = await run.judge("os._exit(1)")
            assert [str(copy.action) for copy in verdict.copies] == ["hold"]
            (suspect,) = run.of(Suspect)
            assert suspect.crashes == 3
            assert there.pool.stats().deaths == 3
            assert await run.answer("1 + 1") == "2"
            assert not run.of(ScanServerLost)

    asyncio.run(main())


def test_events_of_plugins_travel_to_the_gateway(pool: Start, serve) -> None:
    async def main() -> None:
        async with serve() as there, pool(asking(there.name)) as run:
            await run.judge("self.emit()")
            assert [event.name for event in run.events] == ["custom"]

    asyncio.run(main())


@pytest.mark.parametrize("fallback", ["local", "defer"])
def test_without_any_server_it_is_as_configured(pool: Start, serve, key: Path, fallback: str) -> None:
    async def main() -> None:
        scan = asking("127.0.0.1:1").replace("defer", fallback)
        async with pool(scan) as run:
            for _ in range(3):
                if fallback == "local":
                    assert await run.answer("1 + 1") == "2"
                else:
                    with pytest.raises(ScanError, match="connect") as caught:
                        await run.judge("1")
                    assert caught.value.crashes == 0
            (lost,) = run.of(ScanServerLost)
            assert lost.code == 1
            assert run.pool.stats().remote_failures == 1

    asyncio.run(main())


def test_one_server_stands_in_for_another_and_is_relieved_when_that_is_back(
    pool: Start, serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailward.scan.remote.servers.FIRST_BACKOFF_S", 0.01)

    async def main() -> None:
        async with serve() as two, serve() as one:
            name = one.name
            async with pool(asking(name, two.name)) as run:
                await run.judge("1")
                assert one.pool.stats().judged == 1
                await one.server.stop()
                for _ in range(5):
                    assert await run.answer("1 + 1") == "2"
                assert {event.server for event in run.of(ScanServerLost)} == {name}
                assert two.pool.stats().judged == 5
                await one.pool.stop()
                async with serve(listen=name) as again:
                    for _ in range(200):
                        await run.judge("1")
                        if again.pool.stats().judged:
                            break
                        await asyncio.sleep(0.02)
                    assert [event.server for event in run.of(ScanServerBack)] == [name]

    asyncio.run(main())


def test_a_server_that_is_restarted_between_messages_costs_nothing(pool: Start, serve) -> None:
    async def main() -> None:
        async with serve() as one:
            name = one.name
            async with pool(asking(name)) as run:
                await run.judge("1")
                await one.server.stop()
                await one.pool.stop()
                async with serve(listen=name):
                    assert await run.answer("1 + 1") == "2"
                    assert not run.of(ScanServerLost)

    asyncio.run(main())


@pytest.mark.parametrize("inside", [True, False])
def test_a_message_is_named_where_the_server_is_on_this_host(pool: Start, serve, tmp_path: Path, inside: bool) -> None:
    async def main() -> None:
        (tmp_path / "elsewhere").mkdir()
        folder = tmp_path if inside else tmp_path / "elsewhere"
        async with serve(f'local_dir = "{folder}"') as there, pool(asking(there.name, extra="by_name = true")) as run:
            assert await run.answer("1 + 1") == "2"  # small ones travel along
            if inside:
                assert await run.answer("len(self.message.raw) > 100000", b"x" * 100_000, file=True) == "True"
            else:
                with pytest.raises(ScanError, match="access"):
                    await run.judge("1", b"x" * 100_000, file=True)
                (lost,) = run.of(ScanServerLost)
                assert lost.code == 7

    asyncio.run(main())


def test_a_message_larger_than_the_server_takes_is_not_sent(pool: Start, serve) -> None:
    async def main() -> None:
        async with serve(more='[gateway]\nmax_message_bytes = "100 KB"') as there, pool(asking(there.name)) as run:
            with pytest.raises(ScanError, match="protocol"):
                await run.judge("1", b"x" * 200_000)
            assert await run.answer("1 + 1") == "2"
            assert not run.events

    asyncio.run(main())


@pytest.mark.parametrize("allowed", [True, False])
def test_a_server_with_another_configuration_is_used_only_if_that_is_allowed(pool: Start, serve, allowed: bool) -> None:
    async def main() -> None:
        extra = 'server_config = "any"' if allowed else ""
        async with (
            serve(more='[disposition]\nunchecked = "drop"') as there,
            pool(asking(there.name, extra=extra)) as run,
        ):
            if allowed:
                assert await run.answer("1 + 1") == "2"
            else:
                with pytest.raises(ScanError, match="other plugins, settings or policies"):
                    await run.judge("1")

    asyncio.run(main())


def test_health_and_figures_can_be_asked_for(pool: Start, serve) -> None:
    async def main() -> None:
        async with serve() as there, pool(asking(there.name)) as run:
            await run.judge("1")
            status = await ask_status(Endpoint.parse(there.name), Key(KEY.encode()))
            assert (status.pid, status.connections, status.lacking) == (os.getpid(), 2, ())
            assert (status.stats.judged, status.stats.idle) == (1, 1)
            with pytest.raises(ScanError, match="hangs up when shown our key"):
                await ask_status(Endpoint.parse(there.name), Key(b"another key of quite some length for the tests"))

    asyncio.run(main())


# hostile peers of the server


async def hostile(name: str, talk: Callable[[Reader, Writer], Awaitable[None]]) -> bytes:
    """What the server says to the very end to a peer that talks like this over TLS."""
    from mailward.scan.remote.link import _context

    endpoint = Endpoint.parse(name)
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=_context())
    try:
        await talk(reader, writer)
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


def test_strangers_get_nothing(pool: Start, serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailward.scan.remote.server.HANDSHAKE_S", 1.0)
    request = Request(None)

    async def skips_the_handshake(reader: Reader, writer: Writer) -> None:
        await say(writer, request)

    async def proves_nothing(reader: Reader, writer: Writer) -> None:
        await say(writer, Hello(1, bytes(32)))
        await hear(reader, Challenge)
        await say(writer, Proof(bytes(32), ""))
        await say(writer, request)

    async def mirrors(reader: Reader, writer: Writer) -> None:
        """What the server proves with is of no use as the gateway's proof."""
        await say(writer, Hello(1, bytes(32)))
        challenge = await hear(reader, Challenge)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        await say(writer, Proof(Key(KEY.encode()).proof(SERVER, (bytes(32), challenge.nonce), certificate), ""))

    async def says_a_lot(reader: Reader, writer: Writer) -> None:
        writer.write((4097).to_bytes(4, "big") + bytes(4) + b"x" * 4097)

    async def brings_a_body(reader: Reader, writer: Writer) -> None:
        writer.write(frame(dump(Hello(1, bytes(32))), b"x"))

    async def says_nonsense(reader: Reader, writer: Writer) -> None:
        writer.write(frame(b"[1, 2, {}]"))

    async def has_a_short_nonce(reader: Reader, writer: Writer) -> None:
        await say(writer, Hello(1, b""))

    async def says_nothing(reader: Reader, writer: Writer) -> None:
        pass

    strangers = (skips_the_handshake, mirrors, says_a_lot, brings_a_body, says_nonsense, says_nothing)

    async def main() -> None:
        async with serve() as there:
            for stranger in strangers:
                assert await hostile(there.name, stranger) == b"", stranger.__name__
            assert await hostile(there.name, proves_nothing) == b""
            await hostile(there.name, has_a_short_nonce)
            assert there.pool.stats().tries == 0
            assert there.server.status().connections == 0
            async with pool(asking(there.name)) as run:
                assert await run.answer("1 + 1") == "2"

    asyncio.run(main())


def test_a_gateway_that_misbehaves_harms_only_itself(pool: Start, serve) -> None:
    """It has the key; nonsense still ends its connection and nothing else."""
    from mailward.scan.protocol import Job

    terms = Terms(Key(KEY.encode()), "", same_config=False, by_name=False, connect_timeout_s=5)

    async def one(name: str, data: bytes, answers: bool) -> None:
        link = await Link.open(Endpoint.parse(name), terms)
        link._writer.write(data)
        try:
            if answers:
                assert (await hear(link._reader, Answer)).reason == "access"
            else:
                link._writer.write_eof() if link._writer.can_write_eof() else None
                with pytest.raises(ScanError):
                    async with asyncio.timeout(20):
                        await read(link._reader)
        finally:
            link.abort()

    async def main() -> None:
        async with serve('local_dir = "."') as there:
            job = Job(envelope("x"), 10, 5.0)
            await one(there.name, frame(b"not json"), answers=False)
            await one(there.name, b"\xff" * 8, answers=False)
            await one(there.name, frame(dump(Request(Job(envelope("x"), -1, 5.0)))), answers=False)
            await one(there.name, frame(dump(Request(Job(envelope("x"), 2**60, 5.0)))), answers=False)
            await one(there.name, frame(dump(Request(job)), b"12345"), answers=False)
            await one(there.name, frame(dump(Request(job, crashes=-5)), b"1234567890"), answers=False)
            for path in ("/etc/passwd", "../../../../../../etc/passwd", "/dev/zero", "\0", "/no/such"):
                await one(there.name, frame(dump(Request(job, path))), answers=True)
            async with pool(asking(there.name)) as run:
                assert await run.answer("1 + 1") == "2"

    asyncio.run(main())


def test_a_name_that_leads_out_of_the_folder_by_a_link_is_refused(tmp_path: Path) -> None:
    from mailward.scan.remote.files import open_within

    folder = tmp_path / "spool"
    folder.mkdir()
    (tmp_path / "secret").write_text("0123456789")
    (folder / "mail").write_text("0123456789")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    (tmp_path / "spool2").mkdir()
    (tmp_path / "spool2" / "mail").write_text("0123456789")
    os.mkfifo(folder / "fifo")
    os.close(open_within(folder, str(folder / "mail"), 10))
    for name in ("link", "up/secret", "../secret", "../spool2/mail", "fifo", ".", "none"):
        with pytest.raises(ScanError, match="access"):
            open_within(folder, str(folder / name), 10)
    with pytest.raises(ScanError, match="access"):
        open_within(folder, str(folder / "mail"), 11)
    with pytest.raises(ScanError, match="access"):
        open_within(None, str(folder / "mail"), 10)


# hostile servers


@asynccontextmanager
async def fake(certificate: Path, talk: Callable[[Reader, Writer, Key, bytes], Awaitable[None]], pair: str = ""):
    """A server that has the key and talks as it likes; its name."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / f"{pair}cert.pem", certificate / f"{pair}private.pem")
    der = ssl.PEM_cert_to_DER_cert((certificate / "cert.pem").read_text())

    async def connected(reader: Reader, writer: Writer) -> None:
        try:
            await talk(reader, writer, Key(KEY.encode()), der)
        except (ScanError, OSError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    try:
        yield str(Endpoint(*server.sockets[0].getsockname()[:2]))
    finally:
        server.close()


async def welcome(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    hello = await hear(reader, Hello)
    await say(writer, Challenge(1, bytes(32)))
    await hear(reader, Proof)
    await say(writer, Welcome(key.proof(SERVER, (hello.nonce, bytes(32)), der), "", 10**9))


async def knows_no_key(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    await hear(reader, Hello)
    await say(writer, Challenge(1, bytes(32)))
    await hear(reader, Proof)
    await say(writer, Welcome(bytes(32), "", 10**9))
    request = load((await read(reader))[0], Request)
    assert request.job is not None
    message = request.job.envelope
    await say(writer, Answer(Verdict(message.id, (Copy("default", message.recipients, Deliver()),))))
    await asyncio.sleep(60)


async def is_of_another_version(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    await hear(reader, Hello)
    await say(writer, Challenge(2, bytes(32)))


async def says_nothing(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    await asyncio.sleep(60)


async def dies_in_mid_scan(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    await welcome(reader, writer, key, der)
    await read(reader)


async def dies_in_mid_answer(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    await welcome(reader, writer, key, der)
    await read(reader)
    writer.write(frame(dump(Answer(reason="error", detail="x" * 1000)))[:500])
    await writer.drain()


async def answers_nonsense(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    await welcome(reader, writer, key, der)
    await read(reader)
    writer.write(frame(b'{"verdict": 7}'))
    await writer.drain()


async def answers_a_lot(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    await welcome(reader, writer, key, der)
    await read(reader)
    writer.write(b"\xff" * 8)
    await writer.drain()


async def answers_for_another_message(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    await welcome(reader, writer, key, der)
    await read(reader)
    await say(writer, Answer(Verdict("another", ())))


async def forgets_the_recipients(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    """A verdict without copies would be mail lost."""
    await welcome(reader, writer, key, der)
    await read(reader)
    await say(writer, Answer(Verdict("m1", ())))


async def answers_nothing(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
    await welcome(reader, writer, key, der)
    await read(reader)
    await say(writer, Answer())


LIARS = (
    *(knows_no_key, is_of_another_version, says_nothing, dies_in_mid_scan, dies_in_mid_answer, answers_nonsense),
    *(answers_a_lot, answers_for_another_message, forgets_the_recipients, answers_nothing),
)


@pytest.mark.parametrize("liar", LIARS)
def test_a_server_that_lies_or_dies_is_left_for_an_honest_one(
    pool: Start, serve, certificate: Path, liar: Callable[..., Awaitable[None]]
) -> None:
    async def main() -> None:
        extra = 'server_config = "any"\n'
        async with serve() as honest, fake(certificate, liar) as name:
            scan = asking(name, honest.name, extra=extra).replace("connect_timeout_s = 5", "connect_timeout_s = 1")
            async with pool(scan) as run:
                assert await run.answer("1 + 1") == "2"
                assert [event.server for event in run.of(ScanServerLost)] == [name]
                assert honest.pool.stats().judged == 1

    asyncio.run(main())


def test_a_stranger_in_the_middle_cannot_use_what_he_hears(pool: Start, serve, certificate: Path) -> None:
    """He shows a certificate of his own and hands all that is said on; the proofs do not fit it."""

    async def main() -> None:
        async with serve() as there:

            async def relays(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
                from mailward.scan.remote.link import _context

                endpoint = Endpoint.parse(there.name)
                onward, back = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=_context())
                try:
                    async with asyncio.TaskGroup() as both:
                        both.create_task(_pump(reader, back))
                        both.create_task(_pump(onward, writer))
                finally:
                    back.transport.abort()

            async with fake(certificate, relays, pair="other-") as name, pool(asking(name)) as run:
                with pytest.raises(ScanError, match="connect"):
                    await run.judge("1")
                assert there.pool.stats().tries == 0

    asyncio.run(main())


async def _pump(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()


def test_a_server_that_never_answers_costs_the_deadline_and_no_more(pool: Start, certificate: Path, key: Path) -> None:
    async def never(reader: Reader, writer: Writer, key: Key, der: bytes) -> None:
        await welcome(reader, writer, key, der)
        await asyncio.sleep(60)

    async def main() -> None:
        extra = 'server_config = "any"\ndeadline_s = 1'
        async with fake(certificate, never) as name, pool(asking(name, extra=extra)) as run:
            with pytest.raises(ScanError, match="deadline"):
                await run.judge("1")

    asyncio.run(main())


# keys, certificates, configuration


def test_keys_that_are_short_open_or_missing_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(ConfigError, match="cannot be read"):
        Key.load(path, "scan.server_key", "test")
    path.write_text("short")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="too short") as caught:
        Key.load(path, "scan.server_key", "test")
    assert "short'" not in str(caught.value)
    path.write_text(KEY)
    path.chmod(0o604)
    with pytest.raises(ConfigError, match="everybody"):
        Key.load(path, "scan.server_key", "test")
    path.chmod(0o640)
    assert KEY not in repr(Key.load(path, "scan.server_key", "test"))


@pytest.mark.parametrize(
    ("scan", "problem"),
    [
        ('servers = ["nowhere"]\nserver_key = "key"', "not a host and a port"),
        ('servers = ["a.example:7777"]', "scan.server_key"),
        ('servers = ["a.example:7777"]\nserver_key = "key"\nby_name = true', "on this host only"),
        ("workers = 11\nsessions = 10", "less than scan.workers"),
        ("sessions = 1025", "1 to 1024"),
    ],
)
def test_settings_that_contradict_each_other_are_told(scan: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_config(f"[scan]\n{scan}", "test", Path())


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ('local_dir = "nowhere"', "scan_server.local_dir"),
        ('temp_dir = "nowhere"', "scan_server.temp_dir"),
        ("listen = []", ""),
    ],
)
def test_folders_of_a_server_must_be_there(serve, extra: str, problem: str) -> None:
    async def main() -> None:
        async with serve(extra):
            pass

    if problem:
        with pytest.raises(ConfigError, match=problem):
            asyncio.run(main())


def test_a_certificate_is_read_again_and_a_bad_one_changes_nothing(
    tmp_path: Path, certificate: Path, key: Path
) -> None:
    for name in ("cert", "private"):
        (tmp_path / f"{name}.pem").write_bytes((certificate / f"{name}.pem").read_bytes())
    text = '[scan_server]\ncertificate = "cert.pem"\nprivate_key = "private.pem"\nkey = "key"'
    config: Config = parse_config(text, "test", tmp_path)
    identity = Identity(config)
    first = identity.certificate
    (tmp_path / "cert.pem").write_bytes((certificate / "other-cert.pem").read_bytes())
    with pytest.raises(ConfigError, match=r"scan_server\.certificate"):
        identity.renew(config)
    assert identity.certificate == first
    (tmp_path / "private.pem").write_bytes((certificate / "other-private.pem").read_bytes())
    identity.renew(config)
    assert identity.certificate != first


@pytest.mark.parametrize("text", ["host", "host:", ":7777", "host:x", "host:65536", "::1:7777", "[host]:1", "a:²"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Endpoint.parse(text)


def test_endpoints_are_read_and_known_as_this_host() -> None:
    assert Endpoint.parse("[::1]:7777") == Endpoint("::1", 7777)
    assert str(Endpoint("::1", 7777)) == "[::1]:7777"
    assert [Endpoint(host, 1).is_this_host for host in ("127.0.0.9", "::1", "LocalHost")] == [True] * 3
    assert not Endpoint("scan.example", 1).is_this_host
