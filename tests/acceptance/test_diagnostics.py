"""What is kept for finding faults: conversations with clients and next hops, raw copies of messages."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from harness.gateway import Gateway
from harness.hop import Hop
from harness.mails import CLEAN, plain
from harness.wait import until

from mailward.gateway.passwords import hashed

Start = Callable[..., Gateway]


def kept(gateway: Gateway, kind: str, count: int = 1) -> list[str]:
    """The texts that are kept, oldest first, once there are so many."""
    folder = gateway.state / "diagnostics" / kind

    def written() -> list[tuple[int, str]]:
        try:
            found = [(file.stat().st_mode, file.read_text()) for file in sorted(folder.glob("*"))]
        except FileNotFoundError:  # it made room for another
            return []
        # a file is there a moment before what is in it
        return found if len(found) >= count and all(text for _, text in found) else []

    files = until(written, f"{count} × {kind}")
    assert all(mode & 0o077 == 0 for mode, _ in files)
    return [text for _, text in files]


def none_kept(gateway: Gateway, kind: str) -> bool:
    return not list((gateway.state / "diagnostics" / kind).glob("*"))


def quit_after(gateway: Gateway, *lines: str) -> None:
    with gateway.client() as client:
        for line in lines:
            client.say(line)
        assert client.say("QUIT").code == 221
        assert client.hung_up


def test_every_conversation_is_kept_where_all_are_wanted(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, diagnostics={"inbound": "all", "outbound": "all", "outbound_data": "ignore"}, relay={"idle_s": 0})
    with up.client() as client:
        assert client.send(CLEAN, "reader@house.example").code == 250
        client.say("QUIT")
    hop.wait_for("reader@house.example")
    (inbound,) = kept(up, "inbound")
    assert "C: MAIL FROM:<author@sender.example>" in inbound
    assert "S: 354 Start mail input" in inbound
    lines, size = CLEAN.count(b"\n") + 1, len(CLEAN) + 3
    assert f"content: {lines} lines, {size} bytes" in inbound
    assert "Good day" not in inbound
    assert inbound.rstrip().endswith("S: 221 2.0.0 Bye")
    (outbound,) = kept(up, "outbound")
    assert "attempt 1, connected to 127.0.0.1:" in outbound
    assert "C: MAIL FROM:<author@sender.example>" in outbound
    assert "S: 250 2.0.0 taken" in outbound
    assert "content" not in outbound.partition("354")[2].partition("250")[0]


def test_content_is_kept_where_that_is_wanted_and_cut_at_the_limit(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, diagnostics={"inbound": "all", "inbound_data": "echo", "max_file_bytes": 5000})
    with up.client() as client:
        assert client.send(CLEAN, "reader@house.example").code == 250
        assert client.send(plain(b"x" * 70 + b"\r\n") + (b"y" * 70 + b"\r\n") * 100, "reader@house.example").code == 250
        client.say("QUIT")
    (inbound,) = kept(up, "inbound")
    assert "D: Subject: a test" in inbound
    assert len(inbound) < 5200
    assert "cut here" in inbound


ERRORS: dict[str, Callable[[Gateway], None]] = {
    "protocol": lambda up: quit_after(up, "WHAT"),
    "unsupported": lambda up: quit_after(up, "TURN"),
    "local": lambda up: quit_after(up, "MAIL FROM:<a@b.example> SIZE=999999999"),
    "communication": lambda up: up.client().close(),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_conversations_with_errors_of_a_kind_are_kept(gateway: Start, hop: Hop, kind: str) -> None:
    up = gateway(hop, diagnostics={"inbound": "errors", "inbound_errors": kind})
    quit_after(up, "NOOP")
    for other, cause in ERRORS.items():
        # an unsupported command counts as a bad one too
        if other != kind and (kind, other) != ("protocol", "unsupported"):
            cause(up)
    quit_after(up, "NOOP")
    assert none_kept(up, "inbound")
    ERRORS[kind](up)
    (text,) = kept(up, "inbound")
    assert "EHLO client.example" in text


def test_no_secret_is_kept(gateway: Start, hop: Hop) -> None:
    settings: dict[str, Any] = {"auth": "optional", "auth_without_tls": True, "password_file": "passwords"}
    up = gateway(hop, {"passwords": f"bob:{hashed('top secret')}\n"}, gateway=settings, diagnostics={"inbound": "all"})
    line = base64.b64encode(b"\0bob\0top secret").decode()
    user, password = base64.b64encode(b"bob").decode(), base64.b64encode(b"top secret").decode()
    for words in (
        [f"AUTH PLAIN {line}"],
        ["AUTH PLAIN", line],
        ["AUTH LOGIN", user, password],
        [f"auth plain  {line}"],
    ):
        quit_after(up, *words)
    texts = kept(up, "inbound", 4)
    assert all("235 2.7.0" in text for text in texts)
    for secret in (line, password, "top secret"):
        assert not any(secret in text for text in texts)
        assert secret not in up.log_file.read_text()


def test_the_oldest_conversations_make_room(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, diagnostics={"inbound": "all", "max_files": 2})
    for number in range(4):
        quit_after(up, f"NOOP {number}")
        # a conversation is written once the client has gone
        until(lambda word=f"NOOP {number}": word in kept(up, "inbound")[-1], f"conversation {number}")

    def are_the_last_two() -> bool:
        texts = kept(up, "inbound", 2)
        return ["NOOP 2" in texts[0], "NOOP 3" in texts[-1], len(texts)] == [True, True, 2]

    until(are_the_last_two, "the others to make room")


def test_an_attempt_that_fails_is_kept(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, diagnostics={"outbound": "errors"})
    assert up.send(CLEAN, "reader@house.example").code == 250
    hop.wait_for("reader@house.example")
    assert none_kept(up, "outbound")
    hop.answer = lambda verb, argument: "550 5.1.1 No such user" if verb == "RCPT" and "nobody@" in argument else None
    up.send(CLEAN, "nobody@house.example", sender="")
    (text,) = kept(up, "outbound")
    assert "S: 550 5.1.1 No such user" in text
    hop.answer = lambda verb, argument: "" if verb == "." else None
    up.send(CLEAN, "reader@house.example", sender="")
    assert "communication error" in kept(up, "outbound", 2)[-1]


def test_a_next_hop_that_is_not_there_is_kept(gateway: Start) -> None:
    up = gateway("127.0.0.1:1", diagnostics={"outbound": "errors"}, delivery={"retry_first_s": 60, "retry_max_s": 60})
    up.send(CLEAN, "reader@house.example")
    assert "communication error" in kept(up, "outbound")[0]


def test_raw_copies_of_messages_are_kept(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, diagnostics={"messages": "all", "max_messages": 2})
    big = plain(b"line\r\n" * 100_000)
    for message in (CLEAN, big, CLEAN):
        assert up.send(message, "reader@house.example").code == 250
    kept(up, "messages", 2)
    files = sorted((up.state / "diagnostics/messages").glob("*"))
    same = [file.read_bytes() == sent for file, sent in zip(files, (big, CLEAN), strict=True)]
    assert same == [True, True]


DEFERRING = """
from mailward import Plugin, Reply, hookimpl

class Deferring(Plugin):
    \"\"\"Puts off what says so.\"\"\"

    @hookimpl
    def data(self, message):
        return Reply(451, "4.7.1", "Not now") if b"later" in message.head else None
"""


def test_raw_copies_of_failures_alone_are_kept(gateway: Start, hop: Hop) -> None:
    plugins = ["relay", "./deferring.py"]
    up = gateway(hop, {"deferring.py": DEFERRING}, plugins=plugins, diagnostics={"messages": "errors"})
    assert up.send(CLEAN, "reader@house.example").code == 250
    assert none_kept(up, "messages")
    late = plain(subject="later")
    assert up.send(late, "reader@house.example").code == 451
    kept(up, "messages")
    (file,) = (up.state / "diagnostics/messages").glob("*")
    assert file.read_bytes() == late
