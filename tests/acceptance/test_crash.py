"""``kill -9`` at any moment: what got 250 is delivered whole, what did not leaves nothing behind."""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
from attrs import define, field
from harness.client import Client
from harness.gateway import Gateway
from harness.hop import Hop, ordinary
from harness.mails import CLEAN, plain
from harness.servers import program
from harness.trace import untraced
from harness.wait import until

Start = Callable[..., Gateway]
ROUNDS = 5
SLOW_SCAN = """
import pathlib, time
from mailward import Plugin, hookimpl

class Slow(Plugin):
    @hookimpl
    def scan_message(self, message, scan):
        pathlib.Path(__file__).with_name("scanning").touch()
        while pathlib.Path(__file__).with_name("wait").exists():
            time.sleep(0.01)
"""


def numbered(number: int, size: int) -> bytes:
    """A message that can be told from all others, and whose wholeness can be seen from itself."""
    text = random.Random(number).randbytes(size // 2).hex().encode()
    body = b"".join(text[at : at + 70] + b"\r\n" for at in range(0, len(text), 70))
    return plain(body, f"number {number} {hashlib.sha256(body).hexdigest()}")


def number_of(content: bytes) -> int:
    """Which message this is; an AssertionError where it is not whole."""
    message = untraced(content)
    found = re.search(rb"Subject: number (\d+) (\w{64})\r\n", message)
    assert found is not None, message[:300]
    body = message.partition(b"\r\n\r\n")[2]
    assert hashlib.sha256(body).hexdigest().encode() == found[2], f"message {found[1]!r} is not whole"
    return int(found[1])


@define
class Load:
    """Clients that send without a pause until the gateway is gone, and keep what was accepted."""

    sizes: tuple[int, ...]
    accepted: set[int] = field(factory=set)
    sent: int = 0
    lock: threading.Lock = field(factory=threading.Lock)

    def run(self, port: int, clients: int = 4) -> list[threading.Thread]:
        """Begin."""
        threads = [threading.Thread(target=self._client, args=(port,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        return threads

    def _client(self, port: int) -> None:
        try:
            with Client(port) as client:
                client.greet()
                while self._one(client):
                    pass
        except (OSError, AssertionError):
            pass  # the gateway was killed: that is what is tested

    def _one(self, client: Client) -> bool:
        with self.lock:
            self.sent += 1
            number = self.sent
        reply = client.send(numbered(number, self.sizes[number % len(self.sizes)]), f"reader{number}@house.example")
        if reply.code == 250:
            with self.lock:
                self.accepted.add(number)
        return reply.code == 250


def _flows(load: Load, count: int) -> bool:
    return len(load.accepted) > count


def everything_arrives(gateway: Gateway, hop: Hop, accepted: set[int]) -> list[int]:
    """Wait until all that was accepted is at the next hop; what has arrived, each message whole."""
    until(lambda: not gateway.stored(), "the queue to be empty", 60, gateway.story)
    with hop.lock:
        arrived = [number_of(one.content) for one in hop.arrived if b"Subject: number" in one.content]
    assert accepted <= set(arrived), f"lost: {sorted(accepted - set(arrived))}"
    return arrived


def test_a_message_half_received_leaves_nothing_behind(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    with up.client() as client:
        client.envelope("reader@house.example")
        assert client.say("DATA").code == 354
        client.write(CLEAN + b"x" * 500_000)
        until(lambda: up.stored("tmp"), "the message to be half there")
        up.kill()
    up.restart()
    assert not up.stored()
    assert up.log("started")[-1]["recovered"] == 0
    assert not hop.arrived


def test_a_message_that_is_being_scanned_was_not_accepted_and_leaves_nothing_behind(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, plugins=["relay", "./slow.py"], files={"slow.py": SLOW_SCAN})
    (up.folder / "wait").touch()
    for size in (1_000, 300_000):
        with up.client() as client:
            client.envelope("reader@house.example")
            assert client.say("DATA").code == 354
            client.write(plain(b"x" * size) + b"\r\n.\r\n")
            until((up.folder / "scanning").exists, "the scan to begin", story=up.story)
            up.kill()
            # its last word may be that it cannot judge; what it never says is that it took the message
            assert client.read().code in (0, 421, 451)
        (up.folder / "scanning").unlink()
        up.restart()
        assert not up.stored()
    (up.folder / "wait").unlink()
    assert up.send(CLEAN, "reader@house.example").code == 250
    assert hop.wait_for("reader@house.example").body == CLEAN
    assert len(hop.arrived) == 1


def test_a_client_that_leaves_during_the_scan_spoils_nothing_for_the_next(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, plugins=["relay", "./slow.py"], files={"slow.py": SLOW_SCAN})
    for number, size in enumerate((1_000, 300_000)):
        (up.folder / "wait").touch()
        client = up.client()
        client.envelope(f"gone{number}@house.example")
        assert client.say("DATA").code == 354
        client.write(plain(b"x" * size) + b"\r\n.\r\n")
        until((up.folder / "scanning").exists, "the scan to begin", story=up.story)
        client.abort()
        (up.folder / "wait").unlink()
        (up.folder / "scanning").unlink(missing_ok=True)
        assert up.send(CLEAN, f"next{number}@house.example").code == 250
        assert hop.wait_for(f"next{number}@house.example").body == CLEAN
        until(lambda: not up.stored(), "the queue to be empty", story=up.story)
        assert len(hop.to(f"gone{number}@house.example")) <= 1
    assert not [line for line in up.log() if line.get("level") == "error"]


def test_what_was_accepted_survives_a_kill_at_any_moment(
    gateway: Start, hop: Hop, require: Callable[..., None]
) -> None:
    require("smtp-source")
    up = gateway(hop)
    load = Load((2_000, 40_000, 200_000))
    moments = random.Random()
    for _ in range(ROUNDS):
        source = (program("smtp-source"), "-s", "4", "-m", "100000", "-l", "4000", "-N", "-t", "noise@house.example")
        noise = subprocess.Popen([*source, f"127.0.0.1:{up.port}"], stderr=subprocess.DEVNULL)
        before = len(load.accepted)
        threads = load.run(up.port)
        until(partial(_flows, load, before + 5), "mail to flow", story=up.story)
        time.sleep(moments.uniform(0, 0.3))  # the moment of the kill is what varies
        up.kill()
        for thread in threads:
            thread.join()
        noise.wait(20)
        up.restart()
        assert not up.stored("tmp", "damaged")
    arrived = everything_arrives(up, hop, load.accepted)
    unaccepted = set(arrived) - load.accepted
    # a client may have missed its 250, one message for each connection that was cut
    assert len(unaccepted) <= ROUNDS * 4
    assert not up.log("queue file set aside")


def test_a_kill_during_delivery_repeats_only_deliveries_in_progress(gateway: Start, hop: Hop) -> None:
    held = threading.Event()
    reached = threading.Event()

    def hang(verb: str, argument: str) -> str | None:
        if verb == "." and not held.is_set():
            reached.set()
            held.wait(30)
            return ""
        return None

    up = gateway(hop)
    for number in range(3):
        up.settled(up.send(numbered(number, 1_000), f"early{number}@house.example").id)
    hop.answer = hang
    for number in range(10, 13):
        assert up.send(numbered(number, 100_000), f"late{number}@house.example").code == 250
    assert reached.wait(10)
    up.kill()
    held.set()
    hop.answer = ordinary
    up.restart()
    arrived = everything_arrives(up, hop, {0, 1, 2, 10, 11, 12})
    assert sorted(arrived) == [0, 1, 2, 10, 11, 12]


def test_a_kill_after_delivery_may_repeat_it_but_never_loses_it(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    replies = [up.send(numbered(number, 50_000), f"reader{number}@house.example") for number in range(8)]
    assert {reply.code for reply in replies} == {250}
    up.kill()
    up.restart()
    arrived = everything_arrives(up, hop, set(range(8)))
    assert max(arrived.count(number) for number in range(8)) <= 2


def test_a_dead_scan_process_is_replaced_and_its_message_deferred(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    (pid,) = up.scanners()
    subprocess.run(["kill", "-9", pid], check=True)
    first = up.send(CLEAN, "reader@house.example")
    assert first.code in (250, 451)
    until(lambda: pid not in up.scanners() and up.scanners(), "another scan process")
    assert up.send(CLEAN, "second@house.example").code == 250
    assert hop.wait_for("second@house.example").body == CLEAN


@pytest.mark.parametrize("size", [1_000, 3_000_000])
def test_a_client_that_is_cut_off_in_mid_message_leaves_nothing_behind(gateway: Start, hop: Hop, size: int) -> None:
    up = gateway(hop)
    for end in (Client.close, Client.abort):
        client = up.client()
        client.envelope("reader@house.example")
        assert client.say("DATA").code == 354
        client.write(b"Subject: half\r\n\r\n" + b"x" * size)
        end(client)
        until(lambda: not up.stored(), "the half message to go", story=up.story)
    assert up.send(CLEAN, "reader@house.example").code == 250
    assert hop.wait_for("reader@house.example").body == CLEAN
    assert len(hop.arrived) == 1
    assert not [line for line in up.log() if line.get("level") == "error"]
