"""The log does not stop mail: nobody reads it any more, nobody reads it now, there is nowhere to write it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.gateway import PROGRAM, Gateway
from harness.hop import Hop
from harness.mails import CLEAN
from harness.wait import PATIENCE_S, until


@contextmanager
def logging_to(folder: Path, hop: Hop, stderr: int | None) -> Iterator[Gateway]:
    """A gateway whose standard error is this descriptor; closed, like all of its kind, where that is None."""
    up = Gateway(folder, {"relay": {"default": hop.route}})
    command = [*PROGRAM, "serve", "-c", str(up.config)]
    if stderr is None:
        command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    up.process = subprocess.Popen(command, stderr=stderr)
    try:
        up.port = until(lambda: _port(up), "the gateway to be ready")
        yield up
        assert up.stop() == 0
    finally:
        if up.running.poll() is None:
            up.running.kill()
            up.running.wait(PATIENCE_S)


def _port(up: Gateway) -> int:
    assert up.running.poll() is None
    answer = up.run("ctl", "status", "--json", "-c", str(up.config))
    if answer.returncode != 0:
        return 0
    return int(json.loads(answer.stdout)["listening"][0].rpartition(":")[2])


def fares_well(up: Gateway, hop: Hop, to: str) -> None:
    assert up.send(CLEAN, to).code == 250
    assert hop.wait_for(to).body == CLEAN


def test_a_reader_that_went_away_stops_no_mail(hop: Hop, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with logging_to(tmp_path, hop, writing) as up:
        os.close(writing)
        os.close(reading)
        before = up.gateways()
        for number in range(3):
            fares_well(up, hop, f"n{number}@house.example")
        assert up.run("ctl", "reload", "-c", str(up.config)).returncode == 0
        fares_well(up, hop, "after@house.example")
        assert before != up.gateways()


def test_a_reader_that_does_not_read_stops_no_mail_and_is_told_what_he_missed(hop: Hop, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with logging_to(tmp_path, hop, writing) as up:
        os.close(writing)
        for number in range(20):
            fares_well(up, hop, f"n{number}@house.example")
        before = up.gateways()
        missed = os.read(reading, 65536)
        assert b"n19@" not in missed
        fares_well(up, hop, "after@house.example")
        os.set_blocking(reading, False)
        read = bytearray()
        until(lambda: _more(reading, read) and b'"event":"log lines lost"' in read, "what was missed to be told")
        assert up.gateways() == before
    os.close(reading)


def _more(reading: int, read: bytearray) -> bool:
    try:
        read += os.read(reading, 65536)
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("where", ["closed", "full"])
def test_where_there_is_nowhere_to_write_mail_flows(hop: Hop, tmp_path: Path, where: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with logging_to(tmp_path, hop, full if where == "full" else None) as up:
            fares_well(up, hop, "reader@house.example")
    finally:
        os.close(full)
