"""Killed at any moment, the queue has everything that was acknowledged."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from attrs import define, field

from mailward.spool.entry import Queue
from mailward.spool.spool import Spool

CHILD = Path(__file__).with_name("crash_child.py")


@define
class Known:
    """What the child said of one message."""

    attempts: int = 0
    queue: str = "fast"
    removing: bool = False


@define
class Said:
    messages: dict[str, Known] = field(factory=dict)

    def hear(self, line: str) -> None:
        verb, *rest = line.split()
        if verb == "commit":
            self.messages[rest[0]] = Known()
        elif verb == "state":
            self.messages[rest[0]].attempts = int(rest[1])
        elif verb == "move":
            self.messages[rest[0]].queue = rest[1]
        elif verb == "removing":
            self.messages[rest[0]].removing = True


def _body_of(message_id: str) -> bytes:
    spec = importlib.util.spec_from_file_location("crash_child", CHILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    body: bytes = module.body_of(message_id)
    return body


def _work_and_kill(root: Path, seconds: float) -> Said:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(CHILD), str(root)], stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        os.set_blocking(child.stdout.fileno(), False)
        output = b""
        until = time.monotonic() + seconds
        while time.monotonic() < until or b"commit" not in output:
            output += child.stdout.read() or b""
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
        output += child.stdout.read() or b""
    said = Said()
    for line in output.decode().splitlines():
        said.hear(line)
    return said


@pytest.mark.parametrize("round_number", range(6))
def test_killed_at_a_random_moment_nothing_acknowledged_is_missing(tmp_path: Path, round_number: int) -> None:
    said = _work_and_kill(tmp_path, random.uniform(0.1, 0.6))
    spool = Spool(tmp_path)
    spool.open()
    found = {entry.id: entry for entry in spool.recover()}
    assert said.messages
    for message_id, known in said.messages.items():
        if known.removing:
            continue
        entry = found[message_id]
        assert entry.attempts >= known.attempts
        if known.queue != "fast":
            assert entry.queue == Queue(known.queue)
    for entry in random.sample(list(found.values()), min(30, len(found))):
        body = spool.body(entry)
        if body is None:
            body = spool.path(entry).read_bytes()[: entry.size_bytes]
        assert body == _body_of(entry.id)
    assert os.listdir(tmp_path / "spool" / "0" / "damaged") == []
    assert os.listdir(tmp_path / "spool" / "0" / "tmp") == []
    spool.close()
