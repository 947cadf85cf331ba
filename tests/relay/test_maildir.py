"""Delivery into Maildir."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from mailward import NULL, Address, NextHop, Recipient, Sender
from mailward_relay import maildir


def deliver(send: Any, relay: Any, folder: Path, *arguments: Any, **keywords: Any) -> list[Any]:
    hop = NextHop("maildir", path=str(folder))
    return list(asyncio.run(send(relay, 0, *arguments, hop=hop, **keywords)))


def test_bytes_stay_below_the_two_fields(make_relay: Any, send: Any, blob: Any, tmp_path: Path) -> None:
    body = b"Subject: x\r\n\r\n.dot\r\nbare\nlf\r\n\xff\0" + b"y" * 3_000_000
    (result,) = deliver(send, make_relay(), tmp_path / "box", blob(body, 1000))
    assert (result.status, result.next_hop) == ("delivered", f"maildir:{tmp_path}/box")
    (file,) = (tmp_path / "box/new").iterdir()
    assert file.read_bytes() == b"Return-Path: <a@sender.example>\r\nDelivered-To: b@rcpt.example\r\n" + body
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "box").iterdir()) == ["cur", "new", "tmp"]
    assert list((tmp_path / "box/tmp").iterdir()) == []


def test_each_recipient_has_a_copy_of_his_own(make_relay: Any, send: Any, tmp_path: Path) -> None:
    to = ["b@rcpt.example", "c@rcpt.example", "ö@rcpt.example"]
    results = deliver(send, make_relay(), tmp_path, b"x\r\n", to=to, sender=Sender(NULL))
    assert [result.status for result in results] == ["delivered"] * 3
    found = sorted(file.read_bytes() for file in (tmp_path / "new").iterdir())
    assert found == sorted(f"Return-Path: <>\r\nDelivered-To: {address}\r\nx\r\n".encode() for address in to)


def test_many_at_once_have_names_of_their_own(make_relay: Any, send: Any, tmp_path: Path) -> None:
    async def run() -> None:
        relay = make_relay()
        hop = NextHop("maildir", path=str(tmp_path))
        await asyncio.gather(*(send(relay, 0, b"x\r\n", hop=hop) for _ in range(100)))

    asyncio.run(run())
    names = [file.name for file in (tmp_path / "new").iterdir()]
    assert len(names) == 100
    assert all(name.endswith(".gate.example") for name in names)


def test_address_adds_no_header_field(make_relay: Any, send: Any, tmp_path: Path) -> None:
    address = Recipient(Address("b\r\nX-Evil: yes", "rcpt.example"))
    deliver(send, make_relay(), tmp_path, b"x\r\n", to=[address])
    (file,) = (tmp_path / "new").iterdir()
    assert b"\nX-Evil" not in file.read_bytes()


def test_message_is_synced_before_it_counts(
    make_relay: Any, send: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, int]] = []
    really = os.fsync

    def watch(descriptor: int) -> None:
        synced.append(
            (Path(f"/proc/self/fd/{descriptor}").resolve().parent.name, len(list((tmp_path / "new").iterdir())))
        )
        really(descriptor)

    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(os, "fsync", watch)
    deliver(send, make_relay(), tmp_path)
    assert synced == [("tmp", 0), (tmp_path.name, 1)]


@pytest.mark.parametrize("where", ["write", "fsync", "rename"])
def test_full_disk_defers_and_leaves_nothing(
    make_relay: Any, send: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "write":
        monkeypatch.setattr(maildir.MaildirFile, "append", full)
    elif where == "fsync":
        monkeypatch.setattr(os, "fsync", full)
        for name in ("tmp", "new", "cur"):
            (tmp_path / name).mkdir()
    else:
        monkeypatch.setattr(Path, "rename", full)
    (result,) = deliver(send, make_relay(), tmp_path)
    assert (result.status, result.detail) == ("deferred", "the mailbox cannot be written: No space left on device")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_folder_that_cannot_be_made_defers(make_relay: Any, send: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (result,) = deliver(send, make_relay(), tmp_path / "file/box")
    assert result.status == "deferred"
    assert str(tmp_path) not in result.detail


def test_event_loop_goes_on_meanwhile(
    make_relay: Any, send: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    really = os.fsync

    def slow(descriptor: int) -> None:
        time.sleep(0.2)
        really(descriptor)

    async def run() -> int:
        ticks = 0
        task = asyncio.create_task(send(make_relay(), 0, hop=NextHop("maildir", path=str(tmp_path))))
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    monkeypatch.setattr(os, "fsync", slow)
    assert asyncio.run(run()) > 10


def test_other_transports_are_not_ours(make_relay: Any) -> None:
    from mailward import Delivery, Envelope, MessageInfo

    delivery = Delivery(MessageInfo("m", Envelope(), 0), Sender(NULL), (), NextHop("uucp", "x"), None)
    assert asyncio.run(make_relay().deliver(delivery)) is None
