"""What plugins leave running ends with the program, however that ends; what is not the program's stays."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.gateway import PROGRAM, Gateway
from harness.hop import Hop
from harness.mails import CLEAN
from harness.wait import PATIENCE_S, until

Start = Callable[..., Gateway]
LEAVER = """
import pathlib, subprocess, sys, time
from mailward import Plugin, hookimpl

HERE = pathlib.Path(__file__).parent
DAEMON = '''
import os, sys, time
os.fork() and os._exit(0)
os.setsid()
os.fork() and os._exit(0)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
'''


def daemon(name):
    subprocess.run([sys.executable, "-S", "-c", DAEMON, str(HERE / name)], check=True)
    while not (HERE / name).exists():
        time.sleep(0.005)


class Leaver(Plugin):
    @hookimpl
    def mail_from(self, session, sender):
        daemon("of-gateway")

    @hookimpl
    def scan_message(self, message, scan):
        daemon("of-scan")
"""


def lives(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def left(up: Gateway, name: str) -> int:
    return int((up.folder / name).read_text())


def gone(up: Gateway, name: str) -> None:
    until(lambda: not lives(left(up, name)), f"the end of what was left: {name}", story=up.story)


@pytest.fixture
def leaving(gateway: Start, hop: Hop) -> Gateway:
    up = gateway(hop, plugins=["relay", "./leaver.py"], files={"leaver.py": LEAVER})
    assert up.send(CLEAN).code == 250
    assert lives(left(up, "of-gateway"))
    assert lives(left(up, "of-scan"))
    return up


def test_a_stop_leaves_nothing_behind(leaving: Gateway) -> None:
    assert leaving.stop() == 0
    assert not lives(left(leaving, "of-gateway"))
    assert not lives(left(leaving, "of-scan"))


def test_a_second_signal_leaves_nothing_behind(gateway: Start, leaving: Gateway) -> None:
    with leaving.client() as client:
        client.envelope()
        assert client.say("DATA").code == 354
        leaving.running.send_signal(signal.SIGTERM)
        assert client.read().code in (0, 421)
        leaving.running.send_signal(signal.SIGTERM)
        leaving.running.wait(PATIENCE_S)
    assert not lives(left(leaving, "of-gateway"))
    assert not lives(left(leaving, "of-scan"))


@pytest.mark.parametrize("whose", ["gateway", "supervisor"])
def test_what_was_left_in_a_scan_process_ends_with_a_killed_program(leaving: Gateway, whose: str) -> None:
    if whose == "gateway":
        os.kill(int(leaving.gateways()[0]), signal.SIGKILL)
    else:
        leaving.running.kill()
    gone(leaving, "of-scan")
    if whose == "gateway":
        assert leaving.stop() == 0
        assert not lives(left(leaving, "of-gateway"))
    else:  # nobody is left who could know of it
        os.kill(left(leaving, "of-gateway"), signal.SIGKILL)


def test_processes_of_a_script_that_became_the_program_are_left_alone(tmp_path: Path) -> None:
    up = Gateway(tmp_path, {"plugins": []})
    start = f'sleep 600 & echo $! > {tmp_path}/other; exec "$@"'
    up.program = ("sh", "-c", start, "sh", *PROGRAM)
    up.start()
    try:
        assert up.stop() == 0
        assert lives(left(up, "other"))
    finally:
        os.kill(left(up, "other"), signal.SIGKILL)
        if up.running.poll() is None:
            up.kill()
