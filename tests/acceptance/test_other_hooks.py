"""Failures in the hooks that decide nothing about a message: it waits, or goes on, and is never lost."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.config import merged, toml
from harness.gateway import BASE, PROGRAM, Gateway
from harness.hop import Hop
from harness.mails import CLEAN, TEXT, attachment, parts, zipped
from harness.wait import until

Start = Callable[..., Gateway]
HERE = "HERE = __import__('pathlib').Path(__file__)\n"
IMPORTS = "from mailward import Plugin, hookimpl\n" + HERE


def plugin(*hooks: str, body: str = "raise RuntimeError('inner life')") -> str:
    """A plugin whose hooks all do the same, as long as a file ``order`` is there."""
    lines = [IMPORTS, "class House(Plugin):"]
    for hook in hooks:
        lines += [
            "    @hookimpl",
            f"    def {hook}:",
            "        if HERE.with_name('order').exists():",
            f"            {body}",
        ]
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("hook", ["route(self, recipient, message)", "deliver(self, delivery)"])
@pytest.mark.parametrize("body", ["raise RuntimeError('inner life')", "return ['somewhere']"])
def test_mail_waits_while_routing_or_delivery_fails(gateway: Start, hop: Hop, hook: str, body: str) -> None:
    up = gateway(hop, plugins=["./house.py", "relay"], files={"house.py": plugin(hook, body=body), "order": ""})
    reply = up.send(CLEAN, "reader@house.example")
    assert reply.code == 250
    event = up.logged("plugin_failed")
    assert (event["plugin"], event["hook"]) == ("house", hook.partition("(")[0])
    assert event["failure"] == ("raised" if body.startswith("raise") else "type")
    up.logged("queued", id=reply.id, queue="slow")
    assert not hop.arrived
    (up.folder / "order").unlink()
    assert hop.wait_for("reader@house.example").body == CLEAN
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)


def test_a_failing_observer_changes_nothing(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, plugins=["relay", "./house.py"], files={"house.py": plugin("event(self, event)"), "order": ""})
    for number in range(3):
        assert up.send(CLEAN, f"{number}@house.example").code == 250
        assert hop.wait_for(f"{number}@house.example").body == CLEAN
    assert up.logged("observer failed")["plugin"] == "house"
    assert up.stop() == 0


def test_a_slow_observer_keeps_no_mail(gateway: Start, hop: Hop) -> None:
    slow = plugin("event(self, event)", body="__import__('time').sleep(5)")
    up = gateway(hop, plugins=["relay", "./house.py"], files={"house.py": slow, "order": ""})
    for number in range(5):
        assert up.send(CLEAN, f"{number}@house.example").code == 250
    for number in range(5):
        assert hop.wait_for(f"{number}@house.example").body == CLEAN


def test_a_failure_to_say_whether_a_recipient_is_local_counts_as_not_known(gateway: Start, hop: Hop) -> None:
    text = plugin("locality(self, recipient)")
    up = gateway(hop, plugins=["./house.py", "relay"], files={"house.py": text, "order": ""})
    assert up.send(CLEAN, "reader@house.example").code == 250
    assert up.logged("plugin_failed")["hook"] == "locality"
    assert hop.wait_for("reader@house.example").body == CLEAN


def test_a_failure_to_open_a_container_defers_the_mail(gateway: Start, hop: Hop) -> None:
    text = plugin("unpack(self, part, scan)")
    up = gateway(hop, plugins=["relay", "./house.py"], files={"house.py": text, "order": ""})
    message = parts(TEXT, attachment(zipped(b"x"), "x.zip"))
    assert up.send(message, "reader@house.example").code == 451
    event = up.logged("plugin_failed")
    assert (event["plugin"], event["hook"], event["applied"]) == ("house", "unpack", "defer")
    (up.folder / "order").unlink()
    assert up.send(message, "reader@house.example").code == 250
    assert hop.wait_for("reader@house.example").body == message
    assert len(hop.arrived) == 1


BROKEN = {
    "a hook that does not exist": (plugin("scan_parts(self, part, scan)"), "scan_parts", "scan_part"),
    "a parameter that the hook does not have": (plugin("scan_part(self, part, sender)"), "sender", "part, scan"),
    "a start that fails": (plugin("start(self)").replace("if HERE", "if 1 or HERE"), "house", "inner life"),
    "a syntax error": ("class House(:\n", "house.py", "syntax"),
    "no plugin": ("x = 1\n", "house.py", "Plugin"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_plugin_that_cannot_work_keeps_the_program_from_starting(tmp_path: Path, name: str) -> None:
    text, *words = BROKEN[name]
    (tmp_path / "house.py").write_text(text)
    config = tmp_path / "mailward.toml"
    config.write_text(toml(merged(BASE, {"plugins": ["relay", "./house.py"]})))
    ended = subprocess.run(
        [*PROGRAM, "serve", "-c", str(config)], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    said = " ".join(ended.stderr.split())
    for word in words:
        assert word.lower() in said.lower(), said
    assert "Traceback" not in said
    assert "ready" not in said
