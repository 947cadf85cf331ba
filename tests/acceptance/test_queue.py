"""A next hop that is down, refuses or wavers: the queue keeps what was accepted until it is delivered or returned."""

from __future__ import annotations

from collections.abc import Callable

from harness.client import Reply
from harness.gateway import Gateway
from harness.hop import Hop, open_hop, ordinary
from harness.mails import CLEAN, VIRUS, plain
from harness.wait import free_port, until

Start = Callable[..., Gateway]


def answers(verb: str, text: str) -> Callable[[str, str], str | None]:
    """A next hop that answers one command in its own way."""
    return lambda said, argument: text if said == verb else None


def test_mail_waits_while_the_next_hop_is_down_and_is_delivered_when_it_is_up(gateway: Start) -> None:
    port = free_port()
    up = gateway(f"127.0.0.1:{port}")
    replies = [up.send(CLEAN, f"{number}@house.example") for number in range(5)]
    for reply in replies:
        line = up.logged("queued", id=reply.id, queue="slow")
        assert line["retry_at"] > 0
    assert len(up.stored("slow")) == 5
    with open_hop(port) as hop:
        for number in range(5):
            assert hop.wait_for(f"{number}@house.example").body == CLEAN
        until(lambda: not up.stored(), "the queue to be empty", story=up.story)
        assert len(hop.arrived) == 5


def test_mail_that_waits_survives_a_restart(gateway: Start) -> None:
    port = free_port()
    up = gateway(f"127.0.0.1:{port}")
    stopped = up.send(CLEAN, "stopped@house.example")
    up.logged("queued", id=stopped.id, queue="slow")
    assert up.stop() == 0
    up.restart()
    killed = up.send(CLEAN, "killed@house.example")
    up.logged("queued", id=killed.id, queue="slow")
    up.kill()
    up.restart()
    assert up.log("started")[-1]["recovered"] == 2
    with open_hop(port) as hop:
        assert hop.wait_for("stopped@house.example").body == CLEAN
        assert hop.wait_for("killed@house.example").body == CLEAN
        until(lambda: not up.stored(), "the queue to be empty", story=up.story)
        assert len(hop.arrived) == 2


def test_queue_list_shows_what_waits_and_why(gateway: Start) -> None:
    up = gateway(f"127.0.0.1:{free_port()}", delivery={"retry_first_s": 60, "retry_max_s": 60})
    reply = up.send(CLEAN, "reader@house.example")
    up.logged("queued", id=reply.id, queue="slow")
    (entry,) = up.queue()
    assert (entry["id"], entry["queue"], entry["attempts"]) == (reply.id, "slow", 1)
    assert entry["size_bytes"] == len(CLEAN)
    assert entry["envelope"]["sender"]["address"] == {"local": "author", "domain": "sender.example"}
    shown = up.run("queue", "show", reply.id, "-c", str(up.config))
    assert shown.returncode == 0, shown.stderr
    assert "reader@house.example" in shown.stdout
    listed = up.run("queue", "list", "-c", str(up.config))
    assert listed.returncode == 0, listed.stderr
    assert reply.id in listed.stdout


def test_queue_retry_delivers_at_once_and_queue_drop_never(gateway: Start) -> None:
    port = free_port()
    up = gateway(f"127.0.0.1:{port}", delivery={"retry_first_s": 3600, "retry_max_s": 3600})
    tried, dropped = (up.send(CLEAN, f"{name}@house.example") for name in ("tried", "dropped"))
    for reply in (tried, dropped):
        up.logged("queued", id=reply.id, queue="slow")
    done = up.run("queue", "drop", "--yes", dropped.id, "-c", str(up.config))
    assert done.returncode == 0, done.stdout + done.stderr
    with open_hop(port) as hop:
        done = up.run("queue", "retry", tried.id, "-c", str(up.config))
        assert done.returncode == 0, done.stdout + done.stderr
        assert hop.wait_for("tried@house.example").body == CLEAN
        until(lambda: not up.stored(), "the queue to be empty", story=up.story)
        assert len(hop.arrived) == 1


def test_queue_release_delivers_what_was_held(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, antivirus={"on_infected": ["hold"]}, plugins=["relay", "antivirus"])
    reply = up.send(VIRUS, "reader@house.example")
    up.logged("queued", id=reply.id, queue="hold")
    up.kill()
    up.restart()
    done = up.run("queue", "release", reply.id, "-c", str(up.config))
    assert done.returncode == 0, done.stdout + done.stderr
    assert hop.wait_for("reader@house.example").body == VIRUS
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)


def test_a_temporary_refusal_is_tried_again(gateway: Start, hop: Hop) -> None:
    hop.answer = answers("RCPT", "451 4.2.1 Mailbox busy")
    up = gateway(hop)
    reply = up.send(CLEAN, "reader@house.example")
    up.logged("queued", id=reply.id, queue="slow")
    assert "451" in up.log("delivered", id=reply.id)[0]["results"][0]
    hop.answer = ordinary
    assert hop.wait_for("reader@house.example").body == CLEAN


def test_a_refusal_for_good_comes_back_to_the_sender(gateway: Start, hop: Hop) -> None:
    hop.answer = lambda verb, argument: "550 5.1.1 No such user" if verb == "RCPT" and "nobody@" in argument else None
    up = gateway(hop)
    reply = up.send(CLEAN, "reader@house.example", "nobody@house.example")
    assert reply.code == 250
    assert hop.wait_for("reader@house.example").body == CLEAN
    notice = hop.wait_for("author@sender.example")
    assert notice.sender.startswith("FROM:<>")
    for needed in (
        b"Content-Type: multipart/report; report-type=delivery-status",
        b"Final-Recipient: rfc822; nobody@house.example",
        b"Action: failed",
        b"Status: 5.1.1",
        b"550 5.1.1 No such user",
        b"Subject: a test",
    ):
        assert needed in notice.content, needed
    assert b"reader@house.example" not in notice.content.partition(b"Subject: a test")[0].partition(b"To: ")[0]
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)


def test_a_notification_that_is_refused_is_given_up(gateway: Start, hop: Hop) -> None:
    hop.answer = answers("RCPT", "550 5.1.1 No such user")
    up = gateway(hop)
    reply = up.send(CLEAN, "nobody@house.example")
    up.logged("bounced", id=reply.id)
    until(lambda: len(up.log("bounced")) == 2 and not up.stored(), "the notification to be given up", story=up.story)
    assert up.log("bounced")[-1]["notification"] == "suppressed"
    assert not hop.arrived


def test_a_message_too_old_comes_back_to_the_sender(gateway: Start, hop: Hop) -> None:
    hop.answer = lambda verb, argument: "451 4.2.1 Later" if verb == "RCPT" and "busy@" in argument else None
    up = gateway(hop, delivery={"retry_first_s": 0.1, "retry_max_s": 0.2, "lifetime_s": 1})
    assert up.send(CLEAN, "busy@house.example").code == 250
    notice = hop.wait_for("author@sender.example")
    assert b"busy@house.example" in notice.content
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)


def test_a_next_hop_that_hangs_up_after_the_content_is_tried_again(gateway: Start, hop: Hop) -> None:
    tries: list[str] = []

    def first_time(verb: str, argument: str) -> str | None:
        if verb == ".":
            tries.append(argument)
            return "" if len(tries) == 1 else None
        return None

    hop.answer = first_time
    up = gateway(hop)
    up.send(CLEAN, "reader@house.example")
    assert hop.wait_for("reader@house.example").body == CLEAN
    assert len(tries) == 2


def test_a_dead_next_hop_does_not_keep_other_mail(gateway: Start, hop: Hop) -> None:
    forward = {"down.example": f"127.0.0.1:{free_port()}"}
    up = gateway(hop, relay={"forward": forward}, delivery={"concurrency": 2, "retry_first_s": 0.1, "retry_max_s": 0.1})
    waiting: list[Reply] = [up.send(plain(b"waits\r\n"), f"{number}@down.example") for number in range(20)]
    for reply in waiting:
        up.logged("queued", id=reply.id)
    for number in range(10):
        up.send(CLEAN, f"{number}@house.example")
    for number in range(10):
        assert hop.wait_for(f"{number}@house.example").body == CLEAN
    assert len(up.stored("slow", "fast")) == 20


def test_parameters_for_delivery_notifications_reach_a_next_hop_that_knows_them(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    with up.client() as client:
        assert client.say("MAIL FROM:<author@sender.example> RET=HDRS ENVID=QQ+2B314159 BODY=8BITMIME").code == 250
        recipient = "RCPT TO:<reader@house.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;reader+2Bx@house.example"
        assert client.say(recipient).code == 250
        assert client.content(CLEAN).code == 250
    arrived = hop.wait_for("reader@house.example")
    for word in ("RET=HDRS", "ENVID=QQ+2B314159", "BODY=8BITMIME"):
        assert word in arrived.sender
    for word in ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;reader+2Bx@house.example"):
        assert word in arrived.recipients[0]


def test_parameters_for_delivery_notifications_are_kept_from_a_next_hop_that_does_not(gateway: Start, hop: Hop) -> None:
    hop.keywords = ("8BITMIME",)
    up = gateway(hop)
    with up.client() as client:
        client.say("MAIL FROM:<author@sender.example> RET=HDRS ENVID=x")
        client.say("RCPT TO:<reader@house.example> NOTIFY=FAILURE")
        assert client.content(CLEAN).code == 250
    arrived = hop.wait_for("reader@house.example")
    assert "RET" not in arrived.sender
    assert "ENVID" not in arrived.sender
    assert "NOTIFY" not in arrived.recipients[0]


def test_nobody_is_told_of_a_failure_where_the_sender_wants_no_notice(gateway: Start, hop: Hop) -> None:
    hop.answer = lambda verb, argument: "550 5.1.1 No" if verb == "RCPT" and "nobody@" in argument else None
    up = gateway(hop)
    with up.client() as client:
        client.say("MAIL FROM:<author@sender.example>")
        client.say("RCPT TO:<nobody@house.example> NOTIFY=NEVER")
        reply = client.content(CLEAN)
    assert up.logged("bounced", id=reply.id)["notification"] == "suppressed"
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)
    assert not hop.arrived
