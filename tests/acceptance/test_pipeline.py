"""The way of a message from connection to delivery, in the order that the specifications give it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN, VIRUS, attachment, parts, plain
from harness.wait import until

Start = Callable[..., Gateway]


@frozen
class House:
    """A gateway with its next hop, and the folder of its archives."""

    gateway: Gateway
    hop: Hop
    folder: Path

    def counters(self) -> dict[str, float]:
        answer = self.gateway.run("ctl", "stats", "--json", "-c", str(self.gateway.config))
        assert answer.returncode == 0, answer.stderr
        return dict(json.loads(answer.stdout)["counters"])

    def rose(self, before: dict[str, float], *names: str) -> dict[str, float]:
        """How much each of these counters rose."""
        now = self.counters()
        return {name: now.get(name, 0) - before.get(name, 0) for name in names}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("pipeline")
    archives = {"incoming": str(folder / "in"), "outgoing": str(folder / "out")}
    settings = {
        "gateway": {"max_message_bytes": 100_000, "max_hops": 5},
        "antivirus": {"on_infected": ["delete"]},
        "content": {
            "block_subjects": True,
            "subjects": ["*offer*"],
            "on_subject": {"action": "forward", "to": "abuse@house.example", "subject": "an offer"},
            "block_names": True,
            "names": ["*.log", "*.bad"],
            "on_name": "drop",
        },
        "policy": {
            "open": {"recipients": "open*@house.example, bare@house.example", "check": False},
            "lenient": {"recipients": ["lenient@house.example"], "content": {"on_name": "deliver"}},
        },
    }
    with open_hop() as hop:
        relay = {"default": hop.route, "archive": archives, "local": {"house.example": hop.route}, "allow": []}
        with running(folder / "gateway", {**settings, "relay": relay}) as gateway:
            yield House(gateway, hop, folder)


def test_kav_pipe_04_kav_tst_01_the_dialogue_of_the_manual_works_and_is_counted(house: House) -> None:
    before = house.counters()
    with house.gateway.client(greet=False) as client:
        greeting = client.read()
        assert (greeting.code, greeting.text.startswith("mx.example.test ESMTP")) == (220, True)
        offered = client.say("EHLO tester.example").text.split("\n")[1:]
        assert offered[:5] == ["ENHANCEDSTATUSCODES", "PIPELINING", "8BITMIME", "SIZE 100000", "DSN"]
        assert str(client.say("MAIL FROM:<author@sender.example>").text) == "2.1.0 OK"
        assert client.say("RCPT TO:<tested@house.example>").text == "2.1.5 OK"
        ready = client.say("DATA")
        assert (ready.code, ready.text) == (354, "Start mail input; end with <CRLF>.<CRLF>")
        client.write(b"Subject: test\r\n\r\nthis is a test\r\n.\r\n")
        accepted = client.read()
        assert (accepted.code, accepted.text.startswith("2.0.0 OK")) == (250, True)
        assert client.say("QUIT").code == 221
    house.gateway.settled(accepted.id)
    assert house.hop.wait_for("tested@house.example").body == b"Subject: test\r\n\r\nthis is a test\r\n"
    assert house.rose(before, "judged_deliver", "recipients_delivered", "accepted") == {
        "judged_deliver": 1,
        "recipients_delivered": 1,
        "accepted": 1,
    }


@pytest.mark.parametrize(
    ("said", "code", "counter"),
    [
        (("MAIL FROM:<author@sender.example> SIZE=100001",), 552, "refused_mail_from"),
        (("MAIL FROM:<author@sender.example>", "RCPT TO:<reader@else.example>"), 550, "refused_rcpt_to"),
    ],
)
def test_sms_flow_01_kav_pipe_02_what_smtp_can_refuse_is_refused_counted_and_never_queued(
    house: House, said: tuple[str, ...], code: int, counter: str
) -> None:
    before = house.counters()
    with house.gateway.client() as client:
        assert [client.say(line).code for line in said][-1] == code
    assert house.rose(before, counter, "accepted") == {counter: 1, "accepted": 0}


def test_sms_flow_01_kav_pipe_02_hops_are_counted_before_anything_is_scanned(house: House) -> None:
    before = house.counters()
    loop = b"".join(b"Received: from x by y; Mon, 02 Nov 2026 10:00:00 +0000\r\n" for _ in range(6))
    assert house.gateway.send(loop + VIRUS, "reader@house.example").code == 554
    assert house.rose(before, "refused_data", "accepted") == {"refused_data": 1, "accepted": 0}
    assert house.gateway.log("refused", stage="data")[-1]["rule"] == "max_hops"


def test_sav_pipe_03_of_two_rules_the_stronger_is_carried_out_and_both_are_told(house: House) -> None:
    both = parts(attachment(b"lines", "lines.log"), subject="an offer for you")
    dropped = house.gateway.send(both, "reader1@house.example")
    line = house.gateway.logged("judged", id=dropped.id)
    assert line["verdict"] == "drop"
    assert line["findings"] == ["content.subject(*offer*)", "content.file_name(*.log) in 1"]
    forwarded = house.gateway.send(both, "lenient@house.example")
    assert house.gateway.logged("judged", id=forwarded.id)["verdict"] == "forward"
    assert len(house.gateway.logged("judged", id=forwarded.id)["findings"]) == 2
    arrived = house.hop.wait_for("abuse@house.example").body
    assert arrived == b"Subject: an offer\r\n" + both.replace(b"Subject: an offer for you\r\n", b"")
    assert not house.hop.to("reader1@house.example")
    assert not house.hop.to("lenient@house.example")


def test_sav_pipe_03_what_is_forwarded_has_been_through_the_scan(house: House) -> None:
    infected = VIRUS.replace(b"Subject: a test", b"Subject: offer with a virus")
    count = len(house.hop.to("abuse@house.example")) + 1
    house.gateway.send(infected, "reader2@house.example")
    arrived = house.hop.wait_for("abuse@house.example", count).body
    assert b"Subject: an offer\r\n" in arrived
    assert b"virus.dat" not in arrived


def test_sav_pipe_01_blocking_and_antivirus_both_speak_before_anything_is_delivered(house: House) -> None:
    infected = VIRUS.replace(b"virus.dat", b"virus.bad")
    reply = house.gateway.send(infected, "reader3@house.example")
    line = house.gateway.logged("judged", id=reply.id)
    assert (line["verdict"], line["plugin"]) == ("drop", "content")
    assert [finding.partition("(")[0] for finding in line["findings"]] == ["content.file_name", "antivirus.signatures"]
    assert not house.hop.to("reader3@house.example")


def test_kav_grp_06_without_a_check_mail_goes_on_as_it_came_archived_and_logged(house: House) -> None:
    reply = house.gateway.send(VIRUS, "open1@house.example", "bare@house.example", "guarded@house.example")
    assert reply.code == 250
    for name in ("open1", "bare"):
        assert house.hop.wait_for(f"{name}@house.example").body == VIRUS
    assert b"virus.dat" not in house.hop.wait_for("guarded@house.example").body
    line = house.gateway.logged("judged", id=reply.id)
    assert "core.check" in line["findings"]
    assert line["copies"] == [
        "open: deliver for open1@house.example, bare@house.example",
        "default: deliver for guarded@house.example",
    ]

    def kept(archive: str) -> list[Path]:
        return list((house.folder / archive).glob(f"20*/{reply.id}*.eml"))

    (came,) = kept("in")
    assert came.read_bytes() == VIRUS
    assert until(lambda: any(one.read_bytes().endswith(VIRUS) for one in kept("out")), "what went out to be archived")


def test_kav_pipe_07_no_trace_header_where_none_is_wanted(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, gateway={"trace": False})
    up.send(CLEAN, "reader@house.example")
    assert hop.wait_for("reader@house.example").content == CLEAN


def test_kav_pipe_06_gateways_in_a_row_and_side_by_side(gateway: Start, hop: Hop) -> None:
    last = gateway(hop, gateway={"hostname": "last.example.test"})
    fronts = [gateway(f"127.0.0.1:{last.port}", relay={"allow": ["127.0.0.1"]}) for _ in range(2)]
    for number, front in enumerate(fronts):
        front.send(plain(), f"reader{number}@house.example")
    for number in range(2):
        content = hop.wait_for(f"reader{number}@house.example").content
        assert content.count(b"Received: from") == 2
        assert content.index(b"by last.example.test") < content.index(b"by mx.example.test")
        assert content.endswith(plain())


def test_ima_act_02_without_a_scanner_infected_mail_is_delivered_as_it_is(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, plugins=["relay", "content"])
    up.send(VIRUS, "reader@house.example")
    assert hop.wait_for("reader@house.example").body == VIRUS


def test_ima_que_01_ima_que_02_ima_que_03_what_waits_for_its_scan_is_seen_and_no_header_says_it_had_one(
    gateway: Start, hop: Hop
) -> None:
    up = gateway(hop, antivirus={"on_infected": ["drop"]})

    def ctl(*words: str) -> None:
        answer = up.run("ctl", *words, "-c", str(up.config))
        assert answer.returncode == 0, answer.stdout + answer.stderr

    ctl("scan", "off")
    claims = b"V: 1\r\nX-Virus-Scanned: clean\r\nX-Mailward: judged\r\n"
    infected = up.send(claims + VIRUS, "reader@house.example")
    clean = up.send(CLEAN, "reader@house.example")
    assert [(one["id"], one["queue"]) for one in up.queue()] == [(infected.id, "incoming"), (clean.id, "incoming")]
    shown = up.run("queue", "list", "-c", str(up.config)).stdout
    assert shown.count("incoming") == 2
    up.kill()
    up.restart()
    assert hop.wait_for("reader@house.example").body == CLEAN
    assert up.logged("judged", id=infected.id)["verdict"] == "drop"
    assert len(hop.arrived) == 1
