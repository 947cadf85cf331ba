"""A plugin that takes its scan process with it: 451, an event that names it, and the next message fares well."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from harness.faulty import IN_SCAN, faulty_async_plugin, faulty_plugin
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN
from harness.wait import until

House = tuple[Gateway, Hop]
DEATHS = ("die", "segfault")
NOBODY = "nobody nothing nowhere"
PLUGINS = ["relay", "./faulty.py", "./asynchronous.py"]
FILES = {"faulty.py": faulty_plugin(), "asynchronous.py": faulty_async_plugin(), "order": NOBODY}


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


def send(house: House, order: str, to: str) -> int:
    """Send a message while the plugin has this order; the code of the reply."""
    gateway, _ = house
    (gateway.folder / "order").write_text(order)
    try:
        reply = gateway.send(CLEAN, to)
    finally:
        (gateway.folder / "order").write_text(NOBODY)
    assert "faulty" not in reply.text
    return reply.code


def fares_well(house: House, to: str) -> None:
    gateway, hop = house
    assert gateway.send(CLEAN, to).code == 250
    assert hop.wait_for(to).body == CLEAN


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("hook", IN_SCAN)
def test_a_plugin_that_ends_the_scan_process_is_named(house: House, hook: str, death: str) -> None:
    gateway, hop = house
    before = len(gateway.log("worker_died"))
    to = f"{death}-{hook}@house.example"
    assert send(house, f"faulty {hook} {death}", to) == 451
    event = gateway.logged("worker_died", before + 1)
    assert (event["plugin"], event["hook"]) == ("faulty", hook)
    assert event["reason"].startswith("died")
    assert event["id"]
    fares_well(house, f"after-{to}")
    assert not hop.to(to)


@pytest.mark.parametrize("hook", IN_SCAN)
def test_a_plugin_that_eats_all_memory_is_named(house: House, hook: str) -> None:
    gateway, hop = house
    before = len(gateway.log("worker_died") + gateway.log("plugin_failed"))
    to = f"memory-{hook}@house.example"
    assert send(house, f"faulty {hook} memory", to) == 451
    events = gateway.log("worker_died") + gateway.log("plugin_failed")
    assert len(events) > before
    assert ("faulty", hook) in [(event["plugin"], event["hook"]) for event in events]
    fares_well(house, f"after-{to}")
    assert not hop.to(to)


@pytest.mark.parametrize("order", ["faulty scan_part deaf", "asynchronous scan_message busy_for_ever"])
def test_a_plugin_that_cannot_be_interrupted_is_ended_with_its_process(
    gateway: Callable[..., Gateway], hop: Hop, order: str
) -> None:
    up = gateway(hop, files=FILES, plugins=PLUGINS, scan={"deadline_s": 1})
    assert send((up, hop), order, "deaf@house.example") == 451
    event = up.logged("worker_died")
    assert event["reason"].startswith("deadline")
    assert f"{event['plugin']} {event['hook']}" == order.rpartition(" ")[0]
    # the new process needs a moment, and the deadline is short: a client tries again
    until(lambda: up.send(CLEAN, "reader@house.example").code == 250, "a scan process", story=up.story)
    assert hop.wait_for("reader@house.example").body == CLEAN
    assert not hop.to("deaf@house.example")


def test_messages_of_others_wait_for_a_new_scan_process(gateway: Callable[..., Gateway], hop: Hop) -> None:
    files = {"faulty.py": faulty_plugin(), "order": "faulty scan_part die"}
    up = gateway(hop, plugins=["relay", "./faulty.py"], files=files)
    with up.client() as first, up.client() as second:
        for client in (first, second):
            assert client.envelope("reader@house.example").code == 250
            assert client.say("DATA").code == 354
        first.write(CLEAN + b".\r\n")
        assert first.read().code == 451
        (up.folder / "order").write_text(NOBODY)
        second.write(CLEAN + b".\r\n")
        assert second.read().code == 250
    assert hop.wait_for("reader@house.example").body == CLEAN
