"""The incoming queue: accepted, not yet judged (SAV-Q-04, SAV-Q-05, KAV-MGT-01)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import define, evolve, field

from mailward.delivery.runner import Runner
from mailward.engine.board import Board
from mailward.engine.config import load_config
from mailward.engine.engine import Engine
from mailward.gateway.acceptance import Acceptance
from mailward.gateway.unscanned import Unscanned
from mailward.hooks.clock import Clock
from mailward.hooks.markers import Place
from mailward.scan.suspects import MAX_CRASHES, held
from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.operate import Request, Verb, operate
from mailward.spool.spool import Spool
from mailward.values.action import Bounce, Defer, Deliver, Drop, Hold, MessageAction, Reject
from mailward.values.address import Address
from mailward.values.decision import Copy, Verdict
from mailward.values.delivery import Delivery, NextHop, Result, Status
from mailward.values.edit import Splice
from mailward.values.envelope import Envelope, MessageInfo, Recipient, Sender
from mailward.values.errors import ScanError
from mailward.values.event import Event, Judged, Suppressed
from mailward.values.reply import Reply
from mailward.values.switches import Switches

SMALL = b"Subject: x\r\n\r\nbody\r\n"
BIG = SMALL + b"y" * 100_000 + b"\r\n"
both_sizes = pytest.mark.parametrize("body", [SMALL, BIG], ids=["journal", "file"])


@define
class FakePool:
    """Gives verdicts as it is told, and notes who is with whom."""

    actions: dict[str, MessageAction | ScanError] = field(factory=dict)
    splices: tuple[Splice, ...] = ()
    seen: list[tuple[str, int]] = field(factory=list)
    together: list[set[str]] = field(factory=list)
    now: set[str] = field(factory=set)
    gate: asyncio.Event | None = None

    async def judge(
        self, envelope: Envelope, size_bytes: int, body: bytes | None, path: Path | None, *, crashes: int = 0
    ) -> Verdict:
        content = body if body is not None else path.read_bytes()[:size_bytes] if path else b""
        assert content in (SMALL, BIG)
        name = envelope.recipients[0].address.local
        if crashes >= MAX_CRASHES:
            return held(envelope, crashes, "it crashed")
        self.seen.append((name, crashes))
        self.now.add(name)
        self.together.append(set(self.now))
        try:
            await (self.gate.wait() if self.gate else asyncio.sleep(0.01))
        finally:
            self.now.discard(name)
        action = self.actions.get(name, Deliver())
        if isinstance(action, ScanError):
            raise action
        return Verdict(envelope.id, (Copy("default", envelope.recipients, action, splices=self.splices),))


@define
class Door:
    """Takes every delivery."""

    letters: list[tuple[str, bytes]] = field(factory=list)

    async def route(self, recipient: Recipient, message: MessageInfo) -> tuple[NextHop, ...]:
        return (NextHop("smtp", "mx", 25),)

    async def deliver(self, delivery: Delivery) -> tuple[Result, ...]:
        content = b"".join([chunk async for chunk in delivery.content.chunks()])
        for one in delivery.recipients:
            self.letters.append((one.address.local, content))
        return tuple(Result(one, Status.DELIVERED) for one in delivery.recipients)


@define
class Desk:
    spool: Spool
    committer: Committer
    runner: Runner
    unscanned: Unscanned
    acceptance: Acceptance
    pool: FakePool
    door: Door
    board: Board
    events: list[Event]

    async def receive(self, to: str, body: bytes = SMALL, sender: str = "alice@example.com") -> Reply:
        incoming = self.spool.begin()
        incoming.write(body)
        envelope = Envelope(
            sender=Sender(Address.parse(sender)),
            recipients=(Recipient(Address.parse(f"{to}@example.org")),),
            id=incoming.id,
            received_at=self.spool.clock.time(),
        )
        return (await self.acceptance.accept(envelope, incoming, 0.0)).reply

    def waiting(self) -> list[Entry]:
        return list(self.spool.recover(Queue.INCOMING))


async def until(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


def run(
    root: Path,
    work: Callable[[Desk], object],
    pool: FakePool | None = None,
    switches: Switches | None = None,
    settings: str = "",
    clock: Clock | None = None,
) -> None:
    """Have ``work`` done at a gateway without sockets."""
    config = root / "mailward.toml"
    config.write_text(
        f"plugins = []\n[gateway]\nhostname = 'mx.example.net'\ntrace = false\n{settings}\n"
        "[delivery]\nretry_first_s = 0.05\nretry_max_s = 0.1\n"
    )
    pool = pool or FakePool()

    async def go() -> None:
        engine = Engine(load_config(config), place=Place.GATEWAY, clock=clock)
        events: list[Event] = []
        engine.listen(events.append)
        spool = Spool(root, clock=engine.clock)
        spool.open()
        committer = Committer(spool)
        board, door = Board(switches), Door()
        runner = Runner(spool, committer, door, engine.config.core.delivery, "mx", engine.clock, engine.emit, board)
        unscanned = Unscanned(engine, pool, spool, committer, runner, board)  # type: ignore[arg-type]
        acceptance = Acceptance(engine, pool, committer, runner, board)  # type: ignore[arg-type]
        async with engine:
            await runner.start()
            await unscanned.start()
            try:
                await work(Desk(spool, committer, runner, unscanned, acceptance, pool, door, board, events))  # type: ignore[misc]
            finally:
                await unscanned.stop(0.2)
                await runner.stop(0.5)
                committer.close()
                spool.close()

    asyncio.run(go())


QUEUED = "scan = 'queued'"


@both_sizes
def test_queued_the_250_comes_first_and_the_verdict_later(tmp_path: Path, body: bytes) -> None:
    async def work(desk: Desk) -> None:
        desk.pool.gate = asyncio.Event()
        reply = await desk.receive("bob", body)
        assert reply.code == 250
        assert [entry.queue for entry in desk.waiting()] == [Queue.INCOMING]
        assert desk.door.letters == []
        desk.pool.gate.set()
        await until(lambda: desk.door.letters == [("bob", body)] and not list(desk.spool.recover()))
        assert [event.reply.code for event in desk.events if isinstance(event, Judged)] == [250]

    run(tmp_path, work, settings=QUEUED)


@both_sizes
def test_edits_of_a_late_verdict_are_applied_after_a_restart_too(tmp_path: Path, body: bytes) -> None:
    pool = FakePool(splices=(Splice(0, 7, b"Betreff"),))

    async def judge(desk: Desk) -> None:
        desk.board.set(Switches(deliver=False))
        await desk.receive("bob", body)
        await until(lambda: [entry.queue for entry in desk.spool.recover()] == [Queue.FAST])

    async def deliver(desk: Desk) -> None:
        await until(lambda: desk.door.letters)
        assert desk.door.letters[0][1] == b"Betreff" + body[7:]

    run(tmp_path, judge, pool, settings=QUEUED)
    run(tmp_path, deliver, settings=QUEUED)


@both_sizes
@pytest.mark.parametrize(
    ("action", "ends_in", "bounces"),
    [
        (Drop(), [], False),
        (Hold(), [Queue.HOLD], False),
        (Bounce(), [], True),
        (Reject(Reply(554, "5.7.1", "No")), [], True),
    ],
)
def test_a_late_refusal_is_a_bounce_or_a_drop(
    tmp_path: Path, body: bytes, action: MessageAction, ends_in: list[Queue], bounces: bool
) -> None:
    async def work(desk: Desk) -> None:
        assert (await desk.receive("bob", body)).code == 250
        await until(lambda: [entry.queue for entry in desk.spool.recover()] == ends_in)
        await until(lambda: [name for name, _ in desk.door.letters] == ["alice"] * bounces)

    run(tmp_path, work, FakePool({"bob": action}), settings=QUEUED)


def test_refused_copies_are_dropped_where_that_is_configured(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.receive("bob")
        await until(lambda: desk.pool.seen and not list(desk.spool.recover()))
        assert desk.door.letters == []

    run(
        tmp_path,
        work,
        FakePool({"bob": Reject(Reply(554, "5.7.1", "No"))}),
        settings=f"{QUEUED}\nrefused_copies = 'drop'",
    )


@both_sizes
@pytest.mark.parametrize("why", [Defer(), ScanError("busy")])
def test_what_cannot_be_judged_now_is_judged_later(tmp_path: Path, body: bytes, why: MessageAction | ScanError) -> None:
    async def work(desk: Desk) -> None:
        await desk.receive("bob", body)
        await until(lambda: len(desk.pool.seen) >= 3)
        assert desk.door.letters == []
        assert {crashes for _, crashes in desk.pool.seen} == {0}
        desk.pool.actions.clear()
        await until(lambda: desk.door.letters == [("bob", body)])

    run(tmp_path, work, FakePool({"bob": why}), settings=QUEUED)


def test_kav_mgt_01_avir_off_mail_waits_unscanned_and_never_slips_through(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        assert (await desk.receive("bob")).code == 250
        await asyncio.sleep(0.2)
        assert desk.pool.seen == desk.door.letters == []
        assert len(desk.waiting()) == 1

    async def still_off(desk: Desk) -> None:
        await asyncio.sleep(0.2)
        assert desk.pool.seen == desk.door.letters == []
        desk.board.set(Switches())
        await until(lambda: [name for name, _ in desk.door.letters] == ["bob"])
        # On again, the next one is judged before its reply.
        desk.pool.actions["carol"] = Reject(Reply(554, "5.7.1", "No"))
        assert (await desk.receive("carol")).code == 554

    run(tmp_path, work, switches=Switches(scan=False))
    run(tmp_path, still_off, switches=Switches(scan=False))


@both_sizes
def test_sav_q_04_a_message_in_the_scan_when_the_gateway_died_three_times_goes_to_hold(
    tmp_path: Path, body: bytes
) -> None:
    pool = FakePool()

    async def die(desk: Desk) -> None:
        desk.pool.gate = asyncio.Event()
        if not desk.waiting():
            await desk.receive("bob", body)
        await until(lambda: desk.pool.now)
        # What is on disk at this moment is what a kill leaves; the regular end would put it right.
        (entry,) = desk.waiting()
        raise Died(entry)

    for times in (1, 2, 3):
        with pytest.raises(Died) as death:
            run(tmp_path, die, pool, settings=QUEUED)
        assert death.value.entry.started == times
        _count_again(tmp_path, death.value.entry)

    async def after(desk: Desk) -> None:
        await until(lambda: [entry.queue for entry in desk.spool.recover()] == [Queue.HOLD])
        assert desk.door.letters == []

    run(tmp_path, after, pool, settings=QUEUED)


class Died(Exception):
    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        super().__init__()


def _count_again(root: Path, entry: Entry) -> None:
    spool = Spool(root)
    spool.open()
    if entry.id in spool.journal:
        spool.start(entry.id, entry.started)
    else:
        spool.append_state(entry)
    spool.close()


def test_an_end_in_good_order_counts_as_no_crash(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        desk.pool.gate = asyncio.Event()
        await desk.receive("bob")
        await until(lambda: desk.pool.now)

    run(tmp_path, work, settings=QUEUED)
    spool = Spool(tmp_path)
    spool.open()
    assert [entry.started for entry in spool.recover()] == [0]
    spool.close()


def test_sav_q_04_suspects_are_judged_alone_and_the_rest_together(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(3)] + [f"n{number}" for number in range(6)]

    async def fill(desk: Desk) -> None:
        for name in names:
            await desk.receive(name)
        for entry in desk.waiting():
            if entry.envelope.recipients[0].address.local.startswith("s"):
                desk.spool.start(entry.id, 1)

    async def work(desk: Desk) -> None:
        await until(lambda: len(desk.door.letters) == len(names))
        assert len(max(desk.pool.together, key=len)) > 2
        for group in desk.pool.together:
            assert len(group) == 1 or not any(name.startswith("s") for name in group)
        assert {crashes for name, crashes in desk.pool.seen if name.startswith("s")} == {1}

    run(tmp_path, fill, switches=Switches(scan=False))
    run(tmp_path, work)


def test_crashes_of_scan_processes_are_remembered(tmp_path: Path) -> None:
    pool = FakePool({"bob": ScanError("deadline", "hangs", crashes=1)})

    async def work(desk: Desk) -> None:
        await desk.receive("bob")
        await until(lambda: desk.pool.seen)
        await until(lambda: [entry.started for entry in desk.waiting()] == [1])

    run(tmp_path, work, pool, settings=QUEUED)


@both_sizes
def test_sav_q_05_reprocess_judges_what_is_held_again(tmp_path: Path, body: bytes) -> None:
    async def work(desk: Desk) -> None:
        await desk.receive("bob", body)
        (entry,) = list(desk.spool.recover(Queue.HOLD))
        desk.pool.actions.clear()
        done = operate(desk.spool, Request(Verb.REPROCESS, (entry.id,)), entry.id)
        assert done.outcome.ok
        assert done.entry is not None
        desk.runner.submit((done.entry,))
        await until(lambda: desk.door.letters == [("bob", body)])
        assert [name for name, _ in desk.pool.seen] == ["bob", "bob"]

    run(tmp_path, work, FakePool({"bob": Hold()}))


@pytest.mark.parametrize("days", [30, -30])
def test_a_clock_that_is_set_makes_nothing_that_waits_for_its_verdict_older(tmp_path: Path, days: int) -> None:
    set_by_s = [0.0]
    pool = FakePool({"bob": Defer("not yet")})

    async def work(desk: Desk) -> None:
        await desk.receive("bob")
        await until(lambda: len(pool.seen) >= 2)
        set_by_s[0] = days * 86_400.0
        seen = len(pool.seen)
        await until(lambda: len(pool.seen) >= seen + 3)
        assert [entry.queue for entry in desk.spool.recover()] == [Queue.INCOMING]
        pool.actions.clear()
        await until(lambda: desk.door.letters == [("bob", SMALL)])

    run(tmp_path, work, pool, settings=QUEUED, clock=Clock(time=lambda: time.time() + set_by_s[0]))


def test_what_was_not_judged_within_its_lifetime_goes_to_hold(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        incoming = desk.spool.begin()
        incoming.write(SMALL)
        envelope = Envelope(recipients=(Recipient(Address("bob", "example.org")),), id=incoming.id)
        old = Entry(incoming.id, envelope, queue=Queue.INCOMING, created_at=1.0)
        desk.runner.submit(await desk.committer.commit(incoming, (old,)))
        await until(lambda: [entry.queue for entry in desk.spool.recover()] == [Queue.HOLD])
        (held_entry,) = desk.spool.recover()
        assert held_entry.reason.startswith("not judged in time")

    run(tmp_path, work, FakePool({"bob": Defer()}))


def test_the_operator_can_take_an_unscanned_message_out(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.receive("bob")
        (entry,) = desk.waiting()
        put_back = desk.runner.withdraw(entry.id)
        assert put_back is not None
        desk.board.set(Switches())
        await asyncio.sleep(0.1)
        assert desk.pool.seen == []
        put_back()
        await until(lambda: desk.door.letters)

    run(tmp_path, work, switches=Switches(scan=False))


def test_policies_that_differ_get_copies_of_their_own_kav_grp_05(tmp_path: Path) -> None:
    class TwoPolicies(FakePool):
        async def judge(self, envelope: Envelope, *args: object, **more: object) -> Verdict:
            one, two = envelope.recipients
            return Verdict(envelope.id, (Copy("a", (one,), Deliver()), Copy("b", (two,), Hold())))

    async def work(desk: Desk) -> None:
        for body in (SMALL, BIG):
            incoming = desk.spool.begin()
            incoming.write(body)
            recipients = (Recipient(Address("one", "example.org")), Recipient(Address("two", "example.org")))
            envelope = Envelope(recipients=recipients, id=incoming.id, received_at=desk.spool.clock.time())
            await desk.acceptance.accept(envelope, incoming, 0.0)
            await until(lambda: [name for name, _ in desk.door.letters] == ["one"])
            await until(lambda: len(list(desk.spool.recover())) == 1)
            (copied,) = desk.spool.recover()
            assert (copied.origin, copied.queue, copied.policy) == (envelope.id, Queue.HOLD, "b")
            assert [str(one.address) for one in copied.envelope.recipients] == ["two@example.org"]
            desk.spool.remove(copied)
            desk.door.letters.clear()

    run(tmp_path, work, TwoPolicies(), settings=QUEUED)


def test_sav_dlv_01_paused_mail_is_accepted_and_goes_out_when_delivery_goes_on(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        for name in ("bob", "carol"):
            assert (await desk.receive(name)).code == 250
        await asyncio.sleep(0.2)
        assert desk.door.letters == []
        desk.board.set(evolve(desk.board.now, deliver=True))
        await until(lambda: sorted(name for name, _ in desk.door.letters) == ["bob", "carol"])

    run(tmp_path, work, switches=Switches(deliver=False))


def test_sav_con_03_mail_to_the_account_of_notices_is_dropped(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        incoming = desk.spool.begin()
        incoming.write(SMALL)
        notices, bob = Recipient(Address("Mailward", "mx.example.net")), Recipient(Address("bob", "example.org"))
        envelope = Envelope(recipients=(notices, bob), id=incoming.id, received_at=desk.spool.clock.time())
        assert (await desk.acceptance.accept(envelope, incoming, 0.0)).reply.code == 250
        await until(lambda: [name for name, _ in desk.door.letters] == ["bob"])
        incoming = desk.spool.begin()
        incoming.write(SMALL)
        alone = evolve(envelope, recipients=(notices,), id=incoming.id)
        assert (await desk.acceptance.accept(alone, incoming, 0.0)).reply.code == 250
        await asyncio.sleep(0.05)
        assert len(desk.pool.seen) == len(desk.door.letters) == 1
        dropped = [event for event in desk.events if isinstance(event, Suppressed)]
        assert [event.recipients for event in dropped] == [("Mailward@mx.example.net",)] * 2

    run(tmp_path, work)
