"""Processes that end are started again; a new configuration comes into force without a break."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from harness.client import Client
from harness.config import merged, toml
from harness.gateway import BASE, Gateway
from harness.hop import Hop
from harness.mails import CLEAN, plain
from harness.wait import PATIENCE_S, until

Start = Callable[..., Gateway]
TWO = {"gateways": 2, "watch_config": False}


def reconfigure(up: Gateway, hop: Hop, **settings: object) -> None:
    """Write a new configuration file."""
    up.config.write_text(toml(merged(BASE, {"relay": {"default": hop.route}, **settings})))


@contextmanager
def callers(up: Gateway, *allowed: int, number: int = 3) -> Iterator[list[str]]:
    """Clients that connect, send a message and leave, over and over; what was wrong with the replies."""
    faults: list[str] = []
    done = threading.Event()
    sent = [0] * number

    def call(who: int) -> None:
        while not done.is_set():
            try:
                with Client(up.port) as client:
                    client.greet()
                    if client.envelope(f"caller{who}.{sent[who]}@house.example").code != 250:
                        continue  # a gateway that leaves says 421 between commands
                    reply = client.content(CLEAN)
                    if reply.code not in allowed:
                        faults.append(str(reply))
                    sent[who] += reply.code == 250
            except ConnectionRefusedError as error:
                faults.append(repr(error))
            except (OSError, AssertionError):
                continue  # told 421 in the middle of a command

    threads = [threading.Thread(target=call, args=(who,)) for who in range(number)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: all(sent), "every caller to have sent a message", story=up.story)
        yield faults
        before = list(sent)
        until(lambda: all(now > then for now, then in zip(sent, before, strict=True)), "mail to flow", story=up.story)
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_gateway_process_that_dies_is_started_again_and_its_queue_with_it(
    gateway: Start, hop: Hop, number: signal.Signals
) -> None:
    hop.answer = lambda verb, argument: "451 4.2.1 Later" if verb == "RCPT" and "later@" in argument else None
    up = gateway(hop, process=TWO, delivery={"retry_first_s": 1, "retry_max_s": 1})
    accepted = [up.send(CLEAN, f"later@n{count}.example").id for count in range(6)]
    for message_id in accepted:
        up.logged("queued", id=message_id)
    before = up.gateways()
    assert len(before) == 2
    os.kill(int(before[0]), number)
    died = up.logged("gateway_died")
    assert died["pid"] == int(before[0])
    assert number.name in died["reason"]
    until(lambda: len(up.gateways()) == 2 and before[0] not in up.gateways(), "another process", story=up.story)
    assert before[1] in up.gateways()
    hop.answer = lambda verb, argument: None
    for count in range(6):
        hop.wait_for(f"later@n{count}.example")
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)
    assert len(hop.arrived) == 6


def test_nobody_is_refused_while_a_gateway_process_comes_back(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    with callers(up, 250, 0) as faults:
        (pid,) = up.gateways()
        os.kill(int(pid), signal.SIGKILL)
        up.logged("gateway_died")
    assert not faults


def test_a_gateway_process_that_hangs_is_named_and_replaced(gateway: Start, hop: Hop) -> None:
    plugin = """
import time, pathlib
from mailward import Plugin, hookimpl

class Blocker(Plugin):
    @hookimpl
    async def mail_from(self, session, sender):
        if "hang" in str(sender.address) and not pathlib.Path(__file__).with_name("once").exists():
            pathlib.Path(__file__).with_name("once").touch()
            time.sleep(3600)
"""
    up = gateway(
        hop,
        files={"blocker.py": plugin},
        plugins=["relay", "./blocker.py"],
        process={"gateways": 1, "hang_s": 1},
    )
    with up.client() as client:
        client.write(b"MAIL FROM:<hang@sender.example>\r\n")
        died = up.logged("gateway_died")
        assert "no sign of life" in died["reason"]
        assert died["where"].startswith("blocker.py:")
        assert "mail_from" in died["where"]
        assert client.hung_up
    until(lambda: up.send(CLEAN, "reader@house.example").code == 250, "mail to flow", story=up.story)


def test_a_reload_refuses_nobody_loses_nothing_and_doubles_nothing(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, process=TWO)
    old = up.gateways()
    with callers(up, 250, 421) as faults:
        for round_ in range(1, 3):
            reconfigure(up, hop, process=TWO, gateway={"hostname": f"mx{round_}.example.test"})
            up.running.send_signal(signal.SIGHUP)
            up.logged("configuration_changed", round_)
    assert not faults
    with Client(up.port) as client:
        assert "mx2.example.test" in client.read().text
    until(lambda: not {*old} & {*up.gateways()}, "the old processes to end", story=up.story)
    until(lambda: len(up.gateways()) == 2, "the others to end", story=up.story)
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)
    accepted = {line["id"]: line["to"][0] for line in up.log("judged", reply=250)}
    arrived = [recipient.partition("<")[2].partition(">")[0] for one in hop.arrived for recipient in one.recipients]
    assert sorted(arrived) == sorted(accepted.values())


def test_a_message_in_progress_ends_under_the_old_configuration(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    with up.client() as client, up.client() as idle:
        client.envelope("halfway@house.example")
        assert client.say("DATA").code == 354
        client.write(plain(b"first half\r\n"))
        reconfigure(up, hop, gateway={"max_message_bytes": "64 KB", "hostname": "new.example.test"})
        up.running.send_signal(signal.SIGHUP)
        up.logged("configuration_changed")
        assert idle.read().code == 421
        with Client(up.port) as other:
            assert "new.example.test" in other.read().text
        client.write(b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 2000 + b".\r\n")
        assert client.read().code == 250
    arrived = hop.wait_for("halfway@house.example")
    assert len(arrived.body) > 140_000
    until(lambda: len(up.gateways()) == 1, "the old process to end", story=up.story)


def test_who_is_at_the_door_when_a_process_leaves_is_told_so_and_not_let_in(gateway: Start, hop: Hop) -> None:
    balanced = {"listen": ["127.0.0.1:0"], "proxy_from": ["127.0.0.1"]}
    up = gateway(hop, listener={"balanced": balanced})
    with up.client() as busy, up.client() as idle, Client(up.ports[1]) as at_the_door:
        busy.envelope("halfway@house.example")
        assert busy.say("DATA").code == 354
        reconfigure(up, hop, gateway={"hostname": "new.example.test"}, listener={"balanced": balanced})
        up.running.send_signal(signal.SIGHUP)
        up.logged("configuration_changed")
        assert idle.read().code == 421
        at_the_door.write(b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n")
        told = at_the_door.read()
        assert (told.code, at_the_door.read().code) == (421, 0), told
        busy.write(plain(b"all of it\r\n") + b".\r\n")
        assert busy.read().code == 250
    assert hop.wait_for("halfway@house.example")


def test_mail_that_waits_is_handed_over_at_a_reload(gateway: Start, hop: Hop) -> None:
    hop.answer = lambda verb, argument: "451 4.2.1 Later" if verb == "RCPT" else None
    up = gateway(hop, process=TWO, delivery={"retry_first_s": 2, "retry_max_s": 2})
    accepted = [up.send(CLEAN, f"n{count}@house.example").id for count in range(6)]
    for message_id in accepted:
        up.logged("queued", id=message_id)
    old = up.gateways()
    reconfigure(up, hop, process={"gateways": 1}, delivery={"retry_first_s": 2, "retry_max_s": 2})
    up.running.send_signal(signal.SIGHUP)
    up.logged("configuration_changed")
    until(lambda: not {*old} & {*up.gateways()}, "the old processes to end", story=up.story)
    hop.answer = lambda verb, argument: None
    for count in range(6):
        hop.wait_for(f"n{count}@house.example")
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)
    assert len(hop.arrived) == 6
    assert up.stop() == 0


BAD = {
    "not TOML": ("plugins = [\n", "is not TOML"),
    "unknown key": (toml(merged(BASE, {"gateway": {"hostnam": "x"}})), "hostnam"),
    "unknown plugin": (toml(merged(BASE, {"plugins": ["relay", "nothing"]})), "nothing"),
    "a plugin that does not start": (toml(merged(BASE, {"plugins": ["relay", "./late.py"]})), "does not start"),
    "a folder that cannot change": (toml(merged(BASE, {"spool": {"path": "elsewhere"}})), "spool.path"),
    "a port in use": (toml(merged(BASE, {"gateway": {"listen": ["127.0.0.1:0", "127.0.0.1:PORT"]}})), "PORT"),
}
LATE = """
from mailward import Plugin, hookimpl

class Late(Plugin):
    @hookimpl
    def start(self):
        raise RuntimeError("not today")
"""


def test_a_bad_configuration_changes_nothing(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, files={"late.py": LATE})
    good = up.config.read_text()
    processes = up.gateways()
    with Client(up.port) as client:
        client.greet()
        for count, (text, word) in enumerate(BAD.values(), 1):
            up.config.write_text(text.replace("PORT", str(hop.port)))
            up.running.send_signal(signal.SIGHUP)
            refused = up.logged("configuration_refused", count)
            assert word.replace("PORT", str(hop.port)) in " ".join(refused["problems"]), refused
        assert client.send(CLEAN, "reader@house.example").code == 250
    until(lambda: up.gateways() == processes, "the trials to end", story=up.story)
    up.config.write_text(good)
    up.running.send_signal(signal.SIGHUP)
    up.logged("configuration_changed")
    assert up.send(CLEAN, "after@house.example").code == 250


HASTY = """
from mailward import Plugin, hookimpl

class Hasty(Plugin):
    @hookimpl
    def start(self):
        following = self.context.resolve_path("next.toml")
        if following.exists():
            following.replace(self.context.resolve_path("CONFIG"))
"""


def test_what_is_changed_while_a_change_is_tried_is_tried_too(gateway: Start, hop: Hop) -> None:
    process = {"gateways": 1, "watch_config": True}
    up = gateway(hop, process=process)
    (up.config.parent / "hasty.py").write_text(HASTY.replace("CONFIG", up.config.name))
    after = {"relay": {"default": hop.route}, "process": process, "gateway": {"hostname": "mx2.example.test"}}
    (up.config.parent / "next.toml").write_text(toml(merged(BASE, after)))
    reconfigure(up, hop, process=process, plugins=["relay", "./hasty.py"])
    up.logged("configuration_changed", 2)
    with Client(up.port) as client:
        assert "mx2.example.test" in client.read().text


def test_twenty_signals_are_two_reloads(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    for _ in range(20):
        up.running.send_signal(signal.SIGHUP)
    assert up.run("ctl", "reload", "-c", str(up.config)).returncode == 0  # in its turn: after those
    assert len(up.log("configuration_changed")) <= 3
    assert up.send(CLEAN, "after@house.example").code == 250


def test_a_configuration_that_is_a_pipe_is_refused_and_not_waited_for(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, process={"gateways": 1, "watch_config": True})
    up.config.unlink()
    os.mkfifo(up.config)
    up.running.send_signal(signal.SIGHUP)
    refused = up.logged("configuration_refused")
    assert "is no regular file" in " ".join(refused["problems"])
    assert up.send(CLEAN, "after@house.example").code == 250


def test_a_start_after_a_crash_is_told(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    assert "after_crash" not in up.log("started")[0]
    up.kill()
    up.restart()
    assert up.log("started")[1]["after_crash"] is True
    assert up.stop() == 0
    up.restart()
    assert "after_crash" not in up.log("started")[2]


@pytest.mark.parametrize("same", [True, False], ids=["same address", "another address"])
def test_a_second_program_on_the_same_folder_says_so_and_touches_nothing(gateway: Start, hop: Hop, same: bool) -> None:
    plugins = ["relay", "content", "archives", "antivirus"]
    up = gateway(hop, plugins=plugins)
    config = up.folder / "other.toml"
    listen = {"listen": [f"127.0.0.1:{up.port if same else 0}"]}
    settings = {"plugins": plugins, "gateway": listen, "spool": {"path": str(up.state)}}
    config.write_text(toml(merged(BASE, settings)))
    before = files(up.state)
    second = up.run("serve", "-c", str(config))
    assert second.returncode == 1
    assert f"{up.state}: Mailward runs here already, as process {up.running.pid}; stop that one first" in second.stderr
    assert files(up.state) == before
    assert up.send(CLEAN, "reader@house.example").code == 250


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    """All files below a folder, with inode and time of the last change."""
    return {path: (found.st_ino, found.st_mtime_ns) for path in folder.rglob("*") if (found := path.lstat())}


def test_a_second_signal_ends_at_once(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, process={"gateways": 1, "stop_s": 600})
    with up.client() as client:
        client.envelope("reader@house.example")
        assert client.say("DATA").code == 354
        up.running.send_signal(signal.SIGTERM)
        until(partial(_is_deaf, up), "the listener to close")
        up.running.send_signal(signal.SIGTERM)
        assert up.running.wait(PATIENCE_S) == 1
    up.restart()
    assert "after_crash" not in up.log("started")[-1]


def _is_deaf(up: Gateway) -> bool:
    try:
        Client(up.port).close()
    except OSError:
        return True
    return False


def test_signals_are_for_the_supervisor_and_nobody_inherits_deafness(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    (pid,) = up.gateways()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        os.kill(int(pid), number)
    assert up.send(CLEAN, "reader@house.example").code == 250
    assert up.gateways() == [pid]
    for child in up.descendants(pid):
        status = Path(f"/proc/{child}/status").read_text()
        ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
        assert not ignored >> (signal.SIGTERM - 1) & 1


def test_signals_that_mean_nothing_end_nothing(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    (pid,) = up.gateways()
    strays = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPROF)
    for number in strays:
        os.kill(int(pid), number)
        up.running.send_signal(number)
        up.logged("signal without meaning here", signal=number.name)
    assert up.send(CLEAN, "reader@house.example").code == 250
    assert up.gateways() == [pid]
    assert not up.log("gateway_died")
