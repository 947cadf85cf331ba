"""The gateway's hooks: refusals in configuration order, findings that travel, first answers, faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mailward import (
    Address,
    Delivery,
    DnsFault,
    Engine,
    Envelope,
    Event,
    Finding,
    Kind,
    MessageInfo,
    NextHop,
    NoRoute,
    Plugin,
    PluginFailed,
    PluginFault,
    Recipient,
    Reply,
    Result,
    Sender,
    Session,
    Status,
    hookimpl,
)
from mailward.engine.gate import Gate, Ruling

Build = Callable[..., Engine]
SESSION = Session("s1", "192.0.2.1")
SENDER = Sender(Address.parse("alice@example.com"))
BOB = Recipient(Address.parse("bob@example.org"))
EVE = Recipient(Address.parse("eve@example.org"))
INFO = MessageInfo("m1", Envelope(SESSION, SENDER, (BOB, EVE)), 10)
HOP = NextHop("smtp", "mx.example", 25)
Stage = Callable[[Gate], Any]
STAGES: dict[str, Stage] = {
    "connect": lambda gate: gate.connect(SESSION),
    "helo": lambda gate: gate.helo(SESSION, "client.example"),
    "mail_from": lambda gate: gate.mail_from(SESSION, SENDER),
    "rcpt_to": lambda gate: gate.rcpt_to(SESSION, SENDER, BOB),
    "data": lambda gate: gate.data(SESSION, INFO),
}


def answering(answer: Any) -> type[Plugin]:
    """A plugin whose every deciding hook gives, or raises, the same answer."""

    def give(plugin: Plugin) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer(plugin) if callable(answer) else answer

    class Mine(Plugin):
        @hookimpl
        def connect(self) -> Any:
            return give(self)

        @hookimpl
        async def helo(self) -> Any:
            return give(self)

        @hookimpl(quick=True)
        def mail_from(self) -> Any:
            return give(self)

        @hookimpl
        def rcpt_to(self) -> Any:
            return give(self)

        @hookimpl
        def data(self) -> Any:
            return give(self)

    return Mine


def ruled(built: Engine, stage: str) -> tuple[Ruling, list[Event]]:
    events: list[Event] = []
    built.listen(events.append)
    return asyncio.run(STAGES[stage](built.gate)), events


@pytest.mark.parametrize("stage", STAGES)
def test_the_first_refusal_in_configuration_order_wins(engine: Build, stage: str) -> None:
    asked: list[str] = []

    def second(plugin: Plugin) -> Reply:
        asked.append(plugin.name)
        return Reply(554, "5.7.1", "second")

    plugins = {"mute": answering(None), "first": answering(Reply(450, "4.7.1", "first")), "second": answering(second)}
    ruling, _ = ruled(engine(plugins), stage)
    assert ruling.reply == Reply(450, "4.7.1", "first")
    assert (ruling.plugin, ruling.rule) == ("first", stage)
    assert asked == []


@pytest.mark.parametrize("stage", STAGES)
def test_findings_are_kept_and_attributed(engine: Build, stage: str) -> None:
    def find(plugin: Plugin) -> list[Finding]:
        return [plugin.finding("listed", kind=Kind.SPAM, score=2.0)]

    ruling, _ = ruled(engine({"one": answering(find), "two": answering(find)}), stage)
    assert ruling.reply is None
    assert [(finding.plugin, finding.rule, finding.score) for finding in ruling.findings] == [
        ("one", "listed", 2.0),
        ("two", "listed", 2.0),
    ]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("raised", [RuntimeError("broken"), DnsFault("no answer")])
def test_a_failure_defers(engine: Build, stage: str, raised: Exception) -> None:
    ruling, events = ruled(engine({"bad": answering(raised)}), stage)
    assert ruling.reply is not None
    assert (ruling.reply.code, ruling.plugin, ruling.rule) == (421 if stage == "connect" else 451, "bad", "failure")
    assert str(raised) not in ruling.reply.text
    (event,) = events
    assert isinstance(event, PluginFailed)
    assert (event.call.hook, event.call.failure, event.applied) == (stage, "raised", "defer")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("on_failure", "kind"), [("unchecked", Kind.UNCHECKED), ("ignore", Kind.NOTE)])
def test_a_failure_that_does_not_defer_is_a_finding(engine: Build, stage: str, on_failure: str, kind: Kind) -> None:
    ruling, _ = ruled(engine({"bad": answering(OSError())}, f"[bad]\non_failure = '{on_failure}'"), stage)
    assert ruling.reply is None
    assert [(finding.plugin, finding.kind) for finding in ruling.findings] == [("bad", kind)]


@pytest.mark.parametrize("stage", STAGES)
def test_a_shadow_plugin_refuses_nothing_and_is_recorded(engine: Build, stage: str) -> None:
    refusal = Reply(550, "5.7.1", "No")
    ruling, _ = ruled(engine({"mine": answering(refusal)}, "[mine]\nshadow = true"), stage)
    assert ruling.reply is None
    (finding,) = ruling.findings
    assert (finding.kind, finding.plugin, finding.name, finding.shadow) == (Kind.REFUSED, "mine", "550 5.7.1 No", True)


@pytest.mark.parametrize("stage", STAGES)
def test_a_shadow_plugin_that_fails_defers_nothing(engine: Build, stage: str) -> None:
    ruling, events = ruled(engine({"mine": answering(RuntimeError())}, "[mine]\nshadow = true"), stage)
    assert ruling.reply is None
    assert [finding.shadow for finding in ruling.findings] == [True]
    (event,) = events
    assert isinstance(event, PluginFailed)
    assert event.applied == "none (shadow)"


@pytest.mark.parametrize("stage", STAGES)
def test_a_reply_that_refuses_nothing_changes_nothing(engine: Build, stage: str) -> None:
    later = Reply(550, "5.7.1", "later")
    ruling, _ = ruled(engine({"kind": answering(Reply(250)), "later": answering(later)}), stage)
    assert ruling.reply == later


def test_recipients_are_judged_by_their_policy(engine: Build) -> None:
    class Mine(Plugin):
        @hookimpl
        def rcpt_to(self, recipient: Recipient) -> Reply:
            return Reply(550, "5.7.1", str(recipient.address))

    built = engine({"mine": Mine}, "[policy.p]\nrecipients = 'bob@*'\nmine.shadow = true")
    bob = asyncio.run(built.gate.rcpt_to(SESSION, SENDER, BOB))
    eve = asyncio.run(built.gate.rcpt_to(SESSION, SENDER, EVE))
    assert bob.reply is None
    assert eve.reply == Reply(550, "5.7.1", "eve@example.org")


def local(answer: Any) -> type[Plugin]:
    class Mine(Plugin):
        @hookimpl
        def locality(self) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

    return Mine


@pytest.mark.parametrize(
    ("answers", "toml", "expected"),
    [
        ([None, None], "", None),
        ([None, True, False], "", True),
        ([False, True], "", False),
        ([RuntimeError(), True], "", True),
        ([DnsFault("x"), None], "", None),
        (["yes", True], "", True),
        ([False, True], "[p0]\nshadow = true", True),
    ],
)
def test_the_first_that_knows_says_whether_a_recipient_is_local(
    engine: Build, answers: list[Any], toml: str, expected: bool | None
) -> None:
    built = engine({f"p{n}": local(answer) for n, answer in enumerate(answers)}, toml)
    assert asyncio.run(built.gate.locality(BOB)) is expected


def routing(answer: Any) -> type[Plugin]:
    class Mine(Plugin):
        @hookimpl
        async def route(self) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

    return Mine


NOWHERE = NoRoute(Reply(550, "5.1.10", "null MX"))


@pytest.mark.parametrize(
    ("answers", "toml", "expected"),
    [
        ([HOP], "", (HOP,)),
        ([None, [HOP, HOP]], "", (HOP, HOP)),
        ([NOWHERE, HOP], "[p0]\nshadow = true", (HOP,)),
        ([DnsFault("x"), HOP], "[p0]\nshadow = true", (HOP,)),
        ([RuntimeError(), HOP], "[p0]\nshadow = true", (HOP,)),
        ([NextHop("smtp", "other"), HOP], "[p0]\nshadow = true", (HOP,)),
    ],
)
def test_the_first_route_is_taken(engine: Build, answers: list[Any], toml: str, expected: tuple[NextHop, ...]) -> None:
    built = engine({f"p{n}": routing(answer) for n, answer in enumerate(answers)}, toml)
    assert asyncio.run(built.gate.route(BOB, INFO)) == expected


@pytest.mark.parametrize(
    ("answers", "raised"),
    [
        ([None], NoRoute),
        ([], NoRoute),
        ([NOWHERE, HOP], NoRoute),
        ([DnsFault("x"), HOP], DnsFault),
        ([RuntimeError(), HOP], PluginFault),
        (["smtp:x", HOP], PluginFault),
    ],
)
def test_a_route_that_is_not_known_is_no_guess(engine: Build, answers: list[Any], raised: type[Exception]) -> None:
    built = engine({f"p{n}": routing(answer) for n, answer in enumerate(answers)})
    with pytest.raises(raised):
        asyncio.run(built.gate.route(BOB, INFO))


def test_a_dns_fault_that_a_route_lets_rise_is_no_failure_of_the_plugin(engine: Build) -> None:
    built = engine({"mine": routing(DnsFault("x"))})
    events: list[Event] = []
    built.listen(events.append)
    with pytest.raises(DnsFault):
        asyncio.run(built.gate.route(BOB, INFO))
    assert events == []


class Nothing:
    size_bytes = 0


def delivered(built: Engine) -> tuple[Result, ...]:
    delivery = Delivery(INFO, SENDER, (BOB, EVE), HOP, Nothing())  # type: ignore[arg-type]
    return asyncio.run(built.gate.deliver(delivery))


def delivering(answer: Any, asked: list[str] | None = None) -> type[Plugin]:
    class Mine(Plugin):
        @hookimpl
        async def deliver(self) -> Any:
            if asked is not None:
                asked.append(self.name)
            if isinstance(answer, Exception):
                raise answer
            return answer

    return Mine


BOTH = [Result(EVE, Status.FAILED), Result(BOB, Status.DELIVERED)]


def test_results_come_in_the_order_of_the_recipients(engine: Build) -> None:
    assert delivered(engine({"mine": delivering(BOTH)})) == (BOTH[1], BOTH[0])


def test_the_first_that_takes_a_transport_delivers_and_no_other(engine: Build) -> None:
    asked: list[str] = []
    plugins = {"no": delivering(None, asked), "yes": delivering(BOTH, asked), "late": delivering(BOTH, asked)}
    assert len(delivered(engine(plugins))) == 2
    assert asked == ["no", "yes"]


def test_a_recipient_without_a_result_is_deferred(engine: Build) -> None:
    bob, eve = delivered(engine({"mine": delivering([BOTH[1]])}))
    assert bob.status is Status.DELIVERED
    assert (eve.status, eve.detail) == (Status.DEFERRED, "no result")


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (RuntimeError("x"), "raised"),
        (DnsFault("x"), "raised"),
        ("delivered", "type"),
        (None, "no plugin delivers by 'smtp'"),
    ],
)
def test_a_delivery_that_fails_is_deferred_for_everybody(engine: Build, answer: Any, detail: str) -> None:
    results = delivered(engine({"mine": delivering(answer)}))
    assert [(one.recipient, one.status, one.detail) for one in results] == [
        (BOB, Status.DEFERRED, detail),
        (EVE, Status.DEFERRED, detail),
    ]


def test_after_a_failed_delivery_no_other_plugin_is_asked(engine: Build) -> None:
    asked: list[str] = []
    delivered(engine({"bad": delivering(RuntimeError(), asked), "good": delivering(BOTH, asked)}))
    assert asked == ["bad"]


def test_a_shadow_plugin_delivers_nothing(engine: Build) -> None:
    asked: list[str] = []
    plugins = {"shade": delivering(BOTH, asked), "real": delivering(BOTH, asked)}
    delivered(engine(plugins, "[shade]\nshadow = true"))
    assert asked == ["real"]
