"""Gateways that have their mail judged on other hosts."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from harness.client import Reply
from harness.gateway import PLUGINS, Gateway
from harness.hop import Hop
from harness.killer import killer_plugin
from harness.mails import CLEAN, EICAR, plain
from harness.scan_server import ScanServer, make_key, open_scan_server
from harness.wait import until

Start = Callable[..., ScanServer]
Up = Callable[..., Gateway]
CRLF = b"\r\n"
POLICY = {"antivirus": {"on_infected": ["reject"]}}


@pytest.fixture
def scan_server(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        key = make_key(tmp_path)
        count = 0

        def start(hop: Hop, **more: object) -> ScanServer:
            nonlocal count
            count += 1
            settings = {"plugins": PLUGINS, "relay": _relay(hop), **POLICY, **more}
            return stack.enter_context(open_scan_server(tmp_path / f"scan{count}", settings, key))

        yield start


def _relay(hop: Hop) -> dict[str, object]:
    return {"allow": ["127.0.0.1"], "quit_timeout_s": 1, "default": hop.route}


def asking(folder: Path, *servers: ScanServer, **more: object) -> dict[str, object]:
    names = [server.name for server in servers]
    return {"workers": 1, "servers": names, "server_key": str(folder / "scan.key"), "fallback": "defer", **more}


def test_mail_is_judged_at_the_scan_server_and_nothing_is_scanned_here(
    gateway: Up, hop: Hop, scan_server: Start, tmp_path: Path
) -> None:
    there = scan_server(hop)
    up = gateway(hop, scan=asking(tmp_path, there), **POLICY)
    assert not up.scanners()
    assert up.send(CLEAN, "reader@house.example").code == 250
    assert hop.wait_for("reader@house.example").body == CLEAN
    assert up.send(plain(EICAR + CRLF), "other@house.example").code == 550
    large = plain(b"0123456789abcdef\r\n" * 100_000)
    assert up.send(large, "large@house.example").code == 250
    assert hop.wait_for("large@house.example").body == large
    assert there.figures()["judged"] == 3
    assert there.stop() == 0
    assert up.send(CLEAN, "late@house.example").code == 451
    assert up.logged("scan_server_lost")["code"] == 1


def test_no_message_is_lost_or_passes_unchecked_while_scan_servers_die_and_come_back(
    gateway: Up, hop: Hop, scan_server: Start, tmp_path: Path
) -> None:
    servers = [scan_server(hop), scan_server(hop)]
    up = gateway(hop, scan=asking(tmp_path, *servers), **POLICY)
    stop = threading.Event()
    accepted: list[str] = []
    others: list[Reply] = []

    def client(name: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            to = f"{name}-{number}@house.example"
            bad = number % 3 == 0
            reply = up.send(plain(EICAR + CRLF if bad else f"{to}\r\n".encode() * 3000), to)
            assert not bad or reply.code in (550, 451), reply
            if reply.code == 250:
                accepted.append(to)
            else:
                others.append(reply)

    clients = [threading.Thread(target=client, args=(name,)) for name in ("a", "b", "c")]
    for thread in clients:
        thread.start()
    try:
        for number in range(4):
            until(partial(_longer, accepted, len(accepted) + 5), "mail to flow", story=up.story)
            servers[number % 2].kill()
            until(partial(_longer, accepted, len(accepted) + 5), "mail to flow on one server", story=up.story)
            servers[number % 2].start()
            up.logged("scan_server_back", number + 1)
    finally:
        stop.set()
        for thread in clients:
            thread.join()
    assert {reply.code for reply in others} <= {550, 451}
    assert all(not reply.text.count("127.0.0.1") for reply in others)
    for to in accepted:
        assert hop.wait_for(to)
    assert not up.log("suspect")


def _longer(found: list[str], number: int) -> bool:
    return len(found) > number


def test_a_killer_is_held_and_its_scan_server_goes_on(
    gateway: Up, hop: Hop, scan_server: Start, tmp_path: Path
) -> None:
    killer = tmp_path / "killer.py"
    killer.write_text(killer_plugin())
    plugins = [*PLUGINS, str(killer)]
    there = scan_server(hop, plugins=plugins)
    up = gateway(hop, plugins=plugins, scan=asking(tmp_path, there), **POLICY)
    message_id = up.send(plain(subject="kill by segfault")).id
    assert up.logged("suspect", id=message_id)["crashes"] == 3
    assert [line["queue"] for line in up.queue()] == ["hold"]
    assert up.send(CLEAN, "reader@house.example").code == 250
    assert there.figures()["deaths"] == 3


def test_a_gateway_scans_here_while_no_server_answers(
    gateway: Up, hop: Hop, scan_server: Start, tmp_path: Path
) -> None:
    there = scan_server(hop)
    up = gateway(hop, scan=asking(tmp_path, there, fallback="local"), **POLICY)
    assert up.send(CLEAN, "first@house.example").code == 250
    there.kill()
    assert up.send(CLEAN, "second@house.example").code == 250
    assert up.send(plain(EICAR + CRLF)).code == 550
    assert hop.wait_for("second@house.example")


def test_how_a_scan_server_fares_is_told_to_those_with_the_key(scan_server: Start, hop: Hop, tmp_path: Path) -> None:
    there = scan_server(hop)
    answer = there.status()
    assert answer.returncode == 0
    assert "1 idle, 0 at work" in answer.stdout
    told = json.loads(there.status("--json").stdout)
    assert told["connections"] == 1
    there.key = tmp_path / "other.key"
    there.key.write_text("another key, of the same sufficient length")
    there.key.chmod(0o600)
    answer = there.status()
    assert (answer.returncode, answer.stdout) == (3, "")
    assert "is it the same on both sides?" in answer.stderr
    there.kill()
    answer = there.status()
    assert answer.returncode == 3
    assert "efused" in answer.stderr
    assert "0123456789abcdef" not in there.story()


def test_a_signal_without_meaning_ends_no_scan_server(scan_server: Start, hop: Hop) -> None:
    there = scan_server(hop)
    assert there.process is not None
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        there.process.send_signal(number)
        until(lambda sent=number: f'"{sent.name}"' in there.story(), "the signal to be told of", story=there.story)
    assert there.status().returncode == 0
    assert there.stop() == 0
