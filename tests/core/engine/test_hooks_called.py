"""Every hook is called by the engine, at its place, with its arguments: one test for each hook of `Specs`."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mailward import (
    NULL,
    Address,
    Check,
    Custom,
    Decision,
    Delivery,
    Engine,
    Envelope,
    Event,
    Finding,
    Hold,
    Kind,
    Member,
    Message,
    MessageInfo,
    NextHop,
    Part,
    Plugin,
    PluginFault,
    Recipient,
    Reply,
    Result,
    Scan,
    Sender,
    Session,
    Status,
    hookimpl,
)

Build = Callable[..., Engine]

SESSION = Session("s1", "192.0.2.1", 4711)
SENDER = Sender(Address.parse("alice@example.com"), (("SIZE", "1000"),))
BOB = Recipient(Address.parse("bob@example.org"))
ENVELOPE = Envelope(SESSION, SENDER, (BOB,), "m1")
INFO = MessageInfo("m1", ENVELOPE, 100, b"Subject: x\r\n\r\n")
MAIL = b"Subject: two\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhello\r\n--x--\r\n"
REFUSAL = Reply(550, "5.7.1", "No")


class Recorder(Plugin):
    """Remembers what it was called with."""

    def setup(self) -> None:
        self.calls: list[Any] = []


def recorder(built: Engine) -> Recorder:
    found = built.policies.instances[0].plugin
    assert isinstance(found, Recorder)
    return found


def test_hook_connect(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def connect(self, session: Session) -> Reply:
            self.calls.append(session)
            return REFUSAL

    built = engine({"mine": Mine})
    ruling = asyncio.run(built.gate.connect(SESSION))
    assert recorder(built).calls == [SESSION]
    assert (ruling.reply, ruling.plugin, ruling.rule) == (REFUSAL, "mine", "connect")


def test_hook_helo(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def helo(self, session: Session, name: str) -> Reply:
            self.calls.append((session, name))
            return REFUSAL

    built = engine({"mine": Mine})
    ruling = asyncio.run(built.gate.helo(SESSION, "client.example"))
    assert recorder(built).calls == [(SESSION, "client.example")]
    assert ruling.reply == REFUSAL


def test_hook_mail_from(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def mail_from(self, session: Session, sender: Sender) -> Reply:
            self.calls.append((session, sender))
            return REFUSAL

    built = engine({"mine": Mine})
    ruling = asyncio.run(built.gate.mail_from(SESSION, SENDER))
    assert recorder(built).calls == [(SESSION, SENDER)]
    assert ruling.reply == REFUSAL


def test_hook_rcpt_to(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def rcpt_to(self, session: Session, sender: Sender, recipient: Recipient) -> Reply:
            self.calls.append((session, sender, recipient))
            return REFUSAL

    built = engine({"mine": Mine})
    ruling = asyncio.run(built.gate.rcpt_to(SESSION, SENDER, BOB))
    assert recorder(built).calls == [(SESSION, SENDER, BOB)]
    assert ruling.reply == REFUSAL


def test_hook_authenticate(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        async def authenticate(self, session: Session, user: str, password: str) -> bool | None:
            self.calls.append((session, user))
            return {"right": True, "wrong": False}.get(password)

    built = engine({"mine": Mine})
    asked = [asyncio.run(built.gate.authenticate(SESSION, "bob", one)) for one in ("right", "wrong", "another's")]
    assert asked == [True, False, None]
    assert recorder(built).calls == [(SESSION, "bob")] * 3


def test_hook_authenticate_that_fails_lets_nobody_in(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def authenticate(self) -> bool:
            raise OSError("the directory is down")

    with pytest.raises(PluginFault):
        asyncio.run(engine({"mine": Mine}).gate.authenticate(SESSION, "bob", "secret"))


def test_hook_locality(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def locality(self, recipient: Recipient) -> bool:
            self.calls.append(recipient)
            return False

    built = engine({"mine": Mine})
    assert asyncio.run(built.gate.locality(BOB)) is False
    assert recorder(built).calls == [BOB]


def test_hook_data(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def data(self, session: Session, message: MessageInfo) -> Reply:
            self.calls.append((session, message))
            return REFUSAL

    built = engine({"mine": Mine})
    ruling = asyncio.run(built.gate.data(SESSION, INFO))
    assert recorder(built).calls == [(SESSION, INFO)]
    assert ruling.reply == REFUSAL


def test_hook_unpack(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def unpack(self, part: Part, scan: Scan) -> Iterator[Member] | None:
            self.calls.append((part.path, scan.envelope))
            return iter([Member("inside.txt", [b"found"])]) if part.path == "1" else None

        @hookimpl
        def scan_part(self, part: Part) -> None:
            self.calls.append((part.path, part.content))

    built = engine({"mine": Mine})
    verdict = asyncio.run(built.judge(ENVELOPE, b"Subject: x\r\n\r\nhello\r\n"))
    assert recorder(built).calls == [
        ("1", ENVELOPE),
        ("1", b"hello\r\n"),
        ("1/inside.txt", ENVELOPE),
        ("1/inside.txt", b"found"),
    ]
    assert verdict.parts == ("1", "1/inside.txt")


def test_hook_scan_part(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def scan_part(self, part: Part, scan: Scan) -> Finding:
            self.calls.append((part.path, scan.envelope, scan.message.subject))
            return self.finding("seen", part, kind=Kind.NOTE)

    built = engine({"mine": Mine})
    verdict = asyncio.run(built.judge(ENVELOPE, MAIL))
    assert recorder(built).calls == [("", ENVELOPE, "two"), ("1", ENVELOPE, "two")]
    found = [(finding.plugin, finding.rule, finding.part) for finding in verdict.copies[0].findings]
    assert found == [("mine", "seen", ""), ("mine", "seen", "1")]


def test_hook_scan_message(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def scan_part(self, part: Part) -> Finding:
            return self.finding("early", part, kind=Kind.NOTE)

        @hookimpl
        def scan_message(self, message: Message, scan: Scan) -> Finding:
            self.calls.append((message is scan.message, [f.rule for f in scan.findings]))
            return self.finding("late", kind=Kind.NOTE)

    built = engine({"mine": Mine})
    verdict = asyncio.run(built.judge(ENVELOPE, MAIL))
    assert recorder(built).calls == [(True, ["early", "early"])]
    assert [f.rule for f in verdict.copies[0].findings] == ["early", "early", "late"]


def test_hook_disposition(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def scan_message(self) -> Finding:
            return self.finding("odd", kind=Kind.SUSPICIOUS)

        @hookimpl
        def disposition(self, message: Message, findings: tuple[Finding, ...], scan: Scan) -> Decision:
            self.calls.append((message is scan.message, [f.rule for f in findings], scan.envelope))
            return Decision(Hold(), findings=findings, reason="odd")

    built = engine({"mine": Mine})
    copy = asyncio.run(built.judge(ENVELOPE, MAIL)).copies[0]
    assert recorder(built).calls == [(True, ["odd"], ENVELOPE)]
    assert copy.action == Hold()
    assert copy.decided_by is not None
    assert (copy.decided_by.plugin, copy.decided_by.reason) == ("mine", "odd")


def test_hook_route(engine: Build) -> None:
    hops = (NextHop("smtp", "a.example", 25), NextHop("smtp", "b.example", 25))

    class Mine(Recorder):
        @hookimpl
        def route(self, recipient: Recipient, message: MessageInfo) -> tuple[NextHop, ...]:
            self.calls.append((recipient, message))
            return hops

    built = engine({"mine": Mine})
    assert asyncio.run(built.gate.route(BOB, INFO)) == hops
    assert recorder(built).calls == [(BOB, INFO)]


def test_hook_deliver(engine: Build) -> None:
    class Nothing:
        size_bytes = 0

    delivery = Delivery(INFO, SENDER, (BOB,), NextHop("pigeon"), Nothing())  # type: ignore[arg-type]

    class Mine(Recorder):
        @hookimpl
        def deliver(self, delivery: Delivery) -> list[Result]:
            self.calls.append(delivery)
            return [Result(one, Status.DELIVERED) for one in delivery.recipients]

    built = engine({"mine": Mine})
    assert asyncio.run(built.gate.deliver(delivery)) == (Result(BOB, Status.DELIVERED),)
    assert recorder(built).calls == [delivery]


def test_hook_event(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        async def event(self, event: Event) -> None:
            self.calls.append(event)

    built = engine({"mine": Mine})

    async def main() -> None:
        async with built:
            built.emit(Custom(plugin="other", rule="x", at=1.0))

    asyncio.run(main())
    assert recorder(built).calls == [Custom(plugin="other", rule="x", at=1.0)]


def test_hook_start(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def start(self) -> None:
            self.calls.append("start")

        @hookimpl
        async def scan_message(self) -> None:
            self.calls.append("scan")

    built = engine({"mine": Mine})

    async def main() -> None:
        async with built:
            await built.judge(Envelope(), MAIL)

    asyncio.run(main())
    assert recorder(built).calls == ["start", "scan"]


def test_hook_stop(engine: Build) -> None:
    order: list[str] = []

    class Mine(Plugin):
        @hookimpl
        async def stop(self) -> None:
            order.append(self.name)

    async def main(built: Engine) -> None:
        async with built:
            assert order == []

    asyncio.run(main(engine({"first": Mine, "second": Mine})))
    assert order == ["second", "first"]


def test_hook_reload(engine: Build) -> None:
    class Mine(Recorder):
        @hookimpl
        def reload(self) -> None:
            self.calls.append("reload")

    built = engine({"mine": Mine})
    asyncio.run(built.reload())
    assert recorder(built).calls == ["reload"]


def test_hook_check(engine: Build) -> None:
    class Good(Plugin):
        @hookimpl
        async def check(self) -> Check:
            return Check("server", detail="answers")

    class Bad(Plugin):
        @hookimpl
        def check(self) -> Iterator[Check]:
            yield Check("list", ok=False, detail="missing", advice="write it")
            yield Check("server")

    built = engine({"good": Good, "bad": Bad})
    found = asyncio.run(built.check())
    assert [(one.plugin, one.name, str(one.health)) for one in found] == [
        ("good", "server", "ok"),
        ("bad", "list", "failure"),
        ("bad", "server", "ok"),
    ]


def test_hooks_meet_a_message_in_the_documented_order(engine: Build) -> None:
    order: list[str] = []

    class Mine(Plugin):
        @hookimpl
        def unpack(self, part: Part) -> None:
            order.append(f"unpack {part.path}")

        @hookimpl
        def scan_part(self, part: Part) -> None:
            order.append(f"scan_part {part.path}")

        @hookimpl
        def scan_message(self) -> None:
            order.append("scan_message")

        @hookimpl
        def disposition(self) -> None:
            order.append("disposition")

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a")
    raw = b"Content-Type: application/zip\r\nContent-Transfer-Encoding: binary\r\n\r\n" + file.getvalue()
    asyncio.run(engine({"mine": Mine}).judge(Envelope(sender=Sender(NULL)), raw))
    assert order == [
        *("unpack 1", "scan_part 1", "unpack 1/a.txt", "scan_part 1/a.txt"),
        *("scan_message", "disposition"),
    ]
