"""A real clamd beside the gateway: while it is away mail is unchecked, never clean."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from harness.gateway import Gateway
from harness.hop import Hop
from harness.mails import CLEAN, VIRUS, attachment, parts
from harness.servers import Clamd, open_clamd

Start = Callable[..., Gateway]


@pytest.fixture
def clamd(require: Callable[..., None]) -> Iterator[Clamd]:
    require("clamd")
    with open_clamd() as opened:
        yield opened


def by_clamd(clamd: Clamd, **more: object) -> dict[str, object]:
    """Settings that leave the finding to clamd alone."""
    return {"eicar": False, "clamd": [f"unix:{clamd.socket}"], "clamd_timeout_s": 1, "on_infected": ["reject"], **more}


def test_clamd_finds_what_it_knows(gateway: Start, hop: Hop, clamd: Clamd) -> None:
    up = gateway(hop, antivirus=by_clamd(clamd))
    assert up.send(VIRUS).code == 550
    line = up.logged("judged", verdict="reject")
    assert (line["plugin"], line["rule"]) == ("antivirus", "clamd")
    assert "Probe.Test" in line["reason"]
    assert up.send(CLEAN, "reader@house.example").code == 250
    assert hop.wait_for("reader@house.example").body == CLEAN


def test_while_clamd_is_down_mail_is_deferred_and_afterwards_checked_again(
    gateway: Start, hop: Hop, clamd: Clamd
) -> None:
    up = gateway(hop, antivirus=by_clamd(clamd))
    assert up.send(CLEAN, "before@house.example").code == 250
    clamd.stop()
    for message in (CLEAN, VIRUS):
        reply = up.send(message, "meanwhile@house.example")
        assert reply.code == 451
        assert "clamd" not in reply.text.lower()
    line = up.logged("judged", verdict="defer")
    assert line["plugin"] == "antivirus"
    assert any(finding.startswith("antivirus.clamd") for finding in line["findings"])
    clamd.start()
    assert up.send(CLEAN, "after@house.example").code == 250
    assert up.send(VIRUS, "after@house.example").code == 550
    assert hop.wait_for("before@house.example").body == CLEAN
    assert hop.wait_for("after@house.example").body == CLEAN
    assert not hop.to("meanwhile@house.example")


def test_what_clamd_could_not_check_can_be_held_instead(gateway: Start, hop: Hop, clamd: Clamd) -> None:
    up = gateway(hop, antivirus=by_clamd(clamd, on_unavailable="hold"))
    clamd.stop()
    reply = up.send(CLEAN, "reader@house.example")
    assert reply.code == 250
    assert up.logged("judged", id=reply.id)["verdict"] == "hold"
    assert up.logged("queued", id=reply.id)["queue"] == "hold"
    assert not hop.arrived


def test_a_clamd_that_hangs_counts_as_down(gateway: Start, hop: Hop, clamd: Clamd) -> None:
    up = gateway(hop, antivirus=by_clamd(clamd))
    os.kill(clamd.pid, signal.SIGSTOP)
    try:
        assert up.send(CLEAN, "meanwhile@house.example").code in (250, 451)
        assert up.logged("judged")["verdict"] != "deliver"
    finally:
        os.kill(clamd.pid, signal.SIGCONT)
    assert up.send(CLEAN, "after@house.example").code == 250
    assert hop.wait_for("after@house.example").body == CLEAN
    assert not hop.to("meanwhile@house.example")


def test_what_is_too_large_for_clamd_is_unchecked(gateway: Start, hop: Hop, clamd: Clamd) -> None:
    up = gateway(hop, antivirus=by_clamd(clamd))
    reply = up.send(parts(attachment(b"x" * 11_000_000, "large.dat")), "reader@house.example")
    assert reply.code == 250
    line = up.logged("judged", id=reply.id)
    assert (line["verdict"], line["plugin"], line["rule"]) == ("hold", "antivirus", "clamd")
    assert not hop.arrived
