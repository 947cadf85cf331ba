"""Accepted first and judged from the queue, and delivery as a proxy: with the real program, killed for real."""

from __future__ import annotations

from pathlib import Path

from harness.gateway import running
from harness.hop import open_hop
from harness.mails import CLEAN
from harness.wait import until

STAYS = """
import pathlib, time
from mailward import Plugin, hookimpl

HERE = pathlib.Path(__file__)


class Stays(Plugin):
    timeout_s = 50

    @hookimpl
    def scan_part(self, part, scan):
        if scan.message.subject == "stay":
            HERE.with_name("begun").touch()
            while True:
                time.sleep(0.05)
"""
BIG = CLEAN + b"y" * 70_000 + b"\r\n"


def test_sav_q_04_killed_three_times_with_a_message_in_the_scan_it_goes_to_hold(tmp_path: Path) -> None:
    stay = CLEAN.replace(b"Subject: ", b"Subject: stay\r\nX-Subject: ", 1)
    others = [f"user{number}@example.org" for number in range(4)]
    with open_hop() as hop:
        settings = {
            "plugins": ["relay", "./stays.py"],
            "gateway": {"scan": "queued"},
            "relay": {"default": hop.route},
        }
        with running(tmp_path / "gate", settings, {"stays.py": STAYS}) as gateway:
            accepted = gateway.send(stay, "nobody@example.org")
            assert accepted.code == 250
            begun = gateway.folder / "begun"
            for times in range(3):
                until(begun.exists, "the scan to begin", 60, gateway.story)
                if not times:
                    for number, other in enumerate(others):
                        assert gateway.send(BIG if number % 2 else CLEAN, other).code == 250
                gateway.kill()
                begun.unlink()
                gateway.restart()
            held = until(lambda: gateway.stored("hold"), "the message to be held", 60, gateway.story)
            assert [file.name for file in held] == [accepted.id]
            for number, other in enumerate(others):
                assert hop.wait_for(other).body == (BIG if number % 2 else CLEAN)
            until(lambda: not gateway.stored("incoming", "fast", "slow", "tmp"), "the rest to go", 60, gateway.story)
            assert hop.to("nobody@example.org") == []
            assert gateway.logged("suspect", id=accepted.id)["crashes"] == 3


def test_as_a_proxy_the_next_hop_has_the_message_before_the_reply(tmp_path: Path) -> None:
    with open_hop() as hop:
        settings = {
            "plugins": ["relay"],
            "gateway": {"delivery": "proxy"},
            "relay": {"default": hop.route},
        }
        with running(tmp_path / "gate", settings) as gateway:
            assert gateway.send(CLEAN, "bob@example.org").code == 250
            assert [letter.body for letter in hop.to("bob@example.org")] == [CLEAN]
            assert gateway.stored() == []
