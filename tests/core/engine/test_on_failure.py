"""What a failure means (on_failure), who is blamed for it, and shadow mode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mailward import (
    Copy,
    Decision,
    Defer,
    Deliver,
    Engine,
    Envelope,
    Event,
    Finding,
    Hold,
    Kind,
    Plugin,
    PluginFailed,
    Reject,
    hookimpl,
)

Build = Callable[..., Engine]


def judged(built: Engine) -> Copy:
    return asyncio.run(built.judge(Envelope(id="m1"), b"Subject: x\r\n\r\nhello\r\n")).copies[0]


class Raises(Plugin):
    @hookimpl
    def scan_message(self) -> Finding:
        raise RuntimeError("broken")


class Plain(Plugin):
    @hookimpl
    def scan_message(self) -> Finding:
        return self.finding("seen", action=Hold())


@pytest.mark.parametrize(
    ("toml", "kind", "action"),
    [
        ("", Kind.FAILURE, Defer()),
        ("on_failure = 'defer'", Kind.FAILURE, Defer()),
        ("on_failure = 'unchecked'", Kind.UNCHECKED, Hold()),
        ("on_failure = 'ignore'", Kind.NOTE, Deliver()),
        ("shadow = true", Kind.FAILURE, Deliver()),
    ],
)
def test_on_failure_says_what_a_failure_means(engine: Build, toml: str, kind: Kind, action: object) -> None:
    copy = judged(engine({"mine": Raises}, f"[mine]\n{toml}"))
    (finding,) = copy.findings
    assert (finding.plugin, finding.rule, finding.kind, finding.name) == ("mine", "failure", kind, "raised")
    assert "scan_message raised: RuntimeError: broken" in finding.detail
    assert copy.action == action


def test_unchecked_is_decided_on_by_the_policy(engine: Build) -> None:
    copy = judged(engine({"mine": Raises}, "[mine]\non_failure = 'unchecked'\n[disposition]\nunchecked = 'reject'"))
    assert copy.action == Reject()


def test_a_failure_is_an_event(engine: Build) -> None:
    built = engine({"mine": Raises})
    seen: list[Event] = []
    built.listen(seen.append)
    judged(built)
    (event,) = seen
    assert isinstance(event, PluginFailed)
    assert (event.call.plugin, event.applied, event.message_id) == ("mine", "defer", "m1")


def test_the_other_plugins_are_asked_all_the_same(engine: Build) -> None:
    copy = judged(engine({"bad": Raises, "good": Plain}, "[bad]\non_failure = 'ignore'"))
    assert [finding.plugin for finding in copy.findings] == ["bad", "good"]
    assert copy.action == Hold()


def test_a_plugin_cannot_speak_for_another_one(engine: Build) -> None:
    class Mine(Plugin):
        @hookimpl
        def scan_message(self) -> Finding:
            return Finding(Kind.INFECTED, "antivirus", "virus", elapsed_ms=-1.0)

    copy = judged(engine({"mine": Mine}))
    (finding,) = copy.findings
    assert finding.plugin == "mine"
    assert finding.elapsed_ms > 0


def test_shadow_records_and_applies_nothing(engine: Build) -> None:
    class Mine(Plugin):
        @hookimpl
        def scan_message(self) -> Finding:
            return self.finding("seen", action=Reject())

        @hookimpl
        def disposition(self, findings: tuple[Finding, ...]) -> Decision:
            return Decision(Hold(), reason="would hold")

    copy = judged(engine({"mine": Mine}, "[mine]\nshadow = true"))
    assert copy.action == Deliver()
    assert copy.clean
    assert [(f.rule, f.shadow) for f in copy.findings] == [("seen", True)]
    assert [(str(d.action), d.plugin, d.shadow) for d in copy.moot] == [
        ("reject", "mine", True),
        ("hold", "mine", True),
    ]
