"""A message that takes its scan process with it: three tries, then hold; and all other mail fares well."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from harness.client import Reply
from harness.faulty import IN_SCAN, faulty_async_plugin, faulty_plugin
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.killer import killer_plugin
from harness.mails import CLEAN, plain
from harness.wait import until

House = tuple[Gateway, Hop]
DEATHS = ("die", "segfault", "memory")
NOBODY = "nobody nothing nowhere"
PLUGINS = ["relay", "./faulty.py", "./asynchronous.py", "./killer.py"]
FILES = {
    "faulty.py": faulty_plugin(),
    "asynchronous.py": faulty_async_plugin(),
    "killer.py": killer_plugin(),
    "order": NOBODY,
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_hop() as hop:
        settings = {
            "plugins": PLUGINS,
            "relay": {"default": hop.route},
            "scan": {"memory_bytes": "400 MB"},
        }
        with running(tmp_path_factory.mktemp("deaths"), settings, FILES) as gateway:
            yield gateway, hop


def send(house: House, order: str, to: str) -> Reply:
    """Send a message while the plugin has this order; the reply."""
    gateway, _ = house
    (gateway.folder / "order").write_text(order)
    try:
        reply = gateway.send(CLEAN, to)
    finally:
        (gateway.folder / "order").write_text(NOBODY)
    assert "faulty" not in reply.text
    return reply


def fares_well(house: House, to: str) -> None:
    gateway, hop = house
    assert gateway.send(CLEAN, to).code == 250
    assert hop.wait_for(to).body == CLEAN


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("hook", IN_SCAN)
def test_a_message_that_ends_three_scan_processes_is_held_and_its_killer_named(
    house: House, hook: str, death: str
) -> None:
    gateway, hop = house
    to = f"{death}-{hook}@house.example"
    message_id = send(house, f"faulty {hook} {death}", to).id
    deaths = gateway.log("worker_died", id=message_id)
    assert [(event["plugin"], event["hook"]) for event in deaths] == 3 * [("faulty", hook)]
    assert {event["reason"].split(":")[0] for event in deaths} == {"memory" if death == "memory" else "died"}
    (suspect,) = gateway.log("suspect", id=message_id)
    assert suspect["crashes"] == 3
    assert f"faulty.{hook}" in suspect["reason"]
    (held,) = [line for line in gateway.queue() if line["id"].startswith(message_id)]
    assert held["queue"] == "hold"
    assert f"faulty.{hook}" in held["reason"]
    fares_well(house, f"after-{to}")
    assert not hop.to(to)


@pytest.mark.parametrize("order", ["faulty scan_part deaf", "asynchronous scan_message busy_for_ever"])
def test_a_message_that_hangs_is_held_when_it_comes_for_the_third_time(
    gateway: Callable[..., Gateway], hop: Hop, order: str
) -> None:
    up = gateway(hop, files=FILES, plugins=PLUGINS, scan={"deadline_s": 1})
    to = "deaf@house.example"
    assert [send((up, hop), order, to).code for _ in range(2)] == [451, 451]
    assert not up.queue()
    message_id = send((up, hop), order, to).id
    deaths = up.log("worker_died")
    assert len(deaths) == 3
    assert {f"{event['plugin']} {event['hook']}" for event in deaths} == {order.rpartition(" ")[0]}
    assert {event["reason"].split(":")[0] for event in deaths} == {"deadline"}
    assert up.logged("suspect", id=message_id)["crashes"] == 3
    assert [line["queue"] for line in up.queue()] == ["hold"]
    fares_well((up, hop), "reader@house.example")
    assert not hop.to(to)


def test_other_mail_flows_while_messages_kill_and_hang(gateway: Callable[..., Gateway], hop: Hop) -> None:
    """One scan process at work, a hanging message in it: it steps aside, and what follows is not late."""
    scan = {"workers": 1, "sessions": 6, "deadline_s": 60, "slow_after_s": 0.2, "memory_bytes": "400 MB"}
    up = gateway(hop, files=FILES, plugins=PLUGINS, scan=scan)
    hanging = [up.client() for _ in range(3)]
    for number, client in enumerate(hanging):
        assert client.envelope(f"loop{number}@house.example").code == 250
        assert client.say("DATA").code == 354
        client.write(plain(subject="kill by loop in C") + b".\r\n")
    deadly: list[Reply] = []
    killers = [
        threading.Thread(target=partial(_kill, up, way, deadly)) for way in ("exit", "segfault", "memory", "abort")
    ]
    for killer in killers:
        killer.start()
    ordinary = [up.send(plain(f"number {n}\r\n".encode()), f"r{n}@house.example") for n in range(40)]
    for killer in killers:
        killer.join()
    assert {reply.code for reply in ordinary} == {250}
    ids = {reply.id for reply in deadly}
    assert len(ids) == 4
    assert {event["id"] for event in up.log("worker_died")} == ids
    assert {event["id"] for event in up.log("suspect")} == ids
    assert all(line["scan_ms"] < 30_000 for line in up.log("judged"))
    for n in range(40):
        hop.wait_for(f"r{n}@house.example")
    for client in hanging:
        client.abort()


def _kill(up: Gateway, way: str, replies: list[Reply]) -> None:
    replies.append(up.send(plain(subject=f"kill by {way}")))


def test_messages_of_others_wait_for_a_new_scan_process(gateway: Callable[..., Gateway], hop: Hop) -> None:
    up = gateway(hop, files=FILES, plugins=PLUGINS)
    with up.client() as first, up.client() as second:
        for client, way in ((first, "exit"), (second, "nothing")):
            assert client.envelope(f"{way}@house.example").code == 250
            assert client.say("DATA").code == 354
            client.write(plain(subject=f"kill by {way}") + b".\r\n")
        assert first.read().code == 250
        assert second.read().code == 250
    assert hop.wait_for("nothing@house.example")
    assert not hop.to("exit@house.example")


def test_a_template_process_that_dies_is_replaced_and_no_message_blamed(
    gateway: Callable[..., Gateway], hop: Hop
) -> None:
    up = gateway(hop, files=FILES, plugins=PLUGINS, scan={"workers": 2})
    for number in range(3):
        (template,) = up.templates()
        os.kill(int(template), signal.SIGKILL)
        until(partial(_another, up, template), "a new template process", story=up.story)
        fares_well((up, hop), f"after{number}@house.example")
    assert not up.log("suspect")


def _another(up: Gateway, template: str) -> bool:
    return template not in up.templates() and len(up.scanners()) == 2
