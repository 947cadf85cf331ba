"""Delivery as a proxy: a 250 only when everybody is served, 4xx when that cannot be decided."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from attrs import define, field

from mailward.delivery.runner import Runner
from mailward.engine.board import Board
from mailward.engine.config import load_config
from mailward.engine.engine import Engine
from mailward.gateway.acceptance import Acceptance
from mailward.gateway.verdict_plan import Plan
from mailward.hooks.markers import Place
from mailward.spool.committer import Committer
from mailward.spool.entry import Queue
from mailward.spool.spool import Spool
from mailward.values.action import Deliver, Hold, MessageAction
from mailward.values.address import Address
from mailward.values.decision import Copy, Verdict
from mailward.values.delivery import Delivery, NextHop, Result, Status
from mailward.values.edit import Splice
from mailward.values.envelope import Envelope, MessageInfo, Recipient, Sender
from mailward.values.errors import ConfigError
from mailward.values.reply import Reply
from mailward.values.switches import Switches

SMALL = b"Subject: x\r\n\r\nbody\r\n"
BIG = SMALL + b"y" * 100_000 + b"\r\n"
OK = (Status.DELIVERED, Reply(250, "2.0.0", "queued as 4711"))
LATER = (Status.DEFERRED, Reply(451, "4.2.0", "Later"))
DOWN = (Status.UNREACHABLE, None)
NO = (Status.FAILED, Reply(550, "5.1.1", "No such user"))


@define
class Hop:
    """Answers by recipient; each name is a next hop of its own."""

    answers: dict[str, tuple[Status, Reply | None]]
    got: list[tuple[str, bytes]] = field(factory=list)

    async def route(self, recipient: Recipient, message: MessageInfo) -> tuple[NextHop, ...]:
        return (NextHop("smtp", recipient.address.local, 25),)

    async def deliver(self, delivery: Delivery) -> tuple[Result, ...]:
        content = b"".join([chunk async for chunk in delivery.content.chunks()])
        results = []
        for one in delivery.recipients:
            status, reply = self.answers.get(one.address.local, OK)
            if status is Status.DELIVERED:
                self.got.append((one.address.local, content))
            results.append(Result(one, status, reply))
        return tuple(results)


@define
class Judge:
    """Delivers everybody but those it holds; puts an edit into each copy."""

    holds: tuple[str, ...] = ()

    async def judge(self, envelope: Envelope, *args: object, **more: object) -> Verdict:
        def action(one: Recipient) -> MessageAction:
            return Hold() if one.address.local in self.holds else Deliver()

        edit = (Splice(0, 7, b"Betreff"),)
        return Verdict(envelope.id, tuple(Copy("p", (one,), action(one), splices=edit) for one in envelope.recipients))


@define
class Outcome:
    plan: Plan
    got: list[tuple[str, bytes]]
    queues: list[Queue]


def deliver(
    root: Path,
    answers: dict[str, tuple[Status, Reply | None]],
    *,
    body: bytes = SMALL,
    holds: tuple[str, ...] = (),
    lmtp: bool = False,
    switches: Switches | None = None,
) -> Outcome:
    config = root / "mailward.toml"
    config.write_text("plugins = []\n[gateway]\nhostname = 'mx.example.net'\ndelivery = 'proxy'\ntrace = false\n")

    async def go() -> Outcome:
        engine = Engine(load_config(config), place=Place.GATEWAY)
        hop = Hop(answers)
        engine.gate.route, engine.gate.deliver = hop.route, hop.deliver  # type: ignore[method-assign]
        spool = Spool(root)
        spool.open()
        committer, board = Committer(spool), Board(switches)
        # A runner that was not started leaves notifications and held copies where they are.
        runner = Runner(spool, committer, hop, engine.config.core.delivery, "mx", engine.clock, engine.emit, board)
        acceptance = Acceptance(engine, Judge(holds), committer, runner, board)  # type: ignore[arg-type]
        incoming = spool.begin()
        incoming.write(body)
        recipients = tuple(Recipient(Address(name, "example.org")) for name in answers)
        envelope = Envelope(
            sender=Sender(Address("alice", "example.com")), recipients=recipients, id=incoming.id, received_at=1.0
        )
        async with engine:
            plan = await acceptance.accept(envelope, incoming, 0.0, lmtp=lmtp)
        committer.close()
        queues = [entry.queue for entry in spool.recover()]
        assert list((root / "spool" / "0" / "tmp").iterdir()) == []
        spool.close()
        return Outcome(plan, hop.got, queues)

    return asyncio.run(go())


@pytest.mark.parametrize("body", [SMALL, BIG], ids=["memory", "file"])
def test_the_next_hops_answer_is_ours_and_nothing_is_spooled(tmp_path: Path, body: bytes) -> None:
    outcome = deliver(tmp_path, {"bob": OK}, body=body)
    assert str(outcome.plan.reply) == "250 2.0.0 queued as 4711"
    assert outcome.got == [("bob", b"Betreff" + body[7:])]
    assert outcome.queues == []


@pytest.mark.parametrize(
    ("answers", "code", "queued"),
    [
        ({"bob": NO}, 550, 0),
        ({"bob": LATER}, 451, 0),
        ({"bob": DOWN}, 451, 0),
        ({"bob": (Status.DEFERRED, Reply(550, "5.0.0", "odd"))}, 451, 0),
        ({"bob": (Status.FAILED, None)}, 550, 0),
        ({"bob": OK, "carol": OK}, 250, 0),
        ({"bob": OK, "carol": LATER}, 451, 0),
        ({"bob": OK, "carol": DOWN, "dave": NO}, 451, 0),
        ({"bob": NO, "carol": NO}, 550, 0),
        # Somebody has it, so the client cannot be refused: the notification is in the queue.
        ({"bob": OK, "carol": NO}, 250, 1),
    ],
)
def test_fates_that_differ_make_the_safe_answer(
    tmp_path: Path, answers: dict[str, tuple[Status, Reply | None]], code: int, queued: int
) -> None:
    outcome = deliver(tmp_path, answers)
    assert outcome.plan.reply.code == code
    assert outcome.queues == [Queue.FAST] * queued


@pytest.mark.parametrize(("answer", "code", "queues"), [(OK, 250, [Queue.HOLD]), (LATER, 451, [])])
def test_held_copies_are_kept_only_with_a_250(
    tmp_path: Path, answer: tuple[Status, Reply | None], code: int, queues: list[Queue]
) -> None:
    outcome = deliver(tmp_path, {"bob": answer, "carol": OK}, holds=("carol",))
    assert outcome.plan.reply.code == code
    assert outcome.queues == queues


def test_where_one_is_held_and_the_other_refused_the_sender_is_told(tmp_path: Path) -> None:
    outcome = deliver(tmp_path, {"bob": NO, "carol": OK}, holds=("carol",))
    assert outcome.plan.reply.code == 250
    assert sorted(outcome.queues) == [Queue.FAST, Queue.HOLD]


def test_lmtp_has_a_reply_for_each_and_needs_no_notification(tmp_path: Path) -> None:
    outcome = deliver(tmp_path, {"bob": OK, "carol": NO, "dave": DOWN, "erin": OK}, lmtp=True, holds=("erin",))
    codes = {recipient.address.local: reply.code for recipient, reply in outcome.plan.each}
    assert codes == {"bob": 250, "carol": 550, "dave": 451, "erin": 250}
    assert outcome.queues == [Queue.HOLD]


@pytest.mark.parametrize("switches", [Switches(deliver=False), Switches(send=False), Switches(scan=False)])
def test_what_cannot_be_decided_now_is_4xx(tmp_path: Path, switches: Switches) -> None:
    outcome = deliver(tmp_path, {"bob": OK}, switches=switches)
    assert outcome.plan.reply.code == 451
    assert outcome.got == outcome.queues == []


def test_a_proxy_cannot_judge_later(tmp_path: Path) -> None:
    config = tmp_path / "mailward.toml"
    config.write_text("plugins = []\n[gateway]\ndelivery = 'proxy'\nscan = 'queued'\n")
    with pytest.raises(ConfigError, match="a proxy has no queue"):
        load_config(config)
