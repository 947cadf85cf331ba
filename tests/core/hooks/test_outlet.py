"""Log lines leave whole or not at all, and nobody waits for their reader."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailward.hooks.outlet import Outlet

PIPE_BYTES = 4096


def lost(count: int) -> str:
    return f"lost {count}"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def outlet(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Outlet]:
    monkeypatch.setattr("mailward.hooks.outlet._PATIENCE_S", 0.01)
    made = Outlet(pipe[1], lost)
    yield made
    made.close()


def test_a_full_pipe_loses_lines_and_says_how_many(pipe: tuple[int, int], outlet: Outlet) -> None:
    for number in range(200):
        outlet.write(f"{number:063}")
    taken = PIPE_BYTES // 64
    assert outlet.lost == 200 - taken
    lines = os.read(pipe[0], 2 * PIPE_BYTES).splitlines()
    assert lines == [b"%063d" % number for number in range(taken)]
    outlet.write("after")
    assert os.read(pipe[0], PIPE_BYTES) == b"lost %d\nafter\n" % (200 - taken)
    assert outlet.lost == 0


def test_a_line_that_was_taken_in_part_is_finished_first(pipe: tuple[int, int], outlet: Outlet) -> None:
    long = "x" * (2 * PIPE_BYTES)
    outlet.write(long)
    outlet.write("lost")
    read = os.read(pipe[0], 10 * PIPE_BYTES)
    outlet.write("lost too")  # the rest of the long line fills the pipe again
    read += os.read(pipe[0], 10 * PIPE_BYTES)
    outlet.write("after")
    read += os.read(pipe[0], 10 * PIPE_BYTES)
    lines = read.decode().splitlines()
    assert (lines[0], lines[-1]) == (long, "after")
    assert sum(int(line.removeprefix("lost ")) for line in lines[1:-1]) == 2


def test_not_to_wait_is_nobody_elses_way(pipe: tuple[int, int], outlet: Outlet) -> None:
    outlet.write("a line")
    assert os.get_blocking(pipe[1])


def test_a_pipe_that_cannot_be_opened_anew_is_not_waited_for_either(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(path)

    monkeypatch.setattr("mailward.hooks.outlet._PATIENCE_S", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr("mailward.hooks.outlet.os.open", refuse)
        outlet = Outlet(pipe[1], lost)
    for _ in range(200):
        outlet.write("x" * 63)
    assert 0 < 200 - outlet.lost <= PIPE_BYTES // 64


def test_a_socket_that_is_full_or_closed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailward.hooks.outlet._PATIENCE_S", 0.01)
    ours, theirs = socket.socketpair()
    with ours:
        outlet = Outlet(ours.fileno(), lost)
        outlet.write("a line")
        assert theirs.recv(100) == b"a line\n"
        while not outlet.lost:
            outlet.write("x" * 1000)
        assert ours.getblocking()
        theirs.close()
        outlet.write("nobody is there")
        assert outlet.lost >= 2


def test_a_reader_that_went_away_and_a_closed_descriptor_are_no_fault(pipe: tuple[int, int], outlet: Outlet) -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, pipe[0])
    os.close(nowhere)
    outlet.write("nobody reads")
    assert outlet.lost == 1
    closed = Outlet(1 << 20, lost)
    closed.write("nowhere")
    assert closed.lost == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_no_fault() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    outlet = Outlet(full, lost)
    outlet.write("no room")
    os.close(full)
    assert outlet.lost == 1


def test_what_has_no_utf8_is_written_all_the_same(pipe: tuple[int, int], outlet: Outlet) -> None:
    outlet.write("\udcff")
    assert os.read(pipe[0], 100) == b"\\udcff\n"


def test_standard_descriptors_that_are_closed_are_held(tmp_path: Path) -> None:
    """A file opened next would be standard error, and be written to by every log line."""
    code = """
import os, sys
from mailward.hooks.outlet import hold_standard_descriptors, standard_error
hold_standard_descriptors()
opened = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
standard_error(str).write("a line")
print("to nobody", flush=True)
os.write(opened, b"%d" % opened)
"""
    script = 'exec "$@" <&- >&- 2>&-'
    target = tmp_path / "held"
    subprocess.run(["sh", "-c", script, "sh", sys.executable, "-c", code, str(target)], check=True)
    assert int(target.read_text()) > 2
