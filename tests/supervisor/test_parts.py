"""The supervisor's parts, each by itself."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Switches
from mailward.engine.board import Board
from mailward.engine.config import load_config, parse_config
from mailward.engine.core_settings import SpoolSettings
from mailward.engine.processors import processors
from mailward.gateway.levels import Level, level_of
from mailward.gateway.link import Levels, Point, Prepare, line, read_line
from mailward.gateway.plan import descriptors_needed, plan_of, private_temp
from mailward.gateway.privileges import account, own
from mailward.supervisor.folder import DEFAULT_FOLDER, StateFolder, StateProblem
from mailward.supervisor.log import Log
from mailward.supervisor.notify import Notify
from mailward.supervisor.slots import Slots
from mailward.supervisor.sockets import Sockets
from mailward.supervisor.statistics import Stats, lines, prometheus
from mailward.supervisor.watch import MOST_BYTES, Watched, digests
from mailward.values.errors import ConfigError

LEVELS = Levels(10.0, 3.0)


@pytest.mark.parametrize(
    ("free", "before", "now"),
    [
        (50, Level.ENOUGH, Level.ENOUGH),
        (9.9, Level.ENOUGH, Level.LOW),
        (10.5, Level.LOW, Level.LOW),
        (12, Level.LOW, Level.ENOUGH),
        (2.9, Level.ENOUGH, Level.SHORT),
        (3.5, Level.SHORT, Level.SHORT),
        (3.6, Level.SHORT, Level.LOW),
        (50, Level.SHORT, Level.ENOUGH),
    ],
)
def test_a_level_is_left_later_than_it_is_entered(free: float, before: Level, now: Level) -> None:
    assert level_of(free, before, LEVELS) is now


@given(st.lists(st.floats(0, 100), max_size=30))
def test_levels_never_go_up_while_there_is_more(values: list[float]) -> None:
    level = Level.ENOUGH
    for free in sorted(values):
        before, level = level, level_of(free, level, LEVELS)
        assert level <= max(before, level_of(free, Level.ENOUGH, LEVELS))


def test_short_resources_refuse_mail_and_descriptors_connections() -> None:
    board = Board()
    assert board.refuses_connection() is None
    assert board.refuses_mail() is None
    board.short = frozenset({"disk"})
    refusal = board.refuses_mail()
    assert refusal is not None
    assert str(refusal.reply).startswith("452 4.3.1")
    assert board.refuses_connection() is None
    board.short = frozenset({"descriptors"})
    closed = board.refuses_connection()
    assert closed is not None
    assert closed.reply.code == 421


def test_a_slot_is_not_given_out_before_its_mail_was_taken_over() -> None:
    slots = Slots()
    assert [slots.take(), slots.take()] == ["0", "1"]
    slots.orphan("0")
    assert slots.take() == "2"
    assert slots.in_use == ("1", "2")
    assert slots.orphans == ("0",)
    slots.adopted(("0",))
    assert slots.take() == "0"


def test_messages_come_out_of_their_lines_as_they_went_in() -> None:
    prepare = Prepare(0, "3", ("3",), 2, "ab", 1, 1.0, ("", "submission"), Switches(scan=False), ("disk",))
    assert read_line(line(prepare)) == prepare
    for nonsense in (b"", b"Nothing {}\n", b"Plan {}\n", b"Load []\n"):
        with pytest.raises(ValueError, match=r"."):
            read_line(nonsense)


def test_the_state_folder_knows_of_crashes_and_of_others(tmp_path: Path) -> None:
    first = StateFolder(tmp_path)
    first.begin()
    assert not first.after_crash
    with pytest.raises(StateProblem, match=f"as process {os.getpid()}; stop that one first"):
        StateFolder(tmp_path, 0)
    first.close()  # as a crash does
    second = StateFolder(tmp_path)
    second.begin()
    assert second.after_crash
    second.end()
    second.close()
    third = StateFolder(tmp_path)
    third.begin()
    assert not third.after_crash
    third.close()


def test_the_lock_of_the_state_folder_is_none_of_its_files_and_one_for_all_its_names(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "other").symlink_to(tmp_path / "state")
    folder = StateFolder(tmp_path / "state")
    assert not list((tmp_path / "state").iterdir())
    with pytest.raises(StateProblem, match="runs here already"):
        StateFolder(tmp_path / "other", 0)
    folder.begin()
    (tmp_path / "state" / "mailward.pid").unlink()
    with pytest.raises(StateProblem, match=r"as process \?"):
        StateFolder(tmp_path / "other", 0)
    folder.close()
    StateFolder(tmp_path / "other", 0).close()


@pytest.mark.parametrize("content", ["4711; rm -r /", "", "\x1b[2J"])
def test_what_is_no_process_id_is_not_said(tmp_path: Path, content: str) -> None:
    folder = StateFolder(tmp_path)
    (tmp_path / "mailward.pid").write_text(content)
    with pytest.raises(StateProblem, match=r"as process \?"):
        StateFolder(tmp_path, 0)
    folder.close()


def test_where_folders_have_no_locks_the_file_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(fd: int, operation: int, real: Callable[[int, int], None] = fcntl.flock) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EBADF, "no locks on folders here")
        real(fd, operation)

    monkeypatch.setattr("mailward.supervisor.folder.fcntl.flock", flock)
    first, second = StateFolder(tmp_path), StateFolder(tmp_path)
    first.begin()
    with pytest.raises(StateProblem, match=f"as process {os.getpid()}"):
        second.begin()
    first.close()
    second.close()


def test_switches_are_kept_where_asked_and_forgotten_when_on(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.keep("deliver", False, persist=False)
    assert folder.switches() == Switches()
    folder.keep("deliver", False, persist=True)
    folder.keep("scan", False, persist=True)
    assert folder.switches() == Switches(deliver=False, scan=False)
    folder.keep("scan", True, persist=False)
    assert folder.switches() == Switches(deliver=False)
    (tmp_path / "switches.json").write_text("{")
    with pytest.raises(StateProblem, match="mend or delete"):
        folder.switches()
    folder.close()


def test_ctl_looks_for_the_state_where_the_settings_put_it() -> None:
    assert Path(DEFAULT_FOLDER) == SpoolSettings().path


def test_a_file_counts_as_changed_when_nobody_writes_any_more(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    files, watched = (str(file), str(tmp_path / "none")), Watched()
    before = digests(files)
    assert not watched.settled(files)
    assert watched.settled(files)
    assert not watched.settled(files)
    file.write_text("other")
    assert not watched.settled(files)
    assert watched.settled(files)
    assert not watched.settled(files)
    assert digests(files) != before
    file.write_text("one")
    assert digests(files) == before


def test_what_is_no_file_or_far_too_large_counts_as_empty_and_is_not_waited_for(tmp_path: Path) -> None:
    pipe, folder, large, none = (tmp_path / name for name in ("pipe", "folder", "large", "none"))
    os.mkfifo(pipe)
    folder.mkdir()
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert len(set(digests(tuple(map(str, (pipe, folder, large, none)))).values())) == 1


def test_a_socket_for_each_process_and_none_for_strangers() -> None:
    sockets, point = Sockets(), Point("", "127.0.0.1:0")
    sockets.bind((point, Point("other", "127.0.0.1:0")), 3, "x")
    names = {sockets.of((point,), number)[0].getsockname() for number in range(3)}
    assert len(names) == 1
    assert len({id(sockets.of((point,), number)[0]) for number in range(3)}) == 3
    assert sockets.of((Point("other", "127.0.0.1:0"),), 0)[0].getsockname() not in names
    ((host, port),) = names
    sockets.of((point,), 0)[0].listen()
    second = Sockets()
    with pytest.raises(ConfigError, match="another program listens there"):
        second.bind((Point("", f"{host}:{port}"),), 1, "x")
    sockets.keep((point,), 1)
    assert len({id(sockets.of((point,), number)[0]) for number in range(3)}) == 1
    sockets.close()
    second.bind((Point("", f"{host}:{port}"),), 1, "x")
    second.close()


def test_what_cannot_be_bound_leaves_all_as_it_was() -> None:
    sockets, good = Sockets(), Point("", "127.0.0.1:0")
    sockets.bind((good,), 1, "x")
    with pytest.raises(ConfigError):
        sockets.bind((good, Point("", "192.0.2.1:25")), 2, "x")
    assert len({id(sockets.of((good,), number)[0]) for number in range(2)}) == 1
    sockets.close()


def test_accounts_are_checked(tmp_path: Path) -> None:
    assert account("", "", "x") is None
    with pytest.raises(ConfigError, match="is no user"):
        account("nobody-of-this-name", "", "x")
    with pytest.raises(ConfigError, match="is no group"):
        account("", "nobody-of-this-name", "x")
    me = account(str(os.geteuid()), str(os.getegid()), "x")
    assert me is not None
    own(tmp_path / "a" / "b", me, "x")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    nobody = account("nobody", "", "x")
    with pytest.raises(ConfigError, match="chown"):
        own(tmp_path, nobody, "x")
    own(tmp_path / "new", nobody, "x")
    assert nobody is not None
    assert (tmp_path / "new").stat().st_uid == nobody.uid


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        notify = Notify()
        assert notify.alive_every_s == 15
        notify.ready("accepts mail")
        assert manager.recv(1000).decode().split("\n")[:2] == ["READY=1", "STATUS=accepts mail"]
        notify.reloading()
        assert manager.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        notify.alive()
        assert manager.recv(1000) == b"WATCHDOG=1"
        notify.stopping()
        assert manager.recv(1000) == b"STOPPING=1"
    notify.alive()  # the manager is gone: nothing happens
    monkeypatch.delenv("NOTIFY_SOCKET")
    Notify().alive()


def test_a_manager_that_does_not_read_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailward.supervisor.notify._PATIENCE_S", 0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        notify = Notify()
        queue_length = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
        for _ in range(queue_length + 3):
            notify.alive()
        assert manager.recv(1000) == b"WATCHDOG=1"


def test_the_watchdog_of_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Notify().alive_every_s == 0


def test_log_lines_have_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.info("ready", listen=["a"], state="x")
    assert capsys.readouterr().err.endswith(" [info     ] ready                          listen=['a'] state=x\n")
    log.configure("warning", "json")
    log.info("ready")
    log.error("bad\nline", problem="a\nb")
    (row,) = capsys.readouterr().err.splitlines()
    assert json.loads(row)["problem"] == "a\nb"


def test_statistics_in_both_forms() -> None:
    facts = Stats(1.5, {"accepted": 3.0}, {"connections": 2.0})
    assert "mailward_accepted_total 3\n" in prometheus(facts)
    assert "# TYPE mailward_connections gauge\nmailward_connections 2\n" in prometheus(facts)
    assert lines(facts) == "uptime_s=1.5\naccepted=3\nconnections=2\n"


def test_a_folder_for_temporary_files_is_a_sub_folder_of_ours_and_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "x")
    config = parse_config('[process]\ntemp_folder = "t"\n', "x", tmp_path)
    left = tmp_path / "t" / "mailward" / "0" / "left"
    left.mkdir(parents=True)
    private_temp(config, "0")
    assert os.environ["TMPDIR"] == str(left.parent)
    assert not left.exists()
    private_temp(parse_config("", "x", tmp_path), "1")
    assert os.environ["TMPDIR"] == str(tmp_path / "mailward-data" / "temp" / "1")


def test_levels_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"health\.disk_stop_percent"):
        parse_config("[health]\ndisk_low_percent = 2\n", "x", Path())


def test_the_plan_says_what_the_configuration_asks_for(tmp_path: Path) -> None:
    from mailward import Engine

    config = load_config(None)
    plan = plan_of(config, Engine(config))
    assert plan.gateways == processors()
    assert plan.listen == (Point("", "127.0.0.1:2525"),)
    assert plan.plugins.keys() == {"relay", "archives", "content", "antivirus"}
    more = parse_config("[gateway]\nmax_connections = 5000\n", "x", tmp_path)
    assert descriptors_needed(more.core) > plan.descriptors + 4000


def test_the_supervisor_is_small() -> None:
    import subprocess
    import sys

    script = (
        "import mailward.supervisor.main, sys, pathlib;"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmRSS:')[1].split()[0]);"
        "print(*(n for n in ('jinja2', 'structlog', 'cattrs', 'rich', 'dns', 'aiosmtpd') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    kilobytes, loaded = done.stdout.split("\n")[:2]
    assert int(kilobytes) < 30 * 1024
    assert loaded == ""
