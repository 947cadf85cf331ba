"""Short of disk, memory or descriptors, mail is answered 4xx, and the shortage is told once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.client import Client
from harness.gateway import Gateway
from harness.hop import Hop
from harness.mails import CLEAN
from harness.wait import until

Start = Callable[..., Gateway]


def test_short_of_memory_mail_gets_452_and_a_client_may_stay(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, health={"interval_s": 0.1, "memory_low_percent": 100, "memory_stop_percent": 100})
    low = up.logged("resource_low", resource="memory")
    assert low["refusing"] is True
    with up.client() as client:
        until(lambda: client.say("MAIL FROM:<a@sender.example>").code == 452, "mail to be refused", story=up.story)
        assert client.say("NOOP").code == 250
    assert len(up.log("resource_low", resource="memory")) == 1


def test_low_is_told_and_mail_flows_on(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, health={"interval_s": 0.1, "disk_low_percent": 100, "disk_stop_percent": 0})
    places = {up.logged("resource_low", 3, resource="disk")["place"].partition(":")[0]}
    places |= {line["place"].partition(":")[0] for line in up.log("resource_low", resource="disk")}
    assert places == {"mail queuing", "scan", "logging"}
    assert not any(line["refusing"] for line in up.log("resource_low"))
    assert up.send(CLEAN, "reader@house.example").code == 250


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200m,mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root to mount a small file system")
    return folder


def fill(folder: Path, free_percent: int) -> None:
    """Fill a file system so that this much is left."""
    filler = folder / "filler"
    filler.unlink(missing_ok=True)
    found = os.statvfs(folder)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (found.f_bavail - found.f_blocks * free_percent // 100) * found.f_frsize)


def test_a_disk_that_fills_up_is_told_refused_and_accepted_again(gateway: Start, hop: Hop, small_disk: Path) -> None:
    try:
        # the default levels: others might be those of the machine's own disk
        up = gateway(hop, health={"interval_s": 0.1}, spool={"path": str(small_disk)})
        assert up.send(CLEAN, "before@house.example").code == 250
        hop.wait_for("before@house.example")
        fill(small_disk, 6)
        assert up.logged("resource_low", resource="disk")["refusing"] is False
        fill(small_disk, 1)
        until(lambda: up.log("resource_low", refusing=True), "the shortage to be told", story=up.story)
        until(lambda: up.send(CLEAN, "short@house.example").code == 452, "mail to be refused", story=up.story)
        fill(small_disk, 50)
        up.logged("resource_recovered", resource="disk")
        until(lambda: up.send(CLEAN, "after@house.example").code == 250, "mail to flow", story=up.story)
        hop.wait_for("after@house.example")
        assert up.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(small_disk)], check=True)


def test_short_of_descriptors_clients_get_421(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, health={"files_low_percent": 100, "files_stop_percent": 100})
    up.logged("resource_low", resource="descriptors", refusing=True)

    def code() -> int:
        with Client(up.port) as client:
            return client.read().code

    until(lambda: code() == 421, "clients to be refused", story=up.story)
