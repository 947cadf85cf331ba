from __future__ import annotations

import asyncio
import email
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from mailward.hooks.clock import Clock
from mailward.spool.entry import Queue
from mailward.values.address import Address
from mailward.values.delivery import NextHop, Result, Status
from mailward.values.edit import Splice
from mailward.values.envelope import Envelope, Recipient, Sender
from mailward.values.errors import DnsFault, NoRoute, PluginFault
from mailward.values.event import Bounced, Delivered, Queued
from mailward.values.reply import Reply

Office = Callable[..., AbstractAsyncContextManager[Any]]
NOBODY = Recipient(Address("any", "one"))
LATER = Result(NOBODY, Status.DEFERRED, Reply(451, "4.7.1", "Greylisted"))
NEVER = Result(NOBODY, Status.FAILED, Reply(550, "5.1.1", "No such user"))


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it did not happen in time"
        await asyncio.sleep(0.005)


def ticking(now: list[float]) -> Clock:
    """A clock that the test sets and that goes on by itself: a retry "in a moment" comes."""

    def time() -> float:
        now[0] += 0.01
        return now[0]

    return Clock(time=time, monotonic=time)


def test_a_message_is_delivered_and_its_file_removed(office: Office) -> None:
    async def run() -> None:
        async with office() as post:
            entry = await post.post(
                "bob@example.org", "carol@example.org", prefix=b"Received: x\r\n", splices=(Splice(9, 14, b"edited"),)
            )
            await until(lambda: post.told(Delivered) and not len(post.runner))
            (letter,) = post.house.letters
            assert letter.recipients == ("bob@example.org", "carol@example.org")
            assert letter.sender == "alice@example.com"
            assert letter.content.startswith(b"Received: x\r\nSubject: edited\r\nFrom:")
            (message,) = post.house.seen
            assert message.id == entry.id
            assert message.head == b"Subject: hello\r\nFrom: alice@example.com\r\n"
            assert message.size_bytes == len(letter.content)
            assert post.queue() == []
            (delivered,) = post.told(Delivered)
            assert [one.status for one in delivered.results] == [Status.DELIVERED] * 2
            assert {one.next_hop for one in delivered.results} == {"smtp:mx.example.org:25"}

    asyncio.run(run())


def test_a_next_hop_that_is_down_makes_it_slow_and_later_delivers(office: Office) -> None:
    async def run() -> None:
        async with office() as post:
            post.house.down.add("smtp:mx.example.org:25")
            entry = await post.post("bob@example.org")
            await until(lambda: len(post.told(Delivered)) >= 2)
            (slow,) = post.queue(Queue.SLOW)
            assert slow.attempts >= 2
            assert slow.reason == "connection refused"
            assert slow.results[0].recipient == "bob@example.org"
            assert slow.results[0].next_hop == "smtp:mx.example.org:25"
            queued = post.told(Queued)[0]
            assert (queued.message_id, queued.queue, queued.reason) == (entry.id, "slow", "connection refused")
            post.house.down.clear()
            await until(lambda: post.house.letters and post.queue() == [])
            assert post.told(Delivered)[-1].queue == "slow"
            assert post.told(Bounced) == []

    asyncio.run(run())


def test_the_next_hops_are_tried_in_order(office: Office) -> None:
    async def run() -> None:
        async with office() as post:
            hops = tuple(NextHop("smtp", f"mx{number}.example.org", 25) for number in range(3))
            post.house.routes["example.org"] = hops
            post.house.down |= {str(hops[0]), str(hops[1])}
            await post.post("bob@example.org")
            await until(lambda: post.house.letters)
            assert [hop for hop, _ in post.house.tries] == [str(hop) for hop in hops]

    asyncio.run(run())


def test_one_message_with_every_fate(office: Office) -> None:
    async def run() -> None:
        async with office(retry_first_s=60.0, retry_max_s=60.0) as post:
            post.house.answers = {"later@example.org": LATER, "never@example.org": NEVER}
            post.house.routes["noroute.example"] = NoRoute(Reply(550, "5.1.2", "No such domain"))
            post.house.routes["dnsfault.example"] = DnsFault("time-out")
            post.house.routes["fault.example"] = PluginFault("raised", "boom")
            post.house.routes["elsewhere.example"] = (NextHop("lmtp", "elsewhere", 24),)
            entry = await post.post(
                "good@example.org",
                "later@example.org",
                "never@example.org",
                "a@noroute.example",
                "b@dnsfault.example",
                "c@fault.example",
                "d@elsewhere.example",
            )
            await until(lambda: len(post.house.letters) == 3)
            (slow,) = post.queue(Queue.SLOW)
            left = {str(one.address) for one in slow.envelope.recipients}
            assert left == {"later@example.org", "b@dnsfault.example", "c@fault.example"}
            assert {one.recipient for one in slow.results} == left
            assert slow.id == entry.id
            delivered = {name for letter in post.house.letters[:2] for name in letter.recipients}
            assert delivered == {"good@example.org", "d@elsewhere.example"}
            (bounced,) = post.told(Bounced)
            assert (bounced.message_id, bounced.to) == (entry.id, "alice@example.com")
            assert set(bounced.recipients) == {"never@example.org", "a@noroute.example"}
            notice = post.house.letters[2]
            assert (notice.sender, notice.recipients) == ("", ("alice@example.com",))
            assert b"5.1.1 No such user" in notice.content
            assert b"5.1.2 No such domain" in notice.content
            assert bounced.notification_id in notice.content.decode()

    asyncio.run(run())


@pytest.mark.parametrize("fault", [PluginFault("raised", "boom"), DnsFault("time-out")])
def test_a_transport_that_fails_means_later(office: Office, fault: Exception) -> None:
    async def run() -> None:
        async with office() as post:
            post.house.faults.append(fault)
            await post.post("bob@example.org")
            await until(lambda: post.house.letters)
            first = post.told(Delivered)[0].results[0]
            assert first.status is Status.DEFERRED
            assert "delivery failed" in first.detail

    asyncio.run(run())


def test_a_bug_in_the_router_is_logged_and_the_message_tried_again(office: Office) -> None:
    async def run() -> None:
        async with office() as post:
            post.house.faults.append(ZeroDivisionError("a bug"))
            await post.post("bob@example.org")
            await until(lambda: post.house.letters and post.queue() == [])

    asyncio.run(run())


def test_a_message_that_grew_too_old_is_returned(office: Office) -> None:
    async def run() -> None:
        now = [1000.0]
        async with office(ticking(now), lifetime_s=500.0, retry_first_s=100.0, retry_max_s=100.0) as post:
            post.house.answers["bob@example.org"] = LATER
            await post.post("bob@example.org")
            await until(lambda: post.told(Queued))
            now[0] = 1600.0
            post.runner.submit(post.queue(Queue.SLOW))
            await until(lambda: post.house.letters)
            assert b"Status: 4.4.7" in post.house.letters[0].content
            assert b"451 4.7.1 Greylisted" in post.house.letters[0].content
            await until(lambda: post.queue() == [])

    asyncio.run(run())


def test_a_null_sender_gets_nothing_but_an_event_says_so(office: Office) -> None:
    async def run() -> None:
        async with office() as post:
            post.house.answers["bob@example.org"] = NEVER
            entry = await post.post("bob@example.org", sender="")
            await until(lambda: post.told(Bounced) and post.queue() == [])
            (bounced,) = post.told(Bounced)
            assert (bounced.message_id, bounced.notification_id) == (entry.id, "")
            assert post.house.letters == []

    asyncio.run(run())


def test_who_wants_no_notice_gets_none(office: Office) -> None:
    async def run() -> None:
        async with office() as post:
            post.house.answers = {"bob@example.org": NEVER, "carol@example.org": NEVER}
            silent = Recipient(Address("bob", "example.org"), (("NOTIFY", "NEVER"),))
            await post.post(silent, "carol@example.org")
            await until(lambda: post.house.letters)
            assert b"carol@example.org" in post.house.letters[0].content
            assert b"bob@example.org" not in post.house.letters[0].content

    asyncio.run(run())


@pytest.mark.parametrize("ret", ["FULL", "HDRS"])
def test_the_sender_decides_how_much_comes_back(office: Office, ret: str) -> None:
    async def run() -> None:
        async with office(return_full=True) as post:
            post.house.answers["bob@example.org"] = NEVER
            await post.post("bob@example.org", parameters=(("RET", ret),), prefix=b"Received: x\r\n")
            await until(lambda: post.house.letters)
            content = post.house.letters[0].content
            assert (b"The body." in content) is (ret == "FULL")
            assert b"Received: x\r\nSubject: hello\r\n" in content
            *_, returned = email.message_from_bytes(content).walk()
            if ret == "FULL":
                # The returned message is walked into: its own part comes after the one that holds it.
                *_, returned, _ = email.message_from_bytes(content).walk()
            assert returned.get_content_type() == ("message/rfc822" if ret == "FULL" else "text/rfc822-headers")

    asyncio.run(run())


def test_a_refused_copy_is_bounced_with_its_header_only(office: Office) -> None:
    async def run() -> None:
        async with office(return_full=True) as post:
            envelope = Envelope(sender=Sender(Address.parse("alice@example.com")), id="m1", received_at=1.0)
            failure = Result(
                Recipient(Address.parse("bob@example.org")), Status.FAILED, Reply(550, "5.7.1", "Infected")
            )
            notice_id = await post.runner.bounce(envelope, [failure], b"Subject: bad\r\n\r\nvirus", reason="policy")
            await until(lambda: post.house.letters)
            content = post.house.letters[0].content
            assert b"Subject: bad" in content
            assert b"virus" not in content
            assert b"policy" in content
            assert post.told(Bounced)[0].notification_id == notice_id
            assert await post.runner.bounce(Envelope(id="m2"), [failure], b"") == ""

    asyncio.run(run())


def test_a_message_with_many_recipients_is_routed_in_full(office: Office) -> None:
    async def run() -> None:
        async with office() as post:
            names = [f"user{number}@d{number % 7}.example" for number in range(100)]
            for number in range(7):
                post.house.routes[f"d{number}.example"] = (NextHop("smtp", f"mx{number}", 25),)
            await post.post(*names)
            await until(lambda: len(post.house.letters) == 7)
            assert sorted(name for letter in post.house.letters for name in letter.recipients) == sorted(names)
            await until(lambda: post.queue() == [])

    asyncio.run(run())


def test_a_recipient_without_a_result_counts_as_deferred(office: Office) -> None:
    async def run() -> None:
        async with office(retry_first_s=60.0, retry_max_s=60.0) as post:
            post.house.forgets.add("carol@example.org")
            await post.post("bob@example.org", "carol@example.org")
            await until(lambda: post.queue(Queue.SLOW))
            (slow,) = post.queue(Queue.SLOW)
            assert [one.recipient for one in slow.results] == ["carol@example.org"]
            assert slow.results[0].detail == "the transport gave no result"

    asyncio.run(run())
