"""`mailward ctl` and control files: switches, status, statistics, reload, stop."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.client import Client
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN
from harness.wait import PATIENCE_S, until

Start = Callable[..., Gateway]
House = tuple[Gateway, Hop]
TWO = {"gateways": 2}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("control")
    (folder / "orders").mkdir()
    with open_hop() as hop:
        settings = {
            "relay": {"default": hop.route},
            "process": TWO,
            "control": {"folder": str(folder / "orders"), "poll_s": 0.1},
        }
        with running(folder, settings) as up:
            yield up, hop


def ctl(up: Gateway, *words: str, status: int = 0) -> str:
    done = up.run("ctl", *words, "-c", str(up.config))
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def facts(up: Gateway, what: str) -> dict[str, Any]:
    return dict(json.loads(ctl(up, what, "--json")))


def everywhere(up: Gateway, code: int) -> bool:
    """Whether both processes, which share the connections at random, greet with this code."""
    codes = set()
    for _ in range(16):
        try:
            with Client(up.port) as client:
                codes.add(client.read().code)
        except OSError:
            codes.add(-1)
    return codes == {code}


def test_reject_answers_421_and_accept_ends_it(house: House) -> None:
    up, _ = house
    with up.client() as before:
        assert "accept is off" in ctl(up, "reject")
        until(lambda: everywhere(up, 421), "every client to be refused", story=up.story)
        assert before.say("MAIL FROM:<a@sender.example>").code == 421
        assert before.hung_up
    assert facts(up, "status")["switches"]["accept"] is False
    thrown = up.logged("switch_thrown", switch="accept", on=False)
    assert thrown["by"] == "ctl"
    ctl(up, "accept")
    until(lambda: everywhere(up, 220), "clients to be greeted", story=up.story)
    assert facts(up, "stats")["counters"]["refused_connect"] > 0


def test_receive_off_closes_the_listeners_and_keeps_the_port(house: House) -> None:
    up, _ = house
    ctl(up, "receive", "off")
    until(lambda: everywhere(up, -1), "nobody to listen", story=up.story)
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", up.port))
    ctl(up, "receive", "on")
    until(lambda: everywhere(up, 220), "both to listen", story=up.story)


def test_control_files_are_carried_out_then_deleted_and_others_left_alone(house: House) -> None:
    up, _ = house
    orders = up.folder / "orders"
    (orders / "note").write_text("not for you")
    (orders / ".c_recv_off").write_text("what is in it does not count")
    until(lambda: not (orders / ".c_recv_off").exists(), "the file to go", story=up.story)
    until(lambda: everywhere(up, -1), "nobody to listen", story=up.story)
    (orders / ".c_recv_on").touch()
    until(lambda: everywhere(up, 220), "both to listen", story=up.story)
    (orders / ".c_stats").touch()
    until(lambda: not (orders / ".c_stats").exists(), "the file to go", story=up.story)
    lines = (up.state / "mailward.stat").read_text().splitlines()
    assert all(line.count("=") == 1 for line in lines)
    assert [*orders.iterdir()] == [orders / "note"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a file of another user")
def test_a_control_file_of_another_user_is_not_obeyed(house: House) -> None:
    up, _ = house
    file = up.folder / "orders" / ".c_recv_off"
    file.touch()
    mine = up.folder / "orders" / ".c_recv_on"
    # between touch and chown it could have been seen: switch back, and look at the second one
    os.chown(file, 65534, 65534)
    mine.touch()
    until(lambda: not mine.exists(), "the other to go", story=up.story)
    file.unlink(missing_ok=True)
    theirs = up.folder / "theirs"
    theirs.touch()
    os.chown(theirs, 65534, 65534)
    theirs.rename(file)
    mine.touch()
    until(lambda: not mine.exists(), "the other to go", story=up.story)
    assert file.exists()
    assert facts(up, "status")["switches"]["receive"] is True
    file.unlink()


WAITS = {"pause": ("resume", "fast"), "send off": ("send on", "fast"), "scan off": ("scan on", "incoming")}


@pytest.mark.parametrize("off", WAITS)
def test_what_is_switched_off_makes_mail_wait_and_a_reload_hands_it_on(house: House, off: str) -> None:
    up, hop = house
    on, queue = WAITS[off]
    name = off.replace(" ", "-")
    ctl(up, *off.split())
    for number in range(4):
        assert up.send(CLEAN, f"{name}{number}@house.example").code == 250
    assert facts(up, "status")["queues"][queue] == 4
    old = up.gateways()
    ctl(up, "reload")
    until(lambda: not {*old} & {*up.gateways()}, "the old processes to end", story=up.story)
    until(lambda: facts(up, "status")["queues"][queue] == 4, "mail to wait", story=up.story)
    assert not [one for one in hop.arrived if name in str(one.recipients)]
    ctl(up, *on.split())
    for number in range(4):
        hop.wait_for(f"{name}{number}@house.example")
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)
    assert len([one for one in hop.arrived if name in str(one.recipients)]) == 4


def test_status_and_stats_tell_of_all_processes(house: House) -> None:
    up, _ = house
    before = facts(up, "stats")["counters"]
    for number in range(6):
        up.settled(up.send(CLEAN, f"n{number}@house.example").id)
    now = facts(up, "stats")["counters"]
    assert now["accepted"] - before.get("accepted", 0) == 6
    assert now["accepted_bytes"] - before.get("accepted_bytes", 0) == 6 * len(CLEAN)
    assert now["recipients_delivered"] - before.get("recipients_delivered", 0) == 6
    status = facts(up, "status")
    assert {str(one["pid"]) for one in status["processes"]} == set(up.gateways())
    assert status["pid"] == up.running.pid
    assert status["queues"]["fast"] == status["queues"]["hold"] == 0
    assert status["memory_bytes"] > 20 * 2**20
    assert status["plugins"].keys() == {"relay", "content", "antivirus"}
    shown = ctl(up, "status")
    assert f"process {up.running.pid}" in shown
    exposed = ctl(up, "stats", "--prometheus")
    assert f"mailward_accepted_total {now['accepted']:g}\n" in exposed
    assert "# TYPE mailward_accepted_total counter\n" in exposed
    assert f"accepted={now['accepted']:g}\n" in ctl(up, "stats")


def test_counters_go_on_over_a_reload_and_a_death(house: House) -> None:
    up, _ = house
    before = facts(up, "stats")["counters"].get("accepted", 0)
    assert up.send(CLEAN, "one@house.example").code == 250
    assert "in force" in ctl(up, "reload")
    assert up.send(CLEAN, "two@house.example").code == 250
    counters = facts(up, "stats")["counters"]
    assert counters["accepted"] == before + 2
    assert counters["reloads"] >= 1


def test_a_bad_configuration_is_answered_with_all_that_is_wrong(house: House) -> None:
    up, _ = house
    good = up.config.read_text()
    try:
        up.config.write_text(good.replace("hostname", "hostnam") + "\n[nothing]\nx = 1\n")
        told = ctl(up, "reload", status=1)
        assert "hostnam" in told
        assert "stays in force" in told
        up.config.write_text("x = [\n")
        assert "is not TOML" in ctl(up, "reload", status=1)
    finally:
        up.config.write_text(good)


def test_the_socket_is_for_the_user_of_the_program_alone(house: House) -> None:
    up, _ = house
    assert (up.state / "control.sock").stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as raw:
        here = os.open(up.state, os.O_PATH)
        raw.connect(f"/proc/self/fd/{here}/control.sock")
        os.close(here)
        raw.sendall(b"x" * 10_000)
        raw.settimeout(PATIENCE_S)
        assert b"no request" in raw.recv(1000)
    if os.geteuid() == 0:
        script = (
            "import os, socket, sys; s = socket.socket(socket.AF_UNIX)\n"
            "here = os.open(sys.argv[1], os.O_PATH); os.setuid(65534)\n"
            "try: s.connect(f'/proc/self/fd/{here}/control.sock')\n"
            "except PermissionError: print('refused')"
        )
        done = subprocess.run([sys.executable, "-c", script, str(up.state)], capture_output=True, text=True, check=True)
        assert done.stdout == "refused\n"


def test_what_runs_nowhere_is_told(tmp_path: Path, house: House) -> None:
    up, _ = house
    done = up.run("ctl", "status", "--state", str(tmp_path))
    assert done.returncode == 3
    assert "no program runs" in done.stderr


def test_a_switch_that_is_kept_survives_a_restart_and_another_does_not(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    ctl(up, "reject", "--persist")
    ctl(up, "pause")
    assert ctl(up, "stop")
    assert up.running.wait(PATIENCE_S) == 0
    up.restart()
    switches = facts(up, "status")["switches"]
    assert switches["accept"] is False
    assert switches["deliver"] is True
    with Client(up.port) as client:
        assert client.read().code == 421
    ctl(up, "accept")
    up.kill()
    up.restart()
    assert all(facts(up, "status")["switches"].values())
    assert up.send(CLEAN, "reader@house.example").code == 250


def test_a_change_of_the_file_is_noticed_and_a_touch_is_not(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, process={"gateways": 1, "watch_config": True})
    text = up.config.read_text()
    os.utime(up.config)
    new = up.config.with_name("new")
    new.write_text(text.replace("mx.example.test", "new.example.test"))
    new.rename(up.config)
    changed = up.logged("configuration_changed")
    assert changed["reason"] == "configuration file changed"
    assert len(up.log("configuration_changed")) == 1
    up.config.write_text("not = [\n")
    up.logged("configuration_refused")
    up.config.write_text(text)
    until(lambda: up.send(CLEAN, "reader@house.example").code == 250, "mail to flow", story=up.story)
