"""Told to stop, the gateway ends in good order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest
from harness.gateway import Gateway
from harness.hop import Hop, ordinary
from harness.mails import CLEAN, plain
from harness.wait import PATIENCE_S, free_port, listens, until

Start = Callable[..., Gateway]
SLOW = """
import pathlib, time
from mailward import Plugin, hookimpl

class Slow(Plugin):
    @hookimpl
    def scan_message(self, message, scan):
        pathlib.Path(__file__).with_name("scanning").touch()
        while not pathlib.Path(__file__).with_name("go").exists():
            time.sleep(0.01)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_gateway_ends_at_once(gateway: Start, hop: Hop, number: signal.Signals) -> None:
    up = gateway(hop)
    children = up.descendants()
    up.running.send_signal(number)
    assert up.running.wait(PATIENCE_S) == 0
    assert up.log()[-1]["event"] == "stopped"
    assert not [line for line in up.log() if line["level"] in ("error", "warning")]
    until(lambda: not any(_lives(pid) for pid in children), "scan processes to end")


def _lives(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return ") Z " not in stat.read()
    except OSError:
        return False


def test_a_message_in_progress_is_answered(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, plugins=["relay", "./slow.py"], files={"slow.py": SLOW})
    with up.client() as scanned, up.client() as halfway, up.client() as idle:
        halfway.envelope("halfway@house.example")
        assert halfway.say("DATA").code == 354
        halfway.write(plain(b"first half\r\n"))
        scanned.envelope("scanned@house.example")
        assert scanned.say("DATA").code == 354
        scanned.write(CLEAN + b".\r\n")
        until((up.folder / "scanning").exists, "the scan to begin")
        up.running.send_signal(signal.SIGTERM)
        assert idle.read().code == 421
        assert idle.hung_up
        until(lambda: not listens(up.port), "the listener to close")
        (up.folder / "go").touch()
        first = scanned.read()
        assert first.code == 250
        halfway.write(b"second half\r\n.\r\n")
        second = halfway.read()
        assert second.code == 250
        assert up.running.wait(PATIENCE_S) == 0
    assert up.log()[-1]["event"] == "stopped"
    up.restart()
    assert hop.wait_for("scanned@house.example").body == CLEAN
    assert hop.wait_for("halfway@house.example").body == plain(b"first half\r\nsecond half\r\n")


def test_neither_a_client_that_dawdles_nor_a_delivery_that_hangs_keeps_the_gateway(gateway: Start, hop: Hop) -> None:
    release = threading.Event()

    def hang(verb: str, argument: str) -> str | None:
        return "" if verb == "." and release.wait(40) else None

    hop.answer = hang
    up = gateway(hop)
    accepted = up.send(CLEAN, "accepted@house.example")
    assert accepted.code == 250
    with up.client() as client:
        client.envelope("halfway@house.example")
        assert client.say("DATA").code == 354
        client.write(plain(b"half\r\n"))
        try:
            assert up.stop() == 0
        finally:
            release.set()
        assert client.read().code in (0, 421)
    assert up.log()[-1]["event"] == "stopped"
    assert [file.name for file in up.stored("slow", "fast")] == [accepted.id]
    hop.answer = ordinary
    up.restart()
    assert hop.wait_for("accepted@house.example").body == CLEAN
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)
    assert len(hop.arrived) == 1


def test_what_waits_in_the_queue_does_not_keep_the_gateway(gateway: Start) -> None:
    up = gateway(f"127.0.0.1:{free_port()}")
    reply = up.send(CLEAN, "reader@house.example")
    up.logged("queued", id=reply.id)
    assert up.stop() == 0
    assert len(up.stored("slow", "fast")) == 1
