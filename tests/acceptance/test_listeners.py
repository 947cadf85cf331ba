"""Listeners with settings of their own: TLS, log-in, LMTP, PROXY headers, XCLIENT, XFORWARD, BDAT."""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
import struct
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from attrs import frozen
from harness.certificates import Authority
from harness.client import Reply, TlsClient
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN, VIRUS, plain

from mailward.gateway.passwords import hashed

NAMES = (
    "gateway",
    "starttls",
    "submission",
    "implicit",
    "certified",
    "lmtp",
    "proxy",
    "proxytls",
    "trusting",
    "mended",
)
NOTES = """
from mailward import Plugin, Finding, Kind, hookimpl

class Notes(Plugin):
    \"\"\"Writes down what is known of the session of each message.\"\"\"

    @hookimpl
    def data(self, session):
        with (self.context.base / "sessions").open("a") as file:
            file.write(f"{session.listener} {session!r}\\n")

    @hookimpl
    def authenticate(self, user, password):
        return password == "open sesame" if user == "ali" else None
"""
PER_RECIPIENT = {"recipients": ["strict*@*"], "antivirus": {"on_infected": ["reject"]}}
BIG = plain(b"a line of text\r\n" * 20_000)
_NUMBERS = count()


@frozen
class House:
    """A gateway with many listeners, its next hop, and the authority of its certificates."""

    gateway: Gateway
    hop: Hop
    authority: Authority

    def port(self, name: str) -> int:
        """The port of a listener."""
        return self.gateway.ports[NAMES.index(name)]

    def client(self, name: str, greet: bool = True) -> TlsClient:
        """A connection to a listener; after EHLO where ``greet``."""
        client = TlsClient(self.port(name))
        if greet:
            client.greet()
        return client

    def noted(self, listener: str) -> str:
        """What is known of the sessions of this listener."""
        file = self.gateway.folder / "sessions"
        return "".join(line for line in file.read_text().splitlines(True) if line.startswith(f"{listener} "))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("listeners")
    authority = Authority.make(folder / "tls")
    certificate = str(authority.issue("mx.example.test"))
    files = {"notes.py": NOTES, "passwords": f"bob:{hashed('pässword')}\n"}
    tls = {"listen": ["127.0.0.1:0"], "tls_certificate": certificate}
    listeners = {
        "starttls": {**tls, "tls": "starttls"},
        "submission": {**tls, "tls": "required", "auth": "required", "password_file": "passwords"},
        "implicit": {**tls, "tls": "implicit", "auth": "optional", "password_file": "passwords"},
        "certified": {
            **tls,
            "tls": "implicit",
            "tls_client_certificates": "request",
            "tls_client_ca": str(authority.folder / "ca.pem"),
        },
        "lmtp": {"listen": ["127.0.0.1:0"], "protocol": "lmtp"},
        "proxy": {"listen": ["127.0.0.1:0"], "proxy_from": ["127.0.0.0/8"], "max_connections_per_address": 2},
        "proxytls": {**tls, "tls": "implicit", "proxy_from": ["127.0.0.1"]},
        "trusting": {"listen": ["127.0.0.1:0"], "xclient_from": ["127.0.0.1"], "xforward_from": ["127.0.0.1"]},
        "mended": {"listen": ["127.0.0.1:0"], "bare_line_ends": "normalise", "max_message_bytes": "64 KB"},
    }
    with open_hop() as hop:
        settings = {
            "plugins": ["relay", "content", "antivirus", "./notes.py"],
            "gateway": {"connection_wait_s": 0.2},
            "relay": {"default": hop.route},
            "listener": listeners,
            "policy": {"strict": PER_RECIPIENT},
        }
        with running(folder / "gateway", settings, files) as gateway:
            yield House(gateway, hop, authority)


@pytest.fixture
def to() -> str:
    return f"l{next(_NUMBERS)}@house.example"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# TLS


def test_starttls_encrypts_and_forgets_what_was_said_before(house: House, to: str) -> None:
    with house.client("starttls") as client:
        assert "STARTTLS" in client.say("EHLO client.example").text.split("\n")
        assert client.say("STARTTLS").code == 220
        encrypted = client.encrypt(house.authority.trusting())
        assert client.say("MAIL FROM:<author@sender.example>").code == 503
        assert "STARTTLS" not in client.say("EHLO client.example").text
        assert client.say("STARTTLS").code == 503
        assert client.send(CLEAN, to).code == 250
        version = encrypted.version()
    assert b" with ESMTPS id " in house.hop.wait_for(to).content
    assert f"tls='{version} " in house.noted("starttls")


def test_mail_waits_for_tls_where_it_is_required(house: House) -> None:
    with house.client("submission") as client:
        assert client.say("MAIL FROM:<author@sender.example>").code == 530
        assert "AUTH" not in client.say("EHLO client.example").text
        assert client.say(f"AUTH PLAIN {b64(chr(0) + 'bob' + chr(0) + 'pässword')}").code == 538


def test_tls_may_begin_with_the_connection(house: House, to: str) -> None:
    with house.client("implicit", greet=False) as client:
        client.encrypt(house.authority.trusting())
        client.greet()
        assert client.send(BIG, to).code == 250
    assert b" with ESMTPS id " in house.hop.wait_for(to).content
    assert house.hop.wait_for(to).body == BIG


def test_commands_that_came_in_the_clear_before_the_handshake_are_forgotten(house: House, to: str) -> None:
    with house.client("starttls") as client:
        client.write(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@sender.example>\r\n")
        assert client.read().code == 220
        client.encrypt(house.authority.trusting())
        assert client.say(f"RCPT TO:<{to}>").code == 503
        assert client.say("MAIL FROM:<author@sender.example>").code == 503
    assert "STARTTLS" in house.gateway.logged("protocol_violation")["detail"]


def test_a_client_that_speaks_no_tls_where_it_must_is_cut_off(house: House) -> None:
    with house.client("implicit", greet=False) as client:
        client.write(b"EHLO client.example\r\n")
        assert client.read().code == 0


def test_a_certificate_of_a_client_is_noted_and_none_is_no_fault(house: House, to: str) -> None:
    shown = house.authority.issue("client.example")
    for certificate in (None, shown):
        with house.client("certified", greet=False) as client:
            client.encrypt(house.authority.trusting(certificate))
            client.greet()
            assert client.send(CLEAN, to).code == 250
    der = ssl.PEM_cert_to_DER_cert(_first(shown))
    assert "client_cert=''" in house.noted("certified")
    assert f"client_cert='{hashlib.sha256(der).hexdigest()}'" in house.noted("certified")


def _first(file: Path) -> str:
    text = file.read_text()
    start, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n"
    return start + text.partition(start)[2].partition(end)[0] + end


def test_a_certificate_of_a_stranger_is_refused(house: House, tmp_path: Path) -> None:
    stranger = Authority.make(tmp_path / "stranger").issue("client.example")
    with house.client("certified", greet=False) as client:
        # with TLS 1.3 a client learns of it when it reads
        assert client.encrypted_code(house.authority.trusting(stranger)) == 0


def test_a_certificate_that_changes_is_used_and_a_bad_one_is_not(house: House) -> None:
    file = house.authority.folder / "mx.example.test.pem"

    def serial() -> bytes:
        with house.client("implicit", greet=False) as client:
            certificate = client.encrypt(house.authority.trusting()).getpeercert(binary_form=True)
            assert certificate is not None
            return certificate

    before, good = serial(), file.read_bytes()
    assert serial() == before
    house.authority.issue("mx.example.test")
    after = serial()
    assert after != before
    file.write_text("no certificate")
    assert serial() == after
    house.gateway.logged("certificate not read")
    file.write_bytes(good)
    assert serial() == before


# logging in


@pytest.mark.parametrize(("user", "password"), [("bob", "pässword"), ("ali", "open sesame")])
@pytest.mark.parametrize("way", ["PLAIN at once", "PLAIN asked", "LOGIN", "login at once"])
def test_a_user_logs_in(house: House, to: str, user: str, password: str, way: str) -> None:
    with house.client("submission") as client:
        client.starttls(house.authority.trusting())
        assert "AUTH PLAIN LOGIN" in client.say("EHLO client.example").text.split("\n")
        assert client.say("MAIL FROM:<author@sender.example>").code == 530
        plain = b64(f"\0{user}\0{password}")
        lines = {
            "PLAIN at once": [f"AUTH PLAIN {plain}"],
            "PLAIN asked": ["AUTH PLAIN", plain],
            "LOGIN": ["AUTH LOGIN", b64(user), b64(password)],
            "login at once": [f"auth login {b64(user)}", b64(password)],
        }[way]
        assert [client.say(line).code for line in lines] == [334] * (len(lines) - 1) + [235]
        assert client.say(f"AUTH PLAIN {plain}").code == 503
        assert client.send(CLEAN, to).code == 250
    assert b" with ESMTPSA id " in house.hop.wait_for(to).content
    assert f"user='{user}'" in house.noted("submission")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["AUTH PLAIN " + b64("\0bob\0wrong")], 535),
        (["AUTH PLAIN " + b64("\0nobody\0pässword")], 535),
        (["AUTH PLAIN " + b64("\0ali\0wrong")], 535),
        (["AUTH PLAIN " + b64("alice\0bob\0pässword")], 501),
        (["AUTH PLAIN " + b64("bob")], 501),
        (["AUTH PLAIN ?"], 501),
        (["AUTH PLAIN ="], 501),
        (["AUTH PLAIN", "*"], 501),
        (["AUTH LOGIN", "*"], 501),
        (["AUTH LOGIN", b64("bob"), "*"], 501),
        (["AUTH LOGIN", b64("bob"), b64("wrong")], 535),
        (["AUTH CRAM-MD5"], 504),
        (["AUTH"], 504),
    ],
)
def test_nobody_else_does(house: House, lines: list[str], code: int) -> None:
    with house.client("implicit", greet=False) as client:
        client.encrypt(house.authority.trusting())
        client.greet()
        replies = [client.say(line).code for line in lines]
        assert replies[-1] == code
        assert all(reply == 334 for reply in replies[:-1])
        good = client.say("AUTH PLAIN " + b64("\0ali\0open sesame"))
        assert good.code == 235


def test_guessing_is_slow_reported_and_cut_short(house: House) -> None:
    with house.client("implicit", greet=False) as client:
        client.encrypt(house.authority.trusting())
        client.greet()
        assert [client.say("AUTH PLAIN " + b64("\0ali\0guess")).code for _ in range(3)] == [535] * 3
        assert client.read().code == 421
        assert client.read() == Reply(0, "")
    line = house.gateway.logged("login_failed", 3)
    assert (line["user"], line["mechanism"]) == ("ali", "PLAIN")
    assert "guess" not in house.gateway.log_file.read_text()


# LMTP


def test_lmtp_has_a_reply_for_each_recipient(house: House) -> None:
    with house.client("lmtp", greet=False) as client:
        assert "LMTP" in client.read().text
        assert client.say("EHLO client.example").code == 500
        assert "PIPELINING" in client.say("LHLO client.example").text
        client.envelope("strict@house.example", "lax@house.example", "strict2@house.example", "lax@house.example")
        assert client.content(VIRUS).code == 550
        assert [client.read().code for _ in range(3)] == [250, 550, 250]
        client.envelope("one@house.example", "two@house.example")
        assert client.content(CLEAN).code == 250
        assert client.read().code == 250
        assert client.say("NOOP").code == 250
    assert b" with LMTP id " in house.hop.wait_for("one@house.example").content
    assert house.hop.wait_for("lax@house.example").recipients == ("TO:<lax@house.example>",)
    assert not house.hop.to("strict@house.example")


def test_lmtp_refuses_content_for_each_recipient(house: House) -> None:
    with house.client("lmtp", greet=False) as client:
        client.read()
        client.say("LHLO client.example")
        client.envelope("one@house.example", "two@house.example")
        assert client.say("DATA").code == 354
        client.write(b"bare\n\r\n.\r\nNOOP\r\n")
        assert [client.read().code for _ in range(3)] == [554, 554, 250]


# PROXY, XCLIENT, XFORWARD


def v2(ip: str, port: int, command: int = 1) -> bytes:
    """A PROXY header of version 2."""
    addresses = bytes(map(int, ip.split("."))) + bytes((127, 0, 0, 1)) + struct.pack("!HH", port, 25)
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes((0x20 | command, 0x11)) + struct.pack("!H", len(addresses)) + addresses


@pytest.mark.parametrize(
    ("header", "ip"),
    [
        (b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n", "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 25\r\n", "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:192.0.2.9 ::1 4711 25\r\n", "192.0.2.9"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (v2("192.0.2.8", 4712), "192.0.2.8"),
        (v2("192.0.2.8", 4712, command=0), "127.0.0.1"),
    ],
)
def test_a_proxy_header_says_who_the_client_is(house: House, to: str, header: bytes, ip: str) -> None:
    with house.client("proxy", greet=False) as client:
        client.write(header)
        client.greet()
        client.say("MAIL FROM:<author@sender.example>")
        reply = client.say(f"RCPT TO:<{to}>")
        assert (reply.code == 250) is (ip == "127.0.0.1"), reply
    if ip != "127.0.0.1":
        assert house.gateway.logged("refused", to=to)["client"] == ip


@pytest.mark.parametrize(
    "header", [b"EHLO client.example\r\n", b"PROXY TCP4 x y 1 2\r\n", v2("192.0.2.8", 1)[:13] + b"\xff" * 20]
)
def test_a_connection_without_a_good_header_is_cut(house: House, header: bytes) -> None:
    with house.client("proxy", greet=False) as client:
        client.write(header + b"\r\n")
        assert client.read().code == 0


def test_connections_are_counted_by_the_address_of_the_header(house: House) -> None:
    header = b"PROXY TCP4 192.0.2.77 127.0.0.1 4711 25\r\n"
    with house.client("proxy", greet=False) as one, house.client("proxy", greet=False) as two:
        for client in (one, two):
            client.write(header)
            client.greet()
        with house.client("proxy", greet=False) as three:
            three.write(header)
            assert three.read().code == 421
        with house.client("proxy", greet=False) as other:
            other.write(header.replace(b"192.0.2.77", b"192.0.2.78"))
            other.greet()
    assert house.gateway.logged("refused", rule="max_connections_per_address")["client"] == "192.0.2.77"


@pytest.mark.parametrize("together", [True, False])
def test_tls_may_begin_right_behind_a_proxy_header(house: House, together: bool) -> None:
    """A load balancer sends the header and what the client said in one piece."""
    header = b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 25\r\n"
    with house.client("proxytls", greet=False) as client:
        if not together:
            client.write(header)
            client.encrypt(house.authority.trusting())
            client.greet()
            return
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        link = house.authority.trusting().wrap_bio(incoming, outgoing, server_hostname="mx.example.test")
        with pytest.raises(ssl.SSLWantReadError):
            link.do_handshake()
        client.write(header + outgoing.read())
        while True:
            incoming.write(client._socket.recv(65_536))
            try:
                link.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.write(outgoing.read())
        client.write(outgoing.read())
        while True:
            try:
                assert link.read(1000).startswith(b"220 ")
                break
            except ssl.SSLWantReadError:
                incoming.write(client._socket.recv(65_536))


def test_xclient_makes_the_session_that_of_another_client(house: House, to: str) -> None:
    with house.client("trusting") as client:
        assert (
            client.say("XCLIENT NAME=mx.friend.example ADDR=192.0.2.33 PORT=4000 LOGIN=eve+40x HELO=friend").code == 220
        )
        assert client.say("EHLO friend.example").code == 250
        client.say("MAIL FROM:<author@sender.example>")
        assert client.say("XCLIENT ADDR=192.0.2.34").code == 503
        client.say("RSET")
        assert client.send(CLEAN, to).code == 250  # a user that is logged in may relay
    noted = house.noted("trusting")
    assert "client_ip='192.0.2.33'" in noted
    assert "client_name='mx.friend.example'" in noted
    assert "user='eve@x'" in noted
    with house.client("trusting") as client:
        assert client.say("XCLIENT ADDR=IPV6:2001:db8::5 NAME=[UNAVAILABLE]").code == 220
        client.say("EHLO friend.example")
        client.say("MAIL FROM:<author@sender.example>")
        assert client.say("RCPT TO:<somebody@elsewhere.example>").code == 550


def test_xforward_tells_of_the_origin_and_changes_no_permission(house: House, to: str) -> None:
    with house.client("trusting") as client:
        assert "XFORWARD NAME ADDR" in client.say("EHLO relay.example").text
        assert client.say("XFORWARD ADDR=192.0.2.55 NAME=spike.example HELO=spike").code == 250
        assert client.send(CLEAN, to).code == 250
    noted = house.noted("trusting")
    assert "client_ip='127.0.0.1'" in noted
    assert "origin_ip='192.0.2.55'" in noted
    assert house.gateway.logged("judged", to=[to])["origin"] == "192.0.2.55"


@pytest.mark.parametrize(
    "said", ["XCLIENT ADDR=nowhere", "XCLIENT FOO=1", "XCLIENT", "XFORWARD ADDR=+0A", "XCLIENT NAME=a+0Ab"]
)
def test_malformed_words_of_a_peer_are_refused(house: House, said: str) -> None:
    with house.client("trusting") as client:
        assert client.say(said).code == 500


@pytest.mark.parametrize("said", ["XCLIENT ADDR=192.0.2.1", "XFORWARD ADDR=192.0.2.1"])
def test_strangers_may_say_nothing_of_others(house: House, said: str) -> None:
    with house.client("starttls") as client:
        assert client.say(said).code == 550
        assert said.split()[0] not in client.say("EHLO client.example").text


# BDAT


def test_a_message_comes_in_chunks_without_dots_doubled(house: House, to: str) -> None:
    message = CLEAN + b".\r\n..\r\n.not the end\r\n" + os.urandom(100).hex().encode() * 3000 + b"\r\n"
    with house.client("gateway") as client:
        assert "CHUNKING" in client.say("EHLO client.example").text.split("\n")
        client.envelope(to)
        middle = len(message) // 2
        client.write(f"BDAT {middle}\r\n".encode() + message[:middle])
        assert client.read().code == 250
        assert client.say("DATA").code == 503
        assert client.say("MAIL FROM:<x@y.example>").code == 503
        client.write(f"BDAT {len(message) - middle}\r\n".encode() + message[middle:])
        assert client.read().code == 250
        assert client.say("BDAT 0 LAST").code == 250
        client.envelope(to)
        client.write(f"BDAT {len(message)} LAST\r\n".encode() + message + b"NOOP\r\n")
        assert [client.read().code, client.read().code] == [250, 250]
    assert house.hop.wait_for(to, 2).body == message
    assert [one.body for one in house.hop.to(to)] == [message] * 2


def test_chunks_may_be_pipelined(house: House, to: str) -> None:
    with house.client("gateway") as client:
        lines = [b"MAIL FROM:<a@sender.example>\r\n", f"RCPT TO:<{to}>\r\n".encode()]
        chunks = [b"BDAT %d\r\n" % len(CLEAN), CLEAN, b"BDAT 6 LAST\r\nend.\r\n", b"QUIT\r\n"]
        client.write(b"".join(lines + chunks))
        assert [client.read().code for _ in range(5)] == [250, 250, 250, 250, 221]
    assert house.hop.wait_for(to).body == CLEAN + b"end.\r\n"


def test_a_chunk_that_cannot_be_used_is_no_commands(house: House, to: str) -> None:
    with house.client("gateway") as client:
        client.write(b"BDAT 21\r\nMAIL FROM:<a@b.c>\r\n\r\nNOOP\r\n")
        assert [client.read().code, client.read().code] == [503, 250]
        client.envelope(to)
        client.write(b"BDAT 6 LAST\r\nbare\n!NOOP\r\n")
        assert [client.read().code, client.read().code] == [554, 250]
        client.envelope(to)
        client.write(b"BDAT 5\r\nnul\0!BDAT 3 LAST\r\nendNOOP\r\n")
        assert [client.read().code for _ in range(3)] == [554, 503, 250]
        assert client.say("BDAT many").code == 500
        assert client.hung_up
    assert not house.hop.to(to)


def test_chunks_over_the_size_are_refused_and_taken(house: House, to: str) -> None:
    with house.client("mended") as client:
        client.envelope(to)
        client.write(b"BDAT 70000\r\n" + b"x" * 70_000)
        assert client.read().code == 552
        assert client.send(CLEAN, to).code == 250


# line ends


def test_bare_line_ends_are_mended_where_that_is_configured_and_still_end_nothing(house: House, to: str) -> None:
    with house.client("mended") as client:
        client.envelope(to)
        assert client.say("DATA").code == 354
        client.write(b"Subject: old\n\none\n.\nMAIL FROM:<evil@x.example>\r\rtwo\r\n.\r\n")
        assert client.read().code == 250
        assert client.say("NOOP").code == 250
    body = house.hop.wait_for(to).body
    assert body == b"Subject: old\r\n\r\none\r\n.\r\nMAIL FROM:<evil@x.example>\r\n\r\ntwo\r\n"
    assert len(house.hop.to(to)) == 1
