"""An in-house plugin that fails: the mail fares as its on_failure says, and the event names the plugin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import frozen
from harness.client import Reply
from harness.faulty import HOOKS, IN_SCAN, SECRET, faulty_async_plugin, faulty_plugin
from harness.gateway import Gateway, Line, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN
from harness.wait import until

EFFECTS = {"defers": "defer", "unchecks": "unchecked", "ignores": "ignore", "asynchronous": "defer", "shadows": "defer"}
FAILURES = {
    "raise": "raised",
    "exit": "raised",
    "sleep": "deadline",
    "busy": "deadline",
    "nonsense": "type",
    "number": "type",
    "mixture": "type",
}


@frozen
class House:
    """A gateway with one copy of the faulty plugin for each on_failure."""

    gateway: Gateway
    hop: Hop

    def order(self, *words: str) -> None:
        """Tell which plugin is to do what in which hook."""
        (self.gateway.folder / "order").write_text(" ".join(words))

    def talk(self, to: str) -> tuple[str, Reply]:
        """Send a message: the hook whose command was refused (or ``end``), and the reply."""
        with self.gateway.client(greet=False) as client:
            reply = client.read()
            if reply.code != 220:
                assert client.hung_up
                return "connect", reply
            steps = (
                ("helo", "EHLO client.example"),
                ("mail_from", "MAIL FROM:<author@sender.example>"),
                ("rcpt_to", f"RCPT TO:<{to}>"),
            )
            for hook, line in steps:
                reply = client.say(line)
                if reply.code != 250:
                    assert client.say("NOOP").code == 250
                    return hook, reply
            reply = client.content(CLEAN)
            assert client.say("NOOP").code == 250
            return "end", reply

    def failed(self, count: int) -> Line:
        """The newest plugin_failed event, when there are more than ``count``."""
        return self.gateway.logged("plugin_failed", count + 1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    files = {f"{name}.py": faulty_plugin() for name in EFFECTS} | {"order": "nobody nothing nowhere"}
    files["asynchronous.py"] = faulty_async_plugin()
    sections = {name: {"on_failure": effect, "shadow": name == "shadows"} for name, effect in EFFECTS.items()}
    with open_hop() as hop:
        settings = {"plugins": ["relay", *(f"./{name}.py" for name in EFFECTS)], "relay": {"default": hop.route}}
        with running(tmp_path_factory.mktemp("faults"), {**settings, **sections}, files) as gateway:
            yield House(gateway, hop)


def refusal_of(hook: str) -> tuple[str, int]:
    """Where and with what a failure in this hook is answered."""
    if hook == "connect":
        return "connect", 421
    return (hook if hook in ("helo", "mail_from", "rcpt_to") else "end"), 451


def check(house: House, plugin: str, hook: str, fault: str) -> tuple[str, Reply, Line, str]:
    """Have a plugin fail, and see that the event is as it must be."""
    to = f"{plugin}-{hook}-{fault}@house.example"
    before = len(house.gateway.log("plugin_failed"))
    house.order(plugin, hook, fault)
    try:
        where, reply = house.talk(to)
    finally:
        house.order("nobody", "nothing", "nowhere")
    event = house.failed(before)
    assert (event["plugin"], event["hook"], event["failure"]) == (plugin, hook, FAILURES[fault])
    assert event["elapsed_ms"] >= (200 if FAILURES[fault] == "deadline" else 0)
    assert SECRET not in reply.text
    assert "Error" not in reply.text
    assert "deadline" not in reply.text
    return where, reply, event, to


@pytest.mark.parametrize("fault", FAILURES)
@pytest.mark.parametrize("hook", HOOKS)
def test_a_failure_defers_the_mail(house: House, hook: str, fault: str) -> None:
    where, reply, event, to = check(house, "defers", hook, fault)
    assert (where, reply.code) == refusal_of(hook)
    assert event["applied"] == "defer"
    assert not house.hop.to(to)
    until(lambda: not house.gateway.stored("fast", "slow", "tmp"), "nothing to be kept")


@pytest.mark.parametrize("fault", ["raise", "sleep", "busy", "nonsense"])
@pytest.mark.parametrize("hook", HOOKS)
def test_a_failure_of_an_async_plugin_defers_the_mail(house: House, hook: str, fault: str) -> None:
    where, reply, _, to = check(house, "asynchronous", hook, fault)
    assert (where, reply.code) == refusal_of(hook)
    assert not house.hop.to(to)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_failure_leaves_the_mail_unchecked_where_the_plugin_says_so(house: House, hook: str) -> None:
    where, reply, event, to = check(house, "unchecks", hook, "raise")
    assert (where, reply.code) == ("end", 250)
    assert event["applied"] == "unchecked"
    line = house.gateway.logged("judged", id=reply.id)
    assert (line["verdict"], line["plugin"], line["rule"]) == ("hold", "unchecks", "failure")
    assert any(finding.startswith("unchecks.failure(raised)") for finding in line["findings"])
    assert not house.hop.to(to)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_failure_is_ignored_where_the_plugin_says_so(house: House, hook: str) -> None:
    where, reply, event, to = check(house, "ignores", hook, "raise")
    assert (where, reply.code) == ("end", 250)
    assert event["applied"] == "ignore"
    assert house.hop.wait_for(to).body == CLEAN
    line = house.gateway.logged("judged", id=reply.id)
    assert any(finding.startswith("ignores.failure(raised)") for finding in line["findings"])


@pytest.mark.parametrize("hook", HOOKS)
def test_a_failure_in_shadow_mode_changes_nothing(house: House, hook: str) -> None:
    where, reply, event, to = check(house, "shadows", hook, "raise")
    assert (where, reply.code) == ("end", 250)
    assert "shadow" in event["applied"]
    assert house.hop.wait_for(to).body == CLEAN
    line = house.gateway.logged("judged", id=reply.id)
    assert any(finding.startswith("shadows.failure(raised)") and "[shadow]" in finding for finding in line["findings"])


@pytest.mark.parametrize("hook", HOOKS)
def test_decisions_in_shadow_mode_are_recorded_and_not_applied(house: House, hook: str) -> None:
    to = f"decided-{hook}@house.example"
    house.order("shadows", hook, "decide")
    where, reply = house.talk(to)
    house.order("nobody", "nothing", "nowhere")
    assert (where, reply.code) == ("end", 250)
    assert house.hop.wait_for(to).body == CLEAN
    line = house.gateway.logged("judged", id=reply.id)
    assert line["verdict"] == "deliver"
    if hook == "disposition":
        assert line["would_have"] == ["shadows drop house rule"]
    else:
        assert any(one.startswith("shadows.") and one.endswith("[shadow]") for one in line["findings"])


@pytest.mark.parametrize("hook", HOOKS)
def test_the_same_decisions_are_applied_without_shadow_mode(house: House, hook: str) -> None:
    to = f"applied-{hook}@house.example"
    house.order("defers", hook, "decide")
    where, reply = house.talk(to)
    house.order("nobody", "nothing", "nowhere")
    if hook == "disposition":
        assert (where, reply.code) == ("end", 250)
        assert house.gateway.logged("judged", id=reply.id)["verdict"] == "drop"
    else:
        assert (where, reply.code) == (refusal_of(hook)[0], 550)
        assert reply.text == "5.7.1 No"
    if hook not in IN_SCAN:
        refused = house.gateway.logged("refused", stage=hook, plugin="defers", reply="550 5.7.1 No")
        assert refused["client"] == "127.0.0.1"
    assert not house.hop.to(to)


def test_after_all_these_failures_mail_flows(house: House) -> None:
    where, reply = house.talk("last@house.example")
    assert (where, reply.code) == ("end", 250)
    assert house.hop.wait_for("last@house.example").body == CLEAN
