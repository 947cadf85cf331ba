"""MTA-STS: policies fetched over HTTPS, kept, and kept to (RFC 8461)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from mailward import Address, DnsFault, Envelope, MailExchanger, MessageInfo, NameNotFound, Recipient, Resolver
from mailward_relay import sts_policy
from mailward_relay.sts import MAX_POLICY_BYTES, PolicyStore
from mailward_relay.sts_policy import Known, Policy, PolicyError, PolicyFolder

POLICY = "version: STSv1\r\nmode: enforce\r\nmx: first.mx.example\r\nmx: *.backup.example\r\nmax_age: 86400\r\n"
RECORD = "v=STSv1; id=20260101;"
INFO = MessageInfo("m1", Envelope(), 3)
OFFERED = ("PIPELINING", "SIZE", "STARTTLS")


class Quiet:
    """A log that nobody reads."""

    def warning(self, event: str, **fields: Any) -> None:
        return None


QUIET = Quiet()


class Names(Resolver):
    """DNS of one domain, as the test says; everything lies on this machine."""

    def __init__(self, *records: str, mx: tuple[str, ...] = ("first.mx.example", "other.example")) -> None:
        super().__init__()
        self.records: tuple[str, ...] | Exception = records
        self.hosts = mx

    async def txt(self, name: str) -> tuple[str, ...]:
        if isinstance(self.records, Exception):
            raise self.records
        if not self.records:
            raise NameNotFound("no")
        return self.records

    async def mx(self, domain: str) -> tuple[MailExchanger, ...]:
        return tuple(MailExchanger(10 * place, host) for place, host in enumerate(self.hosts))

    async def addresses(self, host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)


class Web:
    """An HTTPS server with one answer; counts the questions."""

    def __init__(self, answer: bytes, context: ssl.SSLContext) -> None:
        self.answer = answer
        self.context = context
        self.requests: list[bytes] = []
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Web]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self.answer)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=self.context)
        self.port = server.sockets[0].getsockname()[1]
        yield self
        server.close()


def page(policy: str = POLICY, status: str = "200 OK", kind: str = "text/plain; charset=us-ascii") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n{policy}".encode()


@pytest.fixture
def web(tls_for: Any) -> Any:
    def make(answer: bytes = page(), *names: str) -> Web:
        return Web(answer, tls_for(*(names or ("mta-sts.mx.example",))))

    return make


def kept_in(folder: Path, at: float = 1000.0) -> PolicyFolder:
    return PolicyFolder(lambda: folder, lambda: at, structlog.get_logger())


def store(
    resolver: Resolver, web: Web, authority_file: str, clock: Any = lambda: 0.0, folder: PolicyFolder | None = None
) -> PolicyStore:
    """A store; without a folder it keeps policies in one that cannot be written."""
    context = ssl.create_default_context(cafile=authority_file)
    kept = folder or PolicyFolder(lambda: Path("/proc/nowhere"), lambda: 0.0, QUIET)
    return PolicyStore(resolver, context, clock, structlog.get_logger(), kept, web.port)


def test_a_policy_is_fetched_once_and_kept(web: Any, authority_file: str) -> None:
    async def run() -> None:
        async with web().serving() as server:
            policies = store(Names(RECORD), server, authority_file)
            found = [await policies.of("mx.example") for _ in range(3)]
            assert found == [Policy("enforce", ("first.mx.example", "*.backup.example"), 86_400)] * 3
            (request,) = server.requests
            assert request.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: mta-sts.mx.example\r\n")

    asyncio.run(run())


def test_messages_that_need_one_policy_at_a_time_fetch_it_once(web: Any, authority_file: str) -> None:
    async def run() -> None:
        async with web().serving() as server:
            policies = store(Names(RECORD), server, authority_file)
            found = await asyncio.gather(*(policies.of("mx.example") for _ in range(50)))
            assert {policy.mode for policy in found if policy} == {"enforce"}
            assert len(found) == 50
            assert len(server.requests) == 1
            assert policies._under_way == {}

    asyncio.run(run())


def test_a_new_id_is_a_new_policy_and_a_policy_outlives_its_record(web: Any, authority_file: str) -> None:
    now = [0.0]

    async def run() -> None:
        names = Names(RECORD)
        async with web().serving() as server:
            policies = store(names, server, authority_file, lambda: now[0])
            assert await policies.of("mx.example") is not None
            names.records = ("v=STSv1; id=2;",)
            server.answer = page(POLICY.replace("enforce", "testing"))
            now[0] += 400
            assert (await policies.of("mx.example")).mode == "testing"  # type: ignore[union-attr]
            for lost in (DnsFault("no answer"), ()):
                names.records = lost
                now[0] += 400
                assert (await policies.of("mx.example")).mode == "testing"  # type: ignore[union-attr]
            names.records = ("v=STSv1; id=3;",)
            server.answer = page(status="503 Busy")
            now[0] += 400
            assert (await policies.of("mx.example")).mode == "testing"  # type: ignore[union-attr]
            asked = len(server.requests)
            await policies.of("mx.example")
            assert len(server.requests) == asked
            now[0] += 86_400
            assert await policies.of("mx.example") is None

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        pytest.param(page(status="301 Moved"), (), id="redirects are not followed"),
        pytest.param(page(status="404 None"), (), id="not found"),
        pytest.param(page(kind="text/html"), (), id="wrong type"),
        pytest.param(page(POLICY.replace("STSv1", "STSv2")), (), id="wrong version"),
        pytest.param(page(POLICY + "x: " + "y" * MAX_POLICY_BYTES), (), id="too large"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2 * MAX_POLICY_BYTES, (), id="head without end"),
        pytest.param(b"", (), id="nothing"),
        pytest.param(b"220 smtp\r\n\r\n", (), id="no HTTP"),
        pytest.param(page("\xff"), (), id="no ASCII"),
        pytest.param(page(kind=f"text/plain\r\nContent-Length: {len(POLICY) + 1}"), (), id="cut short on the way"),
        pytest.param(page(), ("mta-sts.other.example",), id="certificate of another"),
    ],
)
def test_what_is_no_policy_is_none_and_is_told(
    web: Any, authority_file: str, capsys: pytest.CaptureFixture[str], answer: bytes, names: tuple[str, ...]
) -> None:
    async def run() -> None:
        async with web(answer, *names).serving() as server:
            policies = store(Names(RECORD), server, authority_file)
            assert await policies.of("mx.example") is None
            assert await policies.of("mx.example") is None
            assert len(server.requests) <= 1

    asyncio.run(run())
    assert capsys.readouterr().out.count("MTA-STS policy not fetched") == 1


@pytest.mark.parametrize(
    ("later_s", "mode"),
    [
        pytest.param(86_000, "enforce", id="as long as it says"),
        pytest.param(-86_400 * 30, "enforce", id="with the clock set back"),
        pytest.param(86_401, None, id="no longer"),
    ],
)
def test_a_policy_outlives_the_process_that_fetched_it(
    web: Any, authority_file: str, tmp_path: Path, later_s: float, mode: str | None
) -> None:
    async def run() -> None:
        names = Names(RECORD)
        async with web().serving() as server:
            first = await store(names, server, authority_file, folder=kept_in(tmp_path)).of("mx.example")
            assert first is not None
            names.records = DnsFault("no answer")
            again = store(names, server, authority_file, folder=kept_in(tmp_path, 1000.0 + later_s))
            for domain in ("other.example", "mx.example"):
                found = await again.of(domain)
            assert (found and found.mode) == mode
            assert found in (first, None)
            assert len(server.requests) == 1

    asyncio.run(run())


def test_a_policy_ends_with_its_time_though_another_process_fetched_it(
    web: Any, authority_file: str, tmp_path: Path
) -> None:
    async def run() -> None:
        now = [0.0]
        kept_in(tmp_path, 1000.0 - 86_000).write("mx.example", Known("1", Policy.parse(POLICY)))
        policies = store(Names(), web(), authority_file, lambda: now[0], kept_in(tmp_path))
        assert await policies.of("mx.example") is not None
        now[0] = 401.0
        # of the two clocks only the monotonic has gone on: the file would still count, and is looked at again
        policies._folder = kept_in(tmp_path, 1401.0)
        assert await policies.of("mx.example") is None

    asyncio.run(run())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"id": "1"}', '{"id": "1", "domain": "x", "policy": 1, "fetched_at": 1}']
)
def test_a_file_that_holds_no_policy_is_told_and_written_anew(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, known = kept_in(tmp_path), Known("1", Policy.parse(POLICY))
    folder.write("mx.example", known)
    (path,) = (tmp_path / "sts").iterdir()
    assert path.parent.stat().st_mode & 0o077 == 0
    path.write_text(text)
    assert folder.read("mx.example") is None
    assert capsys.readouterr().out.count("MTA-STS policy cannot be kept") == 1
    folder.write("mx.example", known)
    assert folder.read("mx.example") == (known, 86_400.0)


def test_of_too_many_files_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts_policy, "MOST_FILES", 20)
    folder, known = kept_in(tmp_path), Known("1", Policy.parse(POLICY))
    for number in range(30):
        folder.write(f"d{number}.example", known)
        (path,) = (one for one in (tmp_path / "sts").iterdir() if one.stat().st_mtime > 10_000)
        os.utime(path, (number, number))
    assert len(list((tmp_path / "sts").iterdir())) <= 20
    assert folder.read("d0.example") is None
    assert folder.read("d29.example") is not None


def test_a_folder_that_cannot_be_written_is_told_and_mail_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    folder = PolicyFolder(lambda: Path("/proc/nowhere"), lambda: 0.0, structlog.get_logger())
    folder.write("mx.example", Known("1", Policy.parse(POLICY)))
    assert folder.read("mx.example") is None
    assert "MTA-STS policy cannot be kept" in capsys.readouterr().out


@given(
    st.sampled_from(["enforce", "testing"]), st.lists(st.from_regex(r"\A[a-z]{1,9}\.example\Z"), min_size=1, max_size=9)
)
def test_a_policy_that_is_kept_is_the_one_that_was_served(mode: str, hosts: list[str]) -> None:
    policy = Policy(mode, tuple(hosts), 86_400)
    assert Policy.parse(policy.text) == policy


def test_a_policy_outlives_the_host_that_served_it(web: Any, authority_file: str) -> None:
    class Gone(Names):
        fault: Exception | None = None

        async def addresses(self, host: str) -> tuple[str, ...]:
            if self.fault is not None:
                raise self.fault
            return ("127.0.0.1",)

    async def run() -> None:
        now = [0.0]
        names = Gone(RECORD)
        async with web(page(kind=f"text/plain\r\nContent-Length: {len(POLICY)}")).serving() as server:
            policies = store(names, server, authority_file, lambda: now[0])
            first = await policies.of("mx.example")
            assert first is not None
            for number, fault in enumerate((NameNotFound("no"), DnsFault("no answer")), 1):
                names.records, names.fault = (f"v=STSv1; id={number};",), fault
                now[0] += 400
                assert await policies.of("mx.example") == first

    asyncio.run(run())


@pytest.mark.parametrize("drips", [True, False], ids=["drips", "is silent"])
def test_a_host_that_takes_its_time_holds_mail_up_once(
    authority_file: str, tls_for: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, drips: bool
) -> None:
    monkeypatch.setattr("mailward_relay.sts.FETCH_TIMEOUT_S", 0.5)
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(True)
        with contextlib.suppress(ConnectionError):
            writer.write(page())
            while not writer.is_closing():
                writer.write(b"x" if drips else b"")
                await asyncio.sleep(0.02)

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls_for("mta-sts.mx.example"))
        context = ssl.create_default_context(cafile=authority_file)
        port = server.sockets[0].getsockname()[1]
        policies = PolicyStore(Names(RECORD), context, lambda: 0.0, structlog.get_logger(), kept_in(tmp_path), port)
        assert [await policies.of("mx.example") for _ in range(3)] == [None] * 3
        assert len(asked) <= 1
        server.close()

    asyncio.run(run())


@pytest.mark.parametrize("records", [(), ("v=STSv1; id=;",), (RECORD, RECORD), ("v=spf1 -all",), ("v=STSv1; xid=1;",)])
def test_without_one_sound_record_nothing_is_fetched(web: Any, authority_file: str, records: tuple[str, ...]) -> None:
    async def run() -> None:
        async with web().serving() as server:
            assert await store(Names(*records), server, authority_file).of("mx.example") is None
            assert server.requests == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("first.mx.example", True),
        ("a.backup.example", True),
        ("a.b.backup.example", False),
        ("backup.example", False),
        ("mx.example", False),
    ],
)
def test_rfc_8461_section_4_1_names(host: str, named: bool) -> None:
    assert Policy.parse(POLICY).names(host) is named


@given(st.text(max_size=300))
def test_whatever_a_policy_says_it_is_read_or_refused(text: str) -> None:
    for head in ("", "version: STSv1\nmode: enforce\nmax_age: 1\n"):
        try:
            policy = Policy.parse(head + text)
        except PolicyError:
            continue
        assert policy.mode in ("enforce", "testing", "none")


def hops(relay: Any) -> list[tuple[str, str]]:
    found = asyncio.run(relay.route(Recipient(Address.parse("b@mx.example")), INFO))
    return [(hop.host, hop.route) for hop in found]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy("enforce", ("first.mx.example",), 60), [("first.mx.example", "+mx+sts")]),
        (Policy("testing", ("first.mx.example",), 60), [("first.mx.example", "+mx"), ("other.example", "+mx")]),
        (None, [("first.mx.example", "+mx"), ("other.example", "+mx")]),
    ],
    ids=["enforce", "testing", "none"],
)
def test_only_hosts_of_an_enforced_policy_are_tried(
    make_relay: Any, monkeypatch: pytest.MonkeyPatch, policy: Policy | None, expected: Any
) -> None:
    async def of(self: PolicyStore, domain: str) -> Policy | None:
        assert domain == "mx.example"
        return policy

    monkeypatch.setattr(PolicyStore, "of", of)
    assert hops(make_relay(Names(RECORD), mta_sts=True)) == expected


def test_mail_waits_where_the_policy_names_none_of_the_hosts(make_relay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def of(self: PolicyStore, domain: str) -> Policy | None:
        return Policy("enforce", ("elsewhere.example",), 60)

    monkeypatch.setattr(PolicyStore, "of", of)
    with pytest.raises(DnsFault, match="names none of its mail hosts"):
        hops(make_relay(Names(RECORD), mta_sts=True))


def test_policies_are_not_asked_for_unless_set(make_relay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def of(self: PolicyStore, domain: str) -> Policy | None:
        raise AssertionError("asked")

    monkeypatch.setattr(PolicyStore, "of", of)
    assert len(hops(make_relay(Names(RECORD)))) == 2


@pytest.mark.parametrize(
    ("shown", "status"), [("first.mx.example", "delivered"), ("evil.example", "unreachable")], ids=["right", "wrong"]
)
def test_the_certificate_of_a_host_must_name_it(
    make_relay: Any, send: Any, peer: Any, tls_for: Any, authority_file: str, web: Any, shown: str, status: str
) -> None:
    async def run() -> None:
        server = peer(extensions=OFFERED, tls=tls_for(shown))
        async with web().serving() as served, server.listening():
            relay = make_relay(Names(RECORD), mta_sts=True, ca_file=authority_file, mx_port=server.port)
            relay._exchange._policies._port = served.port
            (hop,) = await relay.route(Recipient(Address.parse("b@mx.example")), INFO)
            (result,) = await send(relay, 0, hop=hop)
            assert result.status == status
            assert ("TLS MTA-STS" in result.detail) is (status == "delivered")
            await relay.stop()

    asyncio.run(run())
