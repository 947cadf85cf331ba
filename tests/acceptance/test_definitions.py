"""Definitions loaded while the gateway runs, and what a scan process keeps: answers, copies, items, events."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from harness.gateway import Gateway
from harness.hop import Hop
from harness.mails import VIRUS, attachment, parts

Start = Callable[..., Gateway]
NEEDLE = parts(attachment(b"hay and a needle and hay", name="hay.bin"))


def definitions(folder: Path, word: str) -> Path:
    folder.mkdir()
    (folder / "own.ndb").write_text(f"Own.{word}:0:*:{word.encode().hex()}\n")
    return folder


def until(up: Gateway, message: bytes, code: int) -> None:
    """Send until the gateway answers so: another set is taken over within seconds."""
    deadline = time.monotonic() + 60
    while up.send(message).code != code:
        assert time.monotonic() < deadline, up.story()
        time.sleep(0.3)


def test_a_set_comes_into_use_while_the_gateway_runs_and_goes_again(gateway: Start, hop: Hop, tmp_path: Path) -> None:
    up = gateway(hop, antivirus={"on_infected": ["reject"], "heuristics": "off"})
    assert up.send(NEEDLE).code == 250
    config = ("-c", str(up.config))
    done = up.run("definitions", "load", str(definitions(tmp_path / "one", "needle")), *config)
    assert done.returncode == 0, done.stderr
    until(up, NEEDLE, 550)
    line = up.logged("judged", verdict="reject")
    assert (line["plugin"], line["rule"]) == ("antivirus", "signatures")
    assert up.run("definitions", "load", str(definitions(tmp_path / "two", "thread")), *config).returncode == 0
    until(up, NEEDLE, 250)
    assert up.run("definitions", "rollback", *config).returncode == 0
    until(up, NEEDLE, 550)


def test_copies_items_and_outbreaks_of_scan_processes(gateway: Start, hop: Hop, tmp_path: Path) -> None:
    central = tmp_path / "central"
    central.mkdir()
    up = gateway(
        hop,
        antivirus={
            "keep_copies": ["all"],
            "quarantine_path": str(tmp_path / "kept"),
            "central": "all",
            "central_to": str(central),
            "outbreak_recipients": ["duty@house.example"],
            "outbreak_messages": 3,
        },
    )
    for _ in range(4):
        assert up.send(VIRUS).code == 250
    copies = sorted((tmp_path / "kept").glob("*.eml"))
    assert len(copies) == 4
    assert all(path.read_bytes() == VIRUS for path in copies)
    assert json.loads(copies[0].with_suffix(".json").read_text())["statuses"] == ["infected"]
    deadline = time.monotonic() + 60
    while len(list(central.glob("*.json"))) < 4:
        assert time.monotonic() < deadline, up.story()
        time.sleep(0.2)
    assert any("outbreak" in json.dumps(line) for line in up.log())
