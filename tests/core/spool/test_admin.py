from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from mailward.hooks.clock import Clock
from mailward.spool.admin import act, damaged, find, listing
from mailward.spool.control import Inbox, answer_to, ask
from mailward.spool.entry import Entry, Queue
from mailward.spool.found import Found
from mailward.spool.operate import Outcome, Request, Verb, operate
from mailward.spool.spool import Spool
from mailward.values.address import Address


def test_a_listing_needs_no_lock_and_shows_all_slots(
    spool: Spool, stored: Callable[..., Entry], make_entry: Callable[..., Entry], tmp_path: Path
) -> None:
    one, two = stored(created_at=5.0), stored(queue=Queue.HOLD, created_at=3.0)
    other = Spool(tmp_path, "1")
    other.open()
    incoming = other.begin("elsewhere")
    incoming.write(b"x")
    (three,) = other.commit(incoming, evolve(make_entry("elsewhere"), created_at=4.0))
    assert listing(tmp_path) == [two, three, one]
    assert listing(tmp_path, Queue.HOLD) == [two]
    assert find(tmp_path, three.id) == Found(three, other.path(three), 0)
    assert find(tmp_path, "nothere") is None
    assert find(tmp_path, "../../x") is None
    other.close()


def test_a_listing_of_no_spool_is_empty(tmp_path: Path) -> None:
    assert listing(tmp_path / "nowhere") == []
    assert damaged(tmp_path / "nowhere") == []


def test_messages_that_go_away_during_a_listing_are_left_out(
    spool: Spool, stored: Callable[..., Entry], tmp_path: Path
) -> None:
    entries = [stored() for _ in range(200)]
    remover = threading.Thread(target=lambda: deque(map(spool.remove, entries), maxlen=0))
    remover.start()
    while remover.is_alive():
        assert {entry.id for entry in listing(tmp_path)} <= {entry.id for entry in entries}
    remover.join()


def test_damaged_files_are_named(spool: Spool, stored: Callable[..., Entry], tmp_path: Path) -> None:
    entry = stored()
    os.truncate(spool.path(entry), 20)
    assert listing(tmp_path) == []
    assert list(spool.recover()) == []
    assert [path.name for path in damaged(tmp_path)] == [entry.id]


@pytest.mark.parametrize(
    ("verb", "queue", "ok", "ends_in"),
    [
        (Verb.RETRY, Queue.SLOW, True, Queue.SLOW),
        (Verb.RETRY, Queue.HOLD, False, Queue.HOLD),
        (Verb.DROP, Queue.FAST, True, None),
        (Verb.DROP, Queue.QUARANTINE, True, None),
        (Verb.HOLD, Queue.SLOW, True, Queue.HOLD),
        (Verb.HOLD, Queue.QUARANTINE, False, Queue.QUARANTINE),
        (Verb.RELEASE, Queue.HOLD, True, Queue.FAST),
        (Verb.RELEASE, Queue.QUARANTINE, True, Queue.FAST),
        (Verb.RELEASE, Queue.SLOW, False, Queue.SLOW),
    ],
)
def test_verbs_where_no_gateway_runs(
    spool: Spool,
    stored: Callable[..., Entry],
    tmp_path: Path,
    verb: Verb,
    queue: Queue,
    ok: bool,
    ends_in: Queue | None,
) -> None:
    entry = stored(queue=queue, retry_at=9e9, attempts=3)
    spool.close()
    (outcome,) = act(tmp_path, verb, [entry.id], clock=Clock(time=lambda: 777.0))
    assert outcome.ok is ok
    found = listing(tmp_path)
    assert [one.queue for one in found] == ([] if ends_in is None else [ends_in])
    if verb is Verb.RELEASE and ok:
        assert (found[0].attempts, found[0].created_at, found[0].retry_at) == (0, 777.0, 0.0)
    if verb is Verb.RETRY and ok:
        assert found[0].retry_at == 777.0


def test_a_forward_sends_a_copy_and_keeps_the_original(
    spool: Spool, stored: Callable[..., Entry], tmp_path: Path
) -> None:
    entry = stored(queue=Queue.HOLD, prefix=b"P: q\r\n")
    spool.close()
    (outcome,) = act(tmp_path, Verb.FORWARD, [entry.id], to="admin@example.net")
    assert outcome.ok
    (copied,) = listing(tmp_path, Queue.FAST)
    assert [one.address for one in copied.envelope.recipients] == [Address("admin", "example.net")]
    assert (copied.origin, copied.prefix) == (entry.id, b"P: q\r\n")
    assert listing(tmp_path, Queue.HOLD) == [entry]


@pytest.mark.parametrize("to", ["", "not an address", "a@b\r\nRCPT TO:<c@d>"])
def test_a_forward_to_nowhere_is_refused(spool: Spool, stored: Callable[..., Entry], tmp_path: Path, to: str) -> None:
    entry = stored(queue=Queue.HOLD)
    spool.close()
    (outcome,) = act(tmp_path, Verb.FORWARD, [entry.id], to=to)
    assert not outcome.ok
    assert listing(tmp_path) == [entry]


def test_ids_that_are_not_there_are_said(spool: Spool, stored: Callable[..., Entry], tmp_path: Path) -> None:
    entry = stored()
    spool.close()
    outcomes = act(tmp_path, Verb.DROP, [entry.id, entry.id, "nothere", "../x"])
    assert {outcome.id: outcome.ok for outcome in outcomes} == {entry.id: True, "nothere": False, "../x": False}


def test_a_running_gateway_is_asked(spool: Spool, stored: Callable[..., Entry], tmp_path: Path) -> None:
    entry = stored(queue=Queue.HOLD)

    def gateway() -> None:
        inbox = Inbox(spool.control)
        while not (asked := inbox.asked()):
            time.sleep(0.01)
        for one in asked:
            inbox.answer(one, tuple(operate(spool, one.request, each).outcome for each in one.request.ids))

    thread = threading.Thread(target=gateway)
    thread.start()
    code = f"""
from pathlib import Path
from mailward.spool.admin import act
from mailward.spool.operate import Verb
print(*act(Path({str(tmp_path)!r}), Verb.RELEASE, [{entry.id!r}]), sep="\\n")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    thread.join()
    assert result.stdout == f"{Outcome(entry.id, True, 'released')}\n"
    assert [one.queue for one in spool.recover()] == [Queue.FAST]
    assert os.listdir(spool.control) == []


def test_a_gateway_that_does_not_answer_is_reported(spool: Spool, stored: Callable[..., Entry], tmp_path: Path) -> None:
    entry = stored()
    # The lock is this process's own, but flock keeps even that apart: another open file, another owner.
    (outcome,) = act(tmp_path, Verb.DROP, [entry.id], wait_s=0.2)
    assert not outcome.ok
    assert "has not answered" in outcome.text
    assert [asked.request for asked in Inbox(spool.control).asked()] == [Request(Verb.DROP, (entry.id,))]


def test_the_gateway_can_read_what_root_asks_whatever_its_umask(spool: Spool) -> None:
    before = os.umask(0o077)
    try:
        token = ask(spool.control, Request(Verb.RETRY, ("abc",)))
    finally:
        os.umask(before)
    assert stat.S_IMODE((spool.control / f"{token}.ask").stat().st_mode) == 0o644


def test_an_answer_that_a_crash_left_half_written_is_written_anew(spool: Spool) -> None:
    token = ask(spool.control, Request(Verb.FORWARD, ("abc",), "admin@example.net"))
    (spool.control / f"{token}.answer.new").write_text("[{")
    inbox = Inbox(spool.control)
    (asked,) = inbox.asked()
    outcomes = (Outcome("abc", True, "done"),)
    inbox.answer(asked, outcomes)
    assert inbox.asked() == []
    assert answer_to(spool.control, token, 0.0) == outcomes


def test_a_request_that_cannot_be_read_keeps_no_other_waiting(spool: Spool) -> None:
    (spool.control / "abc.ask").symlink_to("/nowhere")
    (spool.control / "abd.ask").mkdir()
    request = Request(Verb.RETRY, ("abc",))
    ask(spool.control, request)
    assert [asked.request for asked in Inbox(spool.control).asked()] == [request]


def test_a_request_that_the_gateway_may_not_read_is_deleted(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(spool.control, Request(Verb.RETRY, ("abc",)))

    def refused(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("mailward.spool.control._read", refused)
    assert Inbox(spool.control).asked() == []
    assert os.listdir(spool.control) == []


def test_rubbish_in_the_control_folder_is_no_request(spool: Spool) -> None:
    (spool.control / "abc.ask").write_text('{"verb": "explode", "ids": []}')
    (spool.control / "abd.ask").write_bytes(b"\xff\x00")
    (spool.control / "unrelated.txt").write_text("left alone")
    inbox = Inbox(spool.control)
    assert inbox.asked() == []
    assert os.listdir(spool.control) == ["unrelated.txt"]


def test_answers_that_nobody_fetched_are_forgotten(spool: Spool) -> None:
    token = ask(spool.control, Request(Verb.DROP, ("x",)))
    inbox = Inbox(spool.control)
    (asked,) = inbox.asked()
    inbox.answer(asked, (Outcome("x", True, "dropped"),))
    assert inbox.asked() == []
    assert answer_to(spool.control, token, 0.0) == (Outcome("x", True, "dropped"),)
    assert answer_to(spool.control, token, 0.0) is None
    old = spool.control / "0123.answer"
    old.write_text("[]")
    os.utime(old, (1, 1))
    assert inbox.asked() == []
    assert not old.exists()
