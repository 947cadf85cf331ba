"""Real peers in front of the gateway: swaks, HAProxy, Postfix with TLS and XFORWARD, aiosmtplib."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiosmtplib
import pytest
from attrs import frozen
from harness.certificates import Authority
from harness.client import Client
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN, VIRUS
from harness.servers import open_postfix, program
from harness.wait import PATIENCE_S, free_port, listens, until

from mailward.gateway.passwords import hashed

NAMES = ("gateway", "submission", "implicit", "lmtp", "proxy", "trusting")
Require = Callable[..., None]


@frozen
class House:
    """A gateway for real peers."""

    gateway: Gateway
    hop: Hop
    authority: Authority

    def port(self, name: str) -> int:
        """The port of a listener."""
        return self.gateway.ports[NAMES.index(name)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("peers")
    authority = Authority.make(folder / "tls")
    tls = {"listen": ["127.0.0.1:0"], "tls_certificate": str(authority.issue("mx.example.test"))}
    login = {"auth": "required", "password_file": "passwords"}
    listeners = {
        "submission": {**tls, **login, "tls": "required"},
        "implicit": {**tls, **login, "tls": "implicit"},
        "lmtp": {"listen": ["127.0.0.1:0"], "protocol": "lmtp"},
        "proxy": {"listen": ["127.0.0.1:0"], "proxy_from": ["127.0.0.1"]},
        "trusting": {**tls, "tls": "starttls", "xclient_from": ["127.0.0.1"], "xforward_from": ["127.0.0.1"]},
    }
    files = {"passwords": f"bob:{hashed('secret')}\n"}
    with open_hop() as hop:
        settings = {"relay": {"default": hop.route, "local": {"house.example": hop.route}}, "listener": listeners}
        with running(folder / "gateway", settings, files) as gateway:
            yield House(gateway, hop, authority)


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    file = tmp_path / "mail.eml"
    file.write_bytes(CLEAN.replace(b"\r\n", b"\n"))
    return file


def swaks(house: House, listener: str, to: str, mail: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Send a message with swaks."""
    server = ("--server", "127.0.0.1", "--port", str(house.port(listener)), "--helo", "client.example")
    envelope = ("--from", "author@sender.example", "--to", to, "--data", f"@{mail}")
    command = [program("swaks"), *server, *envelope, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


LOGIN = ("--auth-user", "bob", "--auth-password", "secret")


@pytest.mark.parametrize(
    ("listener", "options", "sign"),
    [
        ("submission", ("-tls", "--auth", "PLAIN", *LOGIN), "235 2.7.0"),
        ("submission", ("-tls", "--auth", "LOGIN", *LOGIN), "235 2.7.0"),
        ("implicit", ("--tls-on-connect", "--auth", "PLAIN", *LOGIN), "TLS started"),
        ("lmtp", ("--protocol", "LMTP"), "LHLO client.example"),
        ("proxy", ("--proxy-version", "1", "--proxy", "TCP4 127.0.0.1 127.0.0.1 1111 25"), "PROXY TCP4"),
        ("trusting", ("--xclient", "ADDR=127.0.0.1 NAME=xclient.example"), "XCLIENT ADDR=127.0.0.1"),
        ("gateway", ("--pipeline",), "250-PIPELINING"),
    ],
)
def test_swaks_gets_through(
    house: House, require: Require, mail: Path, listener: str, options: tuple[str, ...], sign: str
) -> None:
    require("swaks")
    to = f"swaks{abs(hash((listener, options)))}@house.example"
    sent = swaks(house, listener, to, mail, *options)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert sign in sent.stdout
    # swaks ends the content with an empty line of its own
    assert house.hop.wait_for(to).body in (CLEAN, CLEAN + b"\r\n")


def test_swaks_is_not_let_in_with_a_wrong_password(house: House, require: Require, mail: Path) -> None:
    require("swaks")
    options = ("-tls", "--auth", "PLAIN", "--auth-user", "bob", "--auth-password", "guess")
    sent = swaks(house, "submission", "x@house.example", mail, *options)
    assert sent.returncode == 28, sent.stdout  # swaks' exit status for a log-in that failed
    assert "535 5.7.8" in sent.stdout


@contextmanager
def haproxy(target: int, how: str) -> Iterator[int]:
    """HAProxy before a port, saying who the client is; its own port."""
    folder = Path(tempfile.mkdtemp(prefix="mailward-haproxy-"))
    port = free_port()
    (folder / "haproxy.cfg").write_text(
        f"defaults\n  mode tcp\n  timeout client 1m\n  timeout server 1m\n  timeout connect 5s\n"
        f"listen mail\n  bind 127.0.0.1:{port}\n  server gateway 127.0.0.1:{target} {how}\n"
    )
    process = subprocess.Popen(
        [program("haproxy"), "-f", str(folder / "haproxy.cfg"), "-db"], stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: listens(port), "HAProxy to listen")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("how", ["send-proxy", "send-proxy-v2"])
def test_haproxy_says_who_the_client_is(house: House, require: Require, how: str) -> None:
    require("haproxy")
    with haproxy(house.port("proxy"), how) as port, Client(port) as client:
        client.greet()
        to = f"{how}@house.example"
        assert client.send(CLEAN, to).code == 250
    assert house.hop.wait_for(to).body == CLEAN
    assert house.gateway.logged("judged", to=[to])["client"] == "127.0.0.1"


def test_postfix_relays_to_us_in_tls_and_says_where_mail_came_from(house: House, require: Require) -> None:
    require("postfix")
    ca = house.authority.folder / "ca.pem"
    readable = Path(tempfile.mkdtemp(prefix="mailward-ca-"))
    readable.chmod(0o755)
    shutil.copy(ca, readable / "ca.pem")
    (readable / "ca.pem").chmod(0o644)
    more = (
        "smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mx.example.test\n"
        f"smtp_tls_CAfile = {readable}/ca.pem\nsmtp_send_xforward_command = yes\n"
        "relay_domains = house.example\n"
    )
    try:
        with open_postfix(house.port("trusting"), more) as postfix, Client(postfix.port) as client:
            client.greet("desk.example")
            for number in range(3):
                assert client.send(CLEAN, f"postfix{number}@house.example").code == 250
            for number in range(3):
                house.hop.wait_for(f"postfix{number}@house.example")
    finally:
        shutil.rmtree(readable, ignore_errors=True)
    for number in range(3):
        to = f"postfix{number}@house.example"
        arrived = house.hop.wait_for(to)
        assert CLEAN in arrived.content
        assert b" with ESMTPS id " in arrived.content.partition(b"\r\n\tfor ")[0]
        line = house.gateway.logged("judged", to=[to])
        assert line["origin"] == "127.0.0.1"
        assert line["tls"].startswith("TLSv1.")


def test_aiosmtplib_sends_in_tls_after_logging_in(house: House) -> None:
    async def send() -> list[str]:
        context = house.authority.trusting()
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=house.port("submission"), start_tls=False, tls_context=context
        )
        async with client:
            await client.ehlo()
            await client.starttls(server_hostname="mx.example.test", tls_context=context)
            await client.login("bob", "secret")
            said = []
            for body in (CLEAN, VIRUS, CLEAN):
                _, text = await client.sendmail("author@sender.example", ["aio@house.example"], body)
                said.append(text)
            return said

    assert all("accepted as" in text for text in asyncio.run(send()))
    house.hop.wait_for("aio@house.example", 3)
    # Deliveries run side by side: the last to arrive need not be the last sent.
    assert [one.body for one in house.hop.to("aio@house.example")].count(CLEAN) == 2


def test_postfix_gets_through_in_lmtp(house: House, require: Require) -> None:
    """Postfix' LMTP client gives every recipient the reply that was meant for him."""
    require("postfix")
    more = f"relay_transport = lmtp:inet:[127.0.0.1]:{house.port('lmtp')}\n"
    with open_postfix(house.port("lmtp"), more) as postfix, Client(postfix.port) as client:
        client.greet()
        assert client.send(CLEAN, "one.lmtp@house.example", "two.lmtp@house.example").code == 250
        for to in ("one.lmtp@house.example", "two.lmtp@house.example"):
            assert CLEAN in house.hop.wait_for(to).content
    assert b" with LMTP id " in house.hop.wait_for("one.lmtp@house.example").content
