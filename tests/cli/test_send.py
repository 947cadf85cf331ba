"""``mailward send`` against a small real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

Run = Callable[..., Any]
EICAR_START = "".join(("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD"))


class Sink:
    """Takes mail, but for some recipients and some content."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        assert isinstance(envelope.content, bytes)
        return "554 5.7.1 Infected" if b"eicar.com" in envelope.content else "250 2.0.0 Taken"


@pytest.fixture
def sink() -> Iterator[tuple[Sink, str]]:
    handler = Sink()
    loop = asyncio.new_event_loop()
    serving = loop.run_until_complete(
        loop.create_server(
            lambda: SMTP(handler, hostname="sink.example", enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
        )
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield handler, f"127.0.0.1:{serving.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    serving.close()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()


def test_a_made_message_is_accepted(run: Run, sink: tuple[Sink, str]) -> None:
    handler, server = sink
    done = run("send", "--to", "bob@example.com", "--from", "ann@example.com", "--server", server)
    assert done.status == 0
    assert "→ RCPT TO:<bob@example.com>" in done.out
    assert "← 250 2.0.0 Taken" in done.out
    (envelope,) = handler.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == ("ann@example.com", ["bob@example.com"])
    content = envelope.content
    assert isinstance(content, bytes)
    assert b"\r\nSubject: Test of Mailward\r\n" in content
    assert content.count(b"\n") == content.count(b"\r\n")


def test_the_test_virus_is_refused_and_status_1(run: Run, sink: tuple[Sink, str]) -> None:
    done = run("send", "--to", "bob@example.com", "--server", sink[1], "--eicar")
    assert done.status == 1
    assert "← 554 5.7.1 Infected" in done.out


def test_a_file_is_sent_as_it_is(run: Run, sink: tuple[Sink, str]) -> None:
    handler, server = sink
    raw = b"Subject: x\n\n.dot\nlast\n"
    assert run("send", "--to", "bob@example.com", "--server", server, "-", stdin=raw).status == 0
    assert handler.taken[0].content == raw.replace(b"\n", b"\r\n")


def test_some_recipients_refused_is_status_1_and_the_others_get_it(run: Run, sink: tuple[Sink, str]) -> None:
    handler, server = sink
    done = run("send", "--to", "nobody@example.com", "--to", "bob@example.com", "--server", server)
    assert done.status == 1
    assert "← 550 5.1.1 No such user" in done.out
    assert handler.taken[0].rcpt_tos == ["bob@example.com"]


def test_nothing_is_sent_where_every_recipient_is_refused(run: Run, sink: tuple[Sink, str]) -> None:
    handler, server = sink
    assert run("send", "--to", "nobody@example.com", "--server", server).status == 1
    assert handler.taken == []


def test_the_null_sender_and_other_alphabets(run: Run, sink: tuple[Sink, str]) -> None:
    handler, server = sink
    done = run("send", "--to", "bücher@example.com", "--from", "<>", "--subject", "Grüße", "--server", server)
    assert done.status == 0
    assert (handler.taken[0].mail_from, handler.taken[0].rcpt_tos) == ("<>", ["bücher@example.com"])
    content = handler.taken[0].content
    assert isinstance(content, bytes)
    assert b"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n" in content


def test_a_server_that_is_not_there_is_status_3(run: Run) -> None:
    done = run("send", "--to", "bob@example.com", "--server", "127.0.0.1:1")
    assert done.status == 3
    assert "127.0.0.1:1: " in done.err
    assert "mailward serve" in done.err


@pytest.mark.parametrize(
    "options", [[], ["--to", "nobody"], ["--to", "a@b", "--server", "here"], ["--to", "a@b", "--eicar", "-"]]
)
def test_wrong_usage(run: Run, options: list[str]) -> None:
    assert run("send", *options).status == 2
