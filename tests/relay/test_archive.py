"""Archives of what comes in and what goes out (KAV-ARC-01)."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from mailward import (
    NULL,
    Address,
    Clock,
    Copy,
    Defer,
    Deliver,
    Drop,
    Envelope,
    Judged,
    MessageAction,
    MessageInfo,
    NextHop,
    Quarantine,
    Recipient,
    Reject,
    Reply,
    Sender,
    Session,
    Verdict,
)
from mailward_relay.archive import SHARES, STASH
from mailward_relay.archive_settings import ArchiveSettings

BODY = b"Subject: hello\r\n\r\ngood day\r\n"
NOW = float(int(time.time()))
DAY = time.strftime("%Y-%m-%d", time.gmtime(NOW))
BOB, EVE = (Recipient(Address.parse(f"{name}@house.example")) for name in ("bob", "eve"))
ENVELOPE = Envelope(
    Session(client_ip="192.0.2.1", helo="peer.example"), Sender(Address.parse("a@b.example")), (BOB, EVE), "m1", NOW
)


@pytest.fixture
def archived(make_relay: Any) -> Any:
    def make(clock: Clock | None = None, **settings: Any) -> Any:
        clock = clock or Clock(time=lambda: NOW, monotonic=lambda: 0.0)
        return make_relay(clock=clock, archive=ArchiveSettings(**settings))

    return make


def judged(*copies: tuple[MessageAction, tuple[Recipient, ...]], reply: Reply = Reply(250)) -> Judged:  # noqa: B008
    made = tuple(Copy("default", recipients, action) for action, recipients in copies)
    return Judged(envelope=ENVELOPE, verdict=Verdict("m1", made), reply=reply, size_bytes=len(BODY))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def records(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def info(blob: Any, message_id: str = "m1", body: bytes = BODY) -> MessageInfo:
    return MessageInfo(message_id, ENVELOPE, len(body), b"", 0, blob(body))


def test_both_archives_are_off_unless_set(archived: Any) -> None:
    assert {"data", "event"} <= archived().idle
    assert archived(incoming="in").idle == {"mail_from", "event"}
    assert archived(outgoing="out").idle == {"mail_from"}


def test_kav_arc_01_every_message_received_is_kept_byte_for_byte(archived: Any, blob: Any, tmp_path: Path) -> None:
    relay = archived(incoming="in")
    assert asyncio.run(relay.data(info(blob))) is None
    assert files(tmp_path / "in") == [f"{DAY}/m1.eml", f"{DAY}/m1.json"]
    assert (tmp_path / "in" / DAY / "m1.eml").read_bytes() == BODY
    assert records(tmp_path / "in" / DAY / "m1.json") == [
        {
            "at": NOW,
            "client": "192.0.2.1",
            "helo": "peer.example",
            "from": "a@b.example",
            "to": ["bob@house.example", "eve@house.example"],
        }
    ]
    assert (tmp_path / "in" / DAY / "m1.eml").stat().st_mode & 0o077 == 0


def test_a_message_that_cannot_be_archived_is_not_accepted(
    archived: Any, blob: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    relay = archived(incoming="in")
    monkeypatch.setattr(os, "fsync", full)
    answer = asyncio.run(relay.data(info(blob)))
    assert (answer.code, answer.enhanced) == (452, "4.3.1")
    assert files(tmp_path / "in") == []


@pytest.mark.parametrize("incoming", ["", "in"], ids=["outgoing alone", "both"])
@pytest.mark.parametrize("action", [Drop(), Quarantine(), Reject(Reply(550, "5.7.1", "infected"))])
def test_kav_arc_01_blocked_messages_are_in_the_outgoing_archive(
    archived: Any, blob: Any, tmp_path: Path, action: MessageAction, incoming: str
) -> None:
    relay = archived(incoming=incoming, outgoing="out")

    async def run() -> None:
        await relay.data(info(blob))
        assert (tmp_path / "out" / STASH / "m1.eml").read_bytes() == BODY
        await relay.event(judged((action, (BOB,)), (Deliver(), (EVE,))))

    asyncio.run(run())
    assert files(tmp_path / "out") == [f"{DAY}/m1.eml", f"{DAY}/m1.json"]
    assert (tmp_path / "out" / DAY / "m1.eml").read_bytes() == BODY
    (record,) = records(tmp_path / "out" / DAY / "m1.json")
    assert (record["blocked"], record["to"]) == ([str(action)], ["bob@house.example"])


@pytest.mark.parametrize(
    "event",
    [judged((Deliver(), (BOB, EVE))), judged((Defer("later"), (BOB, EVE)), reply=Reply(451))],
    ids=["delivered later", "not accepted"],
)
def test_what_goes_on_is_not_kept_aside(archived: Any, blob: Any, tmp_path: Path, event: Judged) -> None:
    relay = archived(outgoing="out")

    async def run() -> None:
        await relay.data(info(blob))
        await relay.event(event)
        await relay.event(event)

    asyncio.run(run())
    assert files(tmp_path / "out") == []


def test_kav_arc_01_delivered_messages_and_notices_are_in_the_outgoing_archive(
    archived: Any, send: Any, peer: Any, tmp_path: Path
) -> None:
    relay = archived(outgoing="out")

    async def run() -> None:
        server = peer(script={"RCPT": ["250 ok", "550 no", "250 ok"]})
        async with server.listening():
            await send(relay, server.port, BODY, to=["b@rcpt.example", "c@rcpt.example"])
            await send(relay, server.port, BODY, sender=Sender(NULL), to=["d@rcpt.example"])
            await relay.stop()

    asyncio.run(run())
    assert files(tmp_path / "out") == [f"{DAY}/m1.eml", f"{DAY}/m1.json"]
    first, second = records(tmp_path / "out" / DAY / "m1.json")
    assert (first["to"], second["from"], second["to"]) == (["b@rcpt.example"], "", ["d@rcpt.example"])
    assert first["delivered"].startswith("smtp:127.0.0.1:")


def test_what_was_not_delivered_is_not_archived(archived: Any, send: Any, tmp_path: Path, unused_port: int) -> None:
    relay = archived(outgoing="out")
    (result,) = asyncio.run(send(relay, unused_port, BODY))
    assert result.status == "unreachable"
    assert not (tmp_path / "out").exists()


def test_a_delivery_whose_copy_cannot_be_written_is_still_a_delivery(
    archived: Any, send: Any, peer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("in the way")
    relay = archived(outgoing="out")

    async def run() -> Any:
        async with peer().listening() as server:
            (result,) = await send(relay, server.port, BODY)
            await relay.stop()
            return result

    assert asyncio.run(run()).status == "delivered"
    assert "archive cannot be written" in capsys.readouterr().out


def test_copies_grow_old_and_go(archived: Any, blob: Any, tmp_path: Path) -> None:
    now = [NOW]
    relay = archived(Clock(time=lambda: now[0], monotonic=lambda: now[0]), incoming="in", max_days=7)

    async def receive(name: str) -> None:
        await relay.data(info(blob, name))
        for path in (tmp_path / "in").rglob(f"{name}.*"):
            os.utime(path, (now[0], now[0]))

    async def run() -> None:
        await receive("old")
        now[0] += 6 * 86_400
        await receive("new")
        (tmp_path / "in" / DAY / "README").write_text("kept by the house")
        now[0] += 2 * 86_400
        await receive("now")

    asyncio.run(run())
    left = files(tmp_path / "in")
    assert f"{DAY}/README" in left
    assert [name for name in left if "old" in name] == []
    assert len([name for name in left if "new" in name or "now" in name]) == 4


def test_the_size_of_an_archive_is_kept(archived: Any, blob: Any, tmp_path: Path) -> None:
    body = b"x" * 2000
    most = 100_000
    relay = archived(incoming="in", max_bytes=most)

    async def run() -> None:
        for number in range(100):
            await relay.data(info(blob, f"m{number:03}", body))
            for path in (tmp_path / "in").rglob(f"m{number:03}.*"):
                os.utime(path, (NOW - 1000 + number, NOW - 1000 + number))
            total = sum(path.stat().st_size for path in (tmp_path / "in").rglob("*.*"))
            assert total <= most + 3000

    asyncio.run(run())
    left = [name for name in files(tmp_path / "in") if name.endswith(".eml")]
    assert f"{DAY}/m099.eml" in left
    assert f"{DAY}/m000.eml" not in left
    assert len(left) >= (most - 2 * most // SHARES) // 2300


def test_a_copy_aside_that_no_verdict_came_for_goes_after_a_day(archived: Any, blob: Any, tmp_path: Path) -> None:
    now = [NOW]
    relay = archived(Clock(time=lambda: now[0], monotonic=lambda: now[0]), outgoing="out")

    async def run() -> None:
        await relay.data(info(blob, "lost"))
        os.utime(tmp_path / "out" / STASH / "lost.eml", (NOW, NOW))
        (tmp_path / "out" / "tmp").mkdir()
        (tmp_path / "out" / "tmp" / "lost.eml.77").write_bytes(b"half a mess")
        os.utime(tmp_path / "out" / "tmp" / "lost.eml.77", (NOW, NOW))
        now[0] += 90_000
        await relay.data(info(blob, "m1"))
        await relay.event(judged((Drop(), (BOB,))))

    asyncio.run(run())
    assert all("lost" not in name for name in files(tmp_path / "out"))


def test_a_hostile_id_stays_in_its_folder(archived: Any, blob: Any, tmp_path: Path) -> None:
    asyncio.run(archived(incoming="in").data(info(blob, "../../etc/x")))
    assert files(tmp_path) == [f"in/{DAY}/_.._etc_x.eml", f"in/{DAY}/_.._etc_x.json"]


def test_maildir_deliveries_are_archived_too(archived: Any, send: Any, tmp_path: Path) -> None:
    relay = archived(outgoing="out")
    (result,) = asyncio.run(send(relay, 0, BODY, hop=NextHop("maildir", path=str(tmp_path / "box"))))
    assert (result.status, result.final) == ("delivered", True)
    assert f"{DAY}/m1.eml" in files(tmp_path / "out")
