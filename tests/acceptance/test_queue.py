"""A next hop that is down: the queue keeps what was accepted until it is delivered, returned or taken out."""

from __future__ import annotations

from collections.abc import Callable

from harness.client import Reply
from harness.gateway import Gateway
from harness.hop import Hop, open_hop
from harness.mails import CLEAN, VIRUS, plain
from harness.wait import free_port, until

Start = Callable[..., Gateway]


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


def test_a_message_too_old_comes_back_to_the_sender(gateway: Start, hop: Hop) -> None:
    hop.answer = lambda verb, argument: "451 4.2.1 Later" if verb == "RCPT" and "busy@" in argument else None
    up = gateway(hop, delivery={"retry_first_s": 0.1, "retry_max_s": 0.2, "lifetime_s": 1})
    assert up.send(CLEAN, "busy@house.example").code == 250
    notice = hop.wait_for("author@sender.example")
    assert b"busy@house.example" in notice.content
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)


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
    until(lambda: len(up.stored("slow", "fast")) == 20, "only what waits to be left", story=up.story)


def test_mail_of_a_segment_that_lost_its_header_is_recovered_with_one_command(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    assert up.run("ctl", "pause", "-c", str(up.config)).returncode == 0
    accepted = [up.send(CLEAN, f"n{number}@house.example").id for number in range(3)]
    up.kill()
    (segment,) = up.state.glob("spool/0/journal/*")
    with segment.open("r+b") as file:
        file.write(bytes(64))
    up.restart()
    up.logged("file_access_failed")
    assert up.queue() == []
    recovered = up.run("queue", "recover", "-c", str(up.config))
    assert (recovered.returncode, "3 put in hold" in recovered.stdout) == (0, True), recovered
    assert {line["id"]: line["queue"] for line in up.queue()} == dict.fromkeys(accepted, "hold")
    assert not hop.arrived
    assert up.run("queue", "release", "-c", str(up.config), *accepted).returncode == 0
    for number in range(3):
        assert hop.wait_for(f"n{number}@house.example").body == CLEAN
    assert len(hop.arrived) == 3
    assert not up.stored("damaged")
