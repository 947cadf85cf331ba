from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from mailward.spool.entry import Entry, Failure, Queue
from mailward.spool.folders import Vanished
from mailward.spool.spool import Spool
from mailward.values.errors import SpoolError
from mailward.values.reply import Reply


def _again(spool: Spool) -> list[Entry]:
    """What another start of the program finds."""
    spool.close()
    spool.open()
    return list(spool.recover())


def test_the_folders_belong_to_us_alone(spool: Spool, tmp_path: Path) -> None:
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(folders) == 11
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


def test_files_are_readable_by_us_alone(spool: Spool, stored: Callable[..., Entry]) -> None:
    assert spool.path(stored()).stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_that_root_makes_belong_to_the_gateways_user(tmp_path: Path, make_entry: Callable[..., Entry]) -> None:
    (tmp_path / "spool" / "0").mkdir(parents=True)
    os.chown(tmp_path / "spool" / "0", 12345, 12346)
    spool = Spool(tmp_path)
    spool.open()
    incoming = spool.begin("a1")
    incoming.write(b"x")
    info = spool.path(spool.commit(incoming, make_entry("a1"))[0]).stat()
    assert (info.st_uid, info.st_gid) == (12345, 12346)
    spool.close()


def test_a_slot_has_one_owner(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="another process"):
        Spool(tmp_path).open(wait_s=0.1)
    other = Spool(tmp_path, "1")
    other.open()
    other.close()


def test_what_never_got_a_250_is_purged(spool: Spool) -> None:
    incoming = spool.begin()
    incoming.write(b"x" * 100_000)
    assert incoming.flush().exists()
    assert _again(spool) == []
    assert os.listdir(spool.root / "spool" / "0" / "tmp") == []
    incoming.discard()


def test_states_and_moves_survive(spool: Spool, stored: Callable[..., Entry]) -> None:
    entry = stored("bob@example.org", "carol@example.org")
    size = spool.path(entry).stat().st_size
    failure = Failure("bob@example.org", Reply(450, "4.2.0", "later"), "detail", "smtp:mx", 5.0)
    later = evolve(
        entry.left_for(entry.envelope.recipients[:1]),
        attempts=1,
        retry_at=99.0,
        started=2,
        results=(failure,),
        warned=True,
    )
    spool.append_state(later)
    assert _again(spool) == [later]
    moved = spool.move(evolve(later, reason="slow now"), Queue.SLOW)
    assert moved.queue is Queue.SLOW
    assert _again(spool) == [moved]
    assert spool.path(moved).stat().st_size > size
    spool.remove(moved)
    assert _again(spool) == []


def test_a_torn_append_is_forgotten_and_the_next_one_replaces_it(spool: Spool, stored: Callable[..., Entry]) -> None:
    entry = stored()
    with spool.path(entry).open("ab") as file:
        file.write(b'{"id":"' + bytes(5000))
    assert spool.load(entry.id, Queue.FAST) == entry
    later = evolve(entry, attempts=7)
    spool.append_state(later)
    assert spool.load(entry.id, Queue.FAST) == later
    assert bytes(5000) not in spool.path(later).read_bytes()


def test_a_damaged_file_is_set_aside_and_the_rest_goes_on(spool: Spool, stored: Callable[..., Entry]) -> None:
    bad, good = stored(body=b"precious\r\n"), stored()
    os.truncate(spool.path(bad), spool.path(bad).stat().st_size - 60)
    assert _again(spool) == [good]
    aside = spool.root / "spool" / "0" / "damaged" / bad.id
    assert aside.read_bytes().startswith(b"precious\r\n")


def test_what_is_gone_is_said_to_be_gone(spool: Spool, stored: Callable[..., Entry]) -> None:
    entry = stored()
    spool.remove(entry)
    spool.remove(entry)
    assert spool.find(entry.id) is None
    for act in (lambda: spool.load(entry.id, Queue.FAST), lambda: spool.append_state(entry)):
        with pytest.raises(Vanished):
            act()


def test_a_copy_is_a_message_of_its_own(spool: Spool, stored: Callable[..., Entry]) -> None:
    entry = stored(body=b"z" * 200_000)
    copied = spool.copy(entry, evolve(entry, id=spool.new_id(), queue=Queue.HOLD, origin=entry.id))
    spool.remove(entry)
    assert _again(spool) == [copied]
    assert spool.path(copied).read_bytes().startswith(b"z" * 200_000)


def test_slots_that_nobody_uses_are_taken_over(tmp_path: Path, make_entry: Callable[..., Entry]) -> None:
    for slot in ("1", "2"):
        old = Spool(tmp_path, slot)
        old.open()
        incoming = old.begin(f"m{slot}")
        incoming.write(b"x\r\n")
        old.commit(incoming, make_entry(f"m{slot}", queue=Queue.SLOW))
        if slot == "1":
            old.close()
    mine = Spool(tmp_path, "0")
    mine.open()
    assert mine.adopt(in_use=()) == [("m1", Queue.SLOW)]
    assert [entry.id for entry in mine.recover()] == ["m1"]
    old.close()
    assert mine.adopt(in_use=("0", "2")) == []
    mine.close()


def test_a_spool_that_is_not_open_says_so(tmp_path: Path, make_entry: Callable[..., Entry]) -> None:
    spool = Spool(tmp_path)
    incoming = spool.begin("a1")
    incoming.write(b"x")
    with pytest.raises(SpoolError, match="not open"):
        spool.commit(incoming, make_entry("a1"))


def test_a_spool_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in the way")
    with pytest.raises(SpoolError):
        Spool(tmp_path).open()
