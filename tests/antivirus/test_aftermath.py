"""What follows a scan: blocking, copies, central quarantine, outbreaks, words in the body."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from mailward import (
    Address,
    Check,
    ConfigError,
    Context,
    Custom,
    Decision,
    Envelope,
    Finding,
    Kind,
    Message,
    Place,
    Recipient,
    Scan,
    Sender,
)
from mailward_antivirus import Antivirus, AntivirusSettings
from mailward_antivirus.central import Spool, SpoolFull
from mailward_antivirus.outbreak import Window
from mailward_antivirus.rules import Central, Named

STORE = "mailward-data/plugins/antivirus"


def envelope(message_id: str = "m1") -> Envelope:
    sender = Sender(Address.parse("a@example.com"))
    return Envelope(sender=sender, recipients=(Recipient(Address.parse("b@example.org")),), id=message_id)


class Told:
    """A plugin with a store of its own, whose events are kept."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.events: list[Custom] = []
        context = Context(name="antivirus", state=folder, emit=self.events.append)  # type: ignore[arg-type]
        self.plugin = Antivirus(AntivirusSettings(**settings), context)
        self.store = folder / "plugins/antivirus"

    def judge(self, raw: bytes, message_id: str = "m1") -> tuple[list[Finding], list[Decision]]:
        async def run() -> tuple[list[Finding], list[Decision]]:
            with Message.from_bytes(raw) as message:
                scan = Scan(envelope(message_id), message)
                found = await self.plugin.scan_message(message, scan)
                found = [evolve(f, plugin="antivirus") for f in found]
                return found, await self.plugin.disposition(message, tuple(found), scan)

        return asyncio.run(run())


# --- block (KAV-ACT-03, KAV-ACT-04)


@pytest.mark.parametrize(
    ("block", "prefix", "blocked"),
    [
        ("['infected']", b"", True),
        ("['infected']", b"CURE-", False),
        ("['disinfected']", b"CURE-", True),
        ("['suspicious']", b"SUSP-", True),
        ("['error']", b"CORR-", True),
        ("['suspicious', 'error']", b"", False),
        ("['all']", b"CURE-", True),
        ("[]", b"", False),
    ],
)
def test_a_message_of_a_listed_status_is_blocked_whatever_is_done_to_its_parts(
    mails: Any, judge: Any, block: str, prefix: bytes, blocked: bool
) -> None:
    settings = f"block = {block}\non_suspicious = 'deliver'\non_unchecked = 'deliver'"
    copy = judge(mails.attached(prefix + mails.eicar), settings)
    assert (copy.action.name == "drop") is blocked
    if blocked:
        assert copy.decided_by.reason.startswith("block: ")
    held = judge(mails.attached(prefix + mails.eicar), settings + "\nblock_action = 'hold'")
    assert (held.action.name == "hold") is blocked


def test_what_a_filter_took_out_counts_as_filtered(mails: Any, judge: Any) -> None:
    settings = "scan = 'exclude'\nextensions = ['.txt']\nblock = ['filtered']"
    assert judge(mails.attached(b"x", "a.txt"), settings).action.name == "drop"
    assert judge(mails.attached(b"x", "a.bin"), settings).action.name == "deliver"


def locked(mails: Any) -> bytes:
    """A zip whose only member says that it is encrypted."""
    made = bytearray(mails.zipped(b"secret" * 10, "x.txt"))
    made[made.find(b"PK\x03\x04") + 6] |= 1
    made[made.find(b"PK\x01\x02") + 8] |= 1
    return bytes(made)


@pytest.mark.parametrize(
    "plugins", ['["antivirus"]', '["antivirus", "content"]', '["archives", "content", "antivirus"]']
)
def test_kav_act_04_what_others_could_not_open_gives_the_message_its_status_too(
    tmp_path: Path, mails: Any, judge: Any, plugins: str
) -> None:
    encrypted, broken = mails.attached(locked(mails), "a.zip"), mails.attached(b"Rar!\x1a\x07\x00" + bytes(50), "a.rar")
    settings = "block_action = 'reject'\nkeep_copies = ['protected', 'error']\nbackup_path = 'b'\n"
    for raw, status in ((encrypted, "protected"), (broken, "error")):
        copy = judge(raw, settings + f"block = ['{status}']", plugins)
        assert (copy.action.name, copy.decided_by.reason) == ("reject", f"block: {status}")
        records = [json.loads(path.read_text()) for path in (tmp_path / "b").glob("*.json")]
        assert [record["statuses"] for record in records] == [[status]]
        shutil.rmtree(tmp_path / "b")
        assert judge(raw, settings + "block = ['suspicious']\nshadow = true", plugins).action.name != "reject"
        assert not (tmp_path / "b").exists()


def test_blocking_settles_nothing_that_another_found(mails: Any, judge: Any) -> None:
    raw = mails.attached(b"Rar!\x1a\x07\x00" + bytes(50), "a.rar")
    assert judge(raw, "block = ['error']\nblock_action = 'deliver'").action.name == "hold"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("block = ['clear']", "'clear' is unknown; allowed: infected"),
        ("block = ['infected', 'infected']", "names a status twice"),
        ("block_action = 'delete'", "delete is an action on a part"),
        ("central = 'all'", "central_to is empty"),
        ("central = 'all'\ncentral_to = 'http://x/'", "cannot be sent to; allowed: https"),
        ("central_to = 'https://u:p@x/'", "cannot be sent to"),
        ("outbreak_messages = 1", "allowed: 2 to"),
        ("outbreak_window_s = 1", "allowed: 60 to"),
        ("scan_cache_bytes = 1", "allowed: 0, or 65536"),
    ],
)
def test_settings_that_make_no_sense_are_refused(mails: Any, judge: Any, settings: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        judge(mails.plain(b"x"), settings)
    assert message in str(caught.value)


# --- copies (KAV-QB)


@pytest.mark.parametrize(
    ("prefix", "folders"),
    [(b"", ["quarantine"]), (b"SUSP-", ["backup"]), (b"CORR-", ["backup"]), (b"CURE-", ["backup"])],
)
def test_a_copy_is_the_message_as_it_came_with_its_record(
    tmp_path: Path, mails: Any, judge: Any, prefix: bytes, folders: list[str]
) -> None:
    raw = mails.attached(prefix + mails.eicar, "x.com")
    judge(raw, "keep_copies = ['all']")
    stored = sorted((tmp_path / STORE).rglob("*.eml"))
    assert [path.parent.name for path in stored] == folders
    (path,) = stored
    assert path.read_bytes() == raw
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    record = json.loads(path.with_suffix(".json").read_text())
    assert (record["id"], record["sender"], record["recipients"]) == ("m1", "a@example.com", ["b@example.org"])
    assert record["sha256"] == hashlib.sha256(raw).hexdigest()
    assert record["findings"][0]["part"] == "2"
    status = {b"": "infected", b"SUSP-": "suspicious", b"CORR-": "error", b"CURE-": "disinfected"}[prefix]
    assert record["statuses"] == [status]
    assert [p for p in path.parent.iterdir() if p.name.startswith(".")] == []


def test_a_message_with_both_goes_to_both_and_one_that_is_not_listed_to_none(
    tmp_path: Path, mails: Any, judge: Any
) -> None:
    raw = mails.parts(mails.text(), mails.file(mails.eicar), mails.file(b"SUSP-" + mails.eicar, "b.bin"))
    judge(raw, "keep_copies = ['infected', 'suspicious']\nquarantine_path = 'q'\nbackup_path = 'b'")
    for folder in ("q", "b"):
        (path,) = (tmp_path / folder).glob("*.eml")
        assert json.loads(path.with_suffix(".json").read_text())["statuses"] == ["infected", "suspicious"]
    judge(mails.attached(mails.eicar), "keep_copies = ['suspicious']\nbackup_path = 'c'")
    judge(mails.plain(b"hello"), "keep_copies = ['all']\nbackup_path = 'c'")
    assert not (tmp_path / "c").exists()


def test_the_id_of_a_message_is_never_a_path(tmp_path: Path, mails: Any) -> None:
    told = Told(tmp_path, keep_copies=(Named.ALL,))
    told.judge(mails.attached(mails.eicar), "../../etc/x y\n")
    (path,) = (told.store / "quarantine").glob("*.eml")
    assert path.name.startswith(".._.._etc_x_y_-")


def test_where_a_copy_cannot_be_stored_mail_is_deferred_and_it_is_told(tmp_path: Path, mails: Any) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    told = Told(tmp_path / "state", keep_copies=(Named.ALL,), quarantine_path=blocked)
    for number in range(3):
        _, decisions = told.judge(mails.attached(mails.eicar), f"m{number}")
        assert "defer" in [decision.action.name for decision in decisions]
    assert [event.rule for event in told.events] == ["copy_not_stored"]


def test_a_disk_that_fills_up_leaves_no_half_copy(tmp_path: Path, mails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(tmp_path, keep_copies=(Named.ALL,))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    _, decisions = told.judge(mails.attached(mails.eicar))
    assert "copy cannot be stored: No space left on device" in [decision.reason for decision in decisions]
    assert list((told.store / "quarantine").iterdir()) == []


# --- outbreaks (SAV-OUT-01)


def test_an_outbreak_is_so_many_messages_within_the_window(tmp_path: Path) -> None:
    window = Window(tmp_path / "outbreak", 3, 100.0)
    assert window.note("a", 1000.0) is None
    assert window.note("a", 1001.0) is None  # the same message, scanned again
    assert window.note("b", 1050.0) is None
    assert window.note("c", 1149.9) is None  # the first is out of the window
    found = window.note("d", 1149.95)
    assert found is not None
    assert (found.messages, found.window_s) == (3, 100.0)


def test_after_an_alert_there_is_none_for_a_whole_window(tmp_path: Path) -> None:
    window = Window(tmp_path / "outbreak", 2, 100.0)
    alerts = [at for at in range(1000, 1400, 10) if window.note(str(at), float(at)) is not None]
    assert alerts == [1010, 1110, 1210, 1310]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"seen": 1}', b"\xff\xfe", b'{"seen": [["x", 1]], "alerted_at": 0}'])
def test_a_damaged_window_starts_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "outbreak"
    path.write_bytes(damage)
    window = Window(path, 2, 100.0)
    assert window.note("a", 1000.0) is None
    assert window.note("b", 1001.0) is not None


def test_a_clock_that_is_set_back_ends_no_alerts_for_ever(tmp_path: Path) -> None:
    window = Window(tmp_path / "outbreak", 2, 100.0)
    window.note("a", 5000.0)
    assert window.note("b", 5001.0) is not None
    assert window.note("c", 100.0) is None
    assert window.note("d", 101.0) is not None


def test_an_outbreak_is_an_event_with_its_own_recipients(tmp_path: Path, mails: Any) -> None:
    recipients = (Address.parse("x@example.org"), Address.parse("y@example.org"))
    told = Told(tmp_path, outbreak_recipients=recipients, outbreak_messages=3)
    two = mails.parts(mails.text(), mails.file(mails.eicar), mails.file(mails.eicar, "b.bin"))
    for number in range(5):
        told.judge(two, f"m{number}")
        told.judge(mails.attached(b"SUSP-" + mails.eicar), f"s{number}")
    (event,) = told.events
    fields = dict(event.fields)
    assert (event.plugin, event.rule, fields["messages"]) == ("antivirus", "outbreak", "3")
    assert fields["recipients"] == "x@example.org, y@example.org"
    assert fields["virus"] == "EICAR-Test-File"


def test_without_recipients_outbreaks_are_not_looked_for(tmp_path: Path, mails: Any) -> None:
    told = Told(tmp_path, outbreak_messages=2)
    for number in range(3):
        told.judge(mails.attached(mails.eicar), f"m{number}")
    assert told.events == []
    assert not told.store.exists()


# --- words in the body (SMS-AV-03)


def test_the_body_says_what_was_taken_out_and_what_was_repaired(mails: Any, judge: Any, delivered: Any) -> None:
    raw = mails.parts(mails.text(), mails.file(mails.eicar, "a.com"), mails.file(b"CURE-" + mails.eicar, "b.com"))
    assert b"contained" not in delivered(raw, judge(raw))
    rest = delivered(raw, judge(raw, "tell_in_body = true"))
    assert b"a.com was removed by mx.example.org: it contained EICAR-Test-File." in rest
    assert b"b.com was repaired by mx.example.org: it contained EICAR-Test-File." in rest
    own = delivered(raw, judge(raw, "tell_in_body = true\nbody_text = '{{ part }} {{ done }}'"))
    assert b"2 was removed" in own
    assert b"3 was repaired" in own
    quiet = judge(raw, "tell_in_body = true\non_infected = ['deliver']")
    assert quiet.splices == ()


# --- central quarantine (SAV-QTN, SMS-AV-05)


@pytest.mark.parametrize(
    ("central", "kept"), [(Central.ALL, ["a.com", "b.com"]), (Central.UNREPAIRED, ["a.com"]), (Central.NOTHING, [])]
)
def test_one_item_waits_for_each_virus(tmp_path: Path, mails: Any, central: Central, kept: list[str]) -> None:
    told = Told(tmp_path / "state", central=central, central_to=str(tmp_path / "to"))
    raw = mails.parts(mails.text(), mails.file(mails.eicar, "a.com"), mails.file(b"CURE-" + mails.eicar, "b.com"))
    told.judge(raw)
    items = Spool(told.store / "central", 1 << 30).items()
    records = [json.loads(item.record.read_text()) for item in items]
    assert sorted(record["file_name"] for record in records) == kept
    for item, record in zip(items, records, strict=True):
        assert hashlib.sha256(item.content.read_bytes()).hexdigest() == record["sha256"]
        assert record["virus"] == "EICAR-Test-File"


@pytest.mark.parametrize(
    ("central", "status"),
    [(Central.NOTHING, "disabled"), (Central.UNREPAIRED, "unrepairable files, to "), (Central.ALL, "all files, to ")],
)
def test_sav_qtn_03_the_status_says_what_is_sent_and_how_much_waits(
    tmp_path: Path, mails: Any, central: Central, status: str
) -> None:
    told = Told(tmp_path / "state", central=central, central_to=str(tmp_path / "to"))
    told.judge(mails.attached(mails.eicar, "a.com"))

    async def run() -> list[Check]:
        return [row async for row in told.plugin.check() if row.name == "central quarantine"]

    (row,) = asyncio.run(run())
    assert row.ok
    assert row.detail.startswith(status)
    assert row.detail.endswith("; 1 wait") is (central is not Central.NOTHING)


def test_sav_qtn_01_each_file_that_is_quarantined_is_logged_with_its_name(
    tmp_path: Path, mails: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Told(tmp_path / "state", central=Central.ALL, central_to="to").judge(mails.attached(mails.eicar, "a.com"))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "file quarantined" in line]
    assert "a.com" in line
    assert "m1" in line


def test_what_killed_processes_left_takes_no_room_and_an_item_without_content_keeps_none_waiting(
    tmp_path: Path, mails: Any
) -> None:
    (tmp_path / "to").mkdir()
    told = Told(tmp_path / "state", central=Central.ALL, central_to=str(tmp_path / "to"))
    told.judge(mails.parts(mails.text(), mails.file(mails.eicar, "a.com"), mails.file(mails.eicar + b" ", "b.com")))
    spool = told.plugin._aftermath.spool
    first, second = spool.items()
    first.content.unlink()
    for name in (".new-left", "000000000000001-left.bin"):
        (spool.folder / name).write_bytes(b"x")
        os.utime(spool.folder / name, (1, 1))
    (spool.folder / ".new-young").write_bytes(b"x")
    forwarder = told.plugin._aftermath.forwarder()
    assert forwarder is not None
    assert forwarder.send_waiting()
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [second.content.name, second.record.name]
    assert {path.name for path in spool.folder.iterdir()} == {".lock", ".new-young"}


def test_a_backlog_that_is_full_is_told_once_and_the_mail_goes_its_way(tmp_path: Path, mails: Any) -> None:
    told = Told(
        tmp_path / "state", central=Central.ALL, central_to=str(tmp_path / "to"), central_backlog_bytes=1024 * 1024
    )
    spool = told.plugin._aftermath.spool
    spool.folder.mkdir(parents=True)
    (spool.folder / "1-filler.bin").write_bytes(bytes(1024 * 1024))
    for number in range(3):
        found, decisions = told.judge(mails.attached(mails.eicar), f"m{number}")
        assert found[0].action is not None
        assert found[0].action.name == "delete"
        assert "defer" not in [decision.action.name for decision in decisions]
    assert [event.rule for event in told.events] == ["central_quarantine_full"]
    assert spool.items() == ()
    with Message.from_bytes(mails.plain(b"x")) as message, pytest.raises(SpoolFull):
        spool.add(message.root, found[0], envelope(), 1.0)


def test_items_go_to_a_folder_and_wait_while_it_is_away(tmp_path: Path, mails: Any) -> None:
    target = tmp_path / "to"
    told = Told(tmp_path / "state", central=Central.ALL, central_to=str(target))
    told.judge(mails.attached(mails.eicar, "a.com"))
    forwarder = told.plugin._aftermath.forwarder()
    assert forwarder is not None
    assert forwarder.send_waiting() is False
    assert [event.rule for event in told.events] == ["central_quarantine_down"]
    target.mkdir()
    assert forwarder.send_waiting() is True
    (content,) = target.glob("*.bin")
    assert content.read_bytes() == mails.eicar
    assert json.loads(content.with_suffix(".json").read_text())["file_name"] == "a.com"
    assert forwarder.spool.items() == ()
    assert len(list(target.iterdir())) == 2


def test_the_gateway_sends_in_the_background_and_a_scan_process_does_not(tmp_path: Path, mails: Any) -> None:
    target = tmp_path / "to"
    target.mkdir()
    told = Told(tmp_path / "state", central=Central.ALL, central_to=str(target))
    told.judge(mails.attached(mails.eicar))

    async def run(place: Place) -> int:
        context = evolve(told.plugin.context, place=place)
        plugin = Antivirus(told.plugin.settings, context)
        await plugin.start()
        try:
            for _ in range(400):
                if list(target.iterdir()) or place is Place.SCAN:
                    break
                await asyncio.sleep(0.05)
            return len(list(target.glob("*.json")))
        finally:
            await plugin.stop()

    assert asyncio.run(run(Place.SCAN)) == 0
    assert asyncio.run(run(Place.GATEWAY)) == 1


def test_nothing_follows_a_clean_message(tmp_path: Path, mails: Any) -> None:
    told = Told(tmp_path, keep_copies=(Named.ALL,), central=Central.ALL, central_to="x", block=(Named.ALL,))
    found, decisions = told.judge(mails.attached(b"harmless"))
    assert [f for f in found if f.kind is not Kind.NOTE] == []
    assert decisions == []
    assert not told.store.exists()


def test_in_shadow_mode_it_is_recorded_what_would_have_been_and_nothing_is_kept(
    tmp_path: Path, mails: Any, judge: Any
) -> None:
    settings = (
        "shadow = true\nblock = ['all']\nkeep_copies = ['all']\ncentral = 'all'\ncentral_to = 'to'\n"
        "outbreak_recipients = ['a@example.org']"
    )
    copy = judge(mails.attached(mails.eicar), settings)
    assert (copy.action.name, copy.splices) == ("deliver", ())
    assert any(decision.reason == "block: infected" and decision.shadow for decision in copy.moot)
    assert not (tmp_path / STORE).exists()
