"""Clients that talk early, flood, send too much or too slowly, and what they are told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest
from harness.client import Client
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN, plain

LISTENERS = {
    "delaying": {"listen": ["127.0.0.1:0"], "greeting_delay_s": 0.5},
    "deferring": {"listen": ["127.0.0.1:0"], "greeting_delay_s": 0.5, "early_talkers": "defer"},
    "allowing": {"listen": ["127.0.0.1:0"], "greeting_delay_s": 0.5, "early_talkers": "allow"},
    "short": {"listen": ["127.0.0.1:0"], "max_session_bytes": "64 KB", "max_junk_commands": 3},
    "hasty": {
        "listen": ["127.0.0.1:0"],
        "command_timeout_s": 1,
        "data_start_timeout_s": 60,
        "data_end_timeout_s": 60,
    },
    "hasty data": {
        "listen": ["127.0.0.1:0"],
        "command_timeout_s": 60,
        "data_start_timeout_s": 1,
        "data_end_timeout_s": 60,
    },
    "hasty end": {
        "listen": ["127.0.0.1:0"],
        "command_timeout_s": 60,
        "data_start_timeout_s": 60,
        "data_end_timeout_s": 1,
    },
    "hasty tls": {"listen": ["127.0.0.1:0"], "proxy_from": ["127.0.0.1"], "read_timeout_s": 1},
}
NAMES = tuple(LISTENERS)
_NUMBERS = count()
House = tuple[Gateway, Hop]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    settings = {"listener": LISTENERS, "gateway": {"listen": ["127.0.0.1:0"]}}
    with (
        open_hop() as hop,
        running(tmp_path_factory.mktemp("limits"), {**settings, "relay": {"default": hop.route}}) as gateway,
    ):
        yield gateway, hop


@pytest.fixture
def to() -> str:
    return f"m{next(_NUMBERS)}@house.example"


def connect(house: House, name: str) -> Client:
    return Client(house[0].ports[1 + NAMES.index(name)])


@pytest.mark.parametrize(("name", "code"), [("delaying", 554), ("deferring", 421), ("allowing", 220)])
def test_a_client_that_speaks_before_the_greeting_is_told_so(house: House, name: str, code: int) -> None:
    with connect(house, name) as client:
        client.write(b"EHLO client.example\r\n")
        assert client.read().code == code
        if code == 220:
            assert client.read().code == 250
            return
        assert client.hung_up
    assert house[0].logged("refused", rule="early_talkers")["stage"] == "connect"
    assert house[0].logged("protocol_violation")["detail"] == "commands before the greeting"


def test_a_client_that_waits_is_greeted_late(house: House) -> None:
    started = time.monotonic()
    with connect(house, "delaying") as client:
        client.greet()
    assert time.monotonic() - started >= 0.5


def test_commands_without_mail_are_counted_until_mail_comes(house: House, to: str) -> None:
    with connect(house, "short") as client:
        client.greet()
        assert [client.say(one).code for one in ("NOOP", "RSET")] == [250, 250]
        assert client.send(CLEAN, to).code == 250
        assert [client.say(one).code for one in ("NOOP", "HELP", "VRFY x", "NOOP")] == [250, 214, 252, 421]
        assert client.hung_up
    assert house[0].logged("refused", rule="max_junk_commands")["stage"] == "command"


def test_a_browser_is_sent_away(house: House) -> None:
    with house[0].client(greet=False) as client:
        client.read()
        client.write(b"POST / HTTP/1.1\r\nHost: mx.example.test\r\n\r\nEHLO evil.example\r\nMAIL FROM:<a@b.c>\r\n")
        assert client.read().code == 421
        assert client.read().code == 0


def test_a_session_has_a_size_of_its_own(house: House, to: str) -> None:
    message = plain(b"x" * 70 + b"\r\n") + (b"y" * 70 + b"\r\n") * 500
    with connect(house, "short") as client:
        client.greet()
        assert client.send(message, to).code == 250
        assert client.say(f"MAIL FROM:<a@sender.example> SIZE={len(message)}").code == 421
        assert client.hung_up
    with connect(house, "short") as client:
        client.greet()
        assert client.send(message, to).code == 250
        assert client.send(message, to).code == 421
        assert client.hung_up
    assert house[0].logged("refused", rule="max_session_bytes")["reply"].startswith("421")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("hasty", []),
        ("hasty", ["EHLO client.example"]),
        ("hasty", ["EHLO client.example", "MAIL FROM:<a@sender.example>"]),
        ("hasty data", ["EHLO client.example", "MAIL FROM:<a@sender.example>", "RCPT TO:<b@house.example>"]),
        ("hasty end", ["EHLO client.example", "MAIL FROM:<a@sender.example>", "RCPT TO:<b@house.example>", "DATA"]),
    ],
)
def test_each_stage_has_a_time_of_its_own(house: House, name: str, lines: list[str]) -> None:
    with connect(house, name) as client:
        assert client.read().code == 220
        for line in lines:
            assert client.say(line).code in (250, 354)
        assert client.read().code == 421
        assert client.hung_up


def test_a_header_that_does_not_come_is_not_waited_for(house: House) -> None:
    with connect(house, "hasty tls") as client:
        client.write(b"PROXY TCP4 ")
        assert client.read().code in (0, 421)


def test_the_time_of_a_stage_begins_with_it(house: House, to: str) -> None:
    with connect(house, "hasty") as client:
        client.greet()
        client.envelope(to)
        time.sleep(1.6)  # longer than the time for commands, well within that for DATA
        assert client.content(CLEAN).code == 250
        assert client.read().code == 421
    assert house[1].wait_for(to).body == CLEAN
